"""In which pattern weights are cut: single ones, n of m side by side, blocks, or whole filters.

- ``n:m``: of every m consecutive weights that one output sums over, n are kept (NVIDIA's sparse tensor cores take 2 of
  4; Mishra et al. 2021, arXiv 2104.08378).
- ``block:HxW``: H outputs times W inputs are kept or cut together; the kernel positions of an input of a convolution
  lie side by side. A block at an edge is as large as the layer leaves it, and what is beyond counts nowhere.
- ``filters``: all weights of an output are kept or cut together.

Whatever scores the weights, the pattern is of the cut alone. Of blocks and filters those with the largest sum of
squared scores are kept, which for absolute weights is their norm.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from prune_audit.choices import Scope
from prune_audit.errors import UsageError
from prune_audit.nets import masking, weights
from prune_audit.nets.scope import check_density

if TYPE_CHECKING:
    import torch

MOST = 1024  # weights of a group
STORED = "stored_sides"  # the attribute of a place that only holds a weight, with its `Sides`


@dataclass(frozen=True, slots=True)
class NofM:
    """``n`` weights are kept of every ``m`` side by side."""

    n: int
    m: int

    @property
    def density(self) -> float:
        """The share of weights that it keeps."""
        return self.n / self.m

    def kept_of_group(self, density: float) -> int:
        """How many of ``m`` are kept on the way to ``n``, where a schedule has come to ``density``; rounded up."""
        check_density(density)
        return max(self.n, math.ceil(self.m * density - 1e-9))  # a density that was computed may be a bit too large

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"


@dataclass(frozen=True, slots=True)
class Block:
    """``height`` outputs times ``width`` inputs are kept or cut together."""

    height: int
    width: int

    @property
    def density(self) -> None:
        """A density is to be given beside it."""
        return None

    def __str__(self) -> str:
        return f"block:{self.height}x{self.width}"


@dataclass(frozen=True, slots=True)
class Filters:
    """All weights of an output are kept or cut together."""

    @property
    def density(self) -> None:
        """A density is to be given beside it."""
        return None

    def __str__(self) -> str:
        return "filters"


Pattern: TypeAlias = NofM | Block | Filters
Sides: TypeAlias = tuple[int, int]  # the axes of a weight along which its outputs and its inputs lie


def parse(text: str) -> Pattern:
    """``N:M``, ``block:HxW`` or ``filters``. Raises `UsageError` where ``text`` is none of them."""
    if text == "filters":
        return Filters()
    if (found := re.fullmatch(r"block:([1-9]\d{0,3})x([1-9]\d{0,3})", text)) is not None:
        return Block(int(found[1]), int(found[2]))
    found = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", text)
    if found is None or not int(found[1]) < int(found[2]) <= MOST:
        raise UsageError(
            f"--pattern: expected N:M, of which N is the smaller and M at most {MOST:,}, block:HxW or filters, found "
            f"{text!r}",
            hint="2:4 keeps two of every four weights side by side; block:4x4 and filters take a --density",
        )
    return NofM(int(found[1]), int(found[2]))


def sides(model: torch.nn.Module, names: Sequence[str], pattern: Pattern) -> dict[str, Sides]:
    """Along which axes the outputs and the inputs of the weights ``names`` of ``model`` lie.

    Raises:
        UsageError: of some these are not known, a length is no multiple of a group, or filters of the layer that gives
            the scores would be cut, which are classes.
    """
    found, unfit = dict[str, Sides](), list[str]()
    for name in names:
        weight = model.get_parameter(name)
        axes = _sides(model.get_submodule(name.rpartition(".")[0]), weight)
        if axes is None or (isinstance(pattern, NofM) and weight.shape[axes[1]] % pattern.m):
            unfit.append(name)
        else:
            found[name] = axes
    if unfit:
        what = ", ".join(weights.label(name, model.get_parameter(name).shape) for name in unfit)
        whole = f"whole groups of {pattern.m}" if isinstance(pattern, NofM) else "outputs and inputs"
        raise UsageError(
            f"--pattern {pattern}: no {whole} are known along the inputs of {what}",
            hint=f"leave such layers whole: {_exempt(unfit)}"
            if found
            else "cut single weights; of a graph, prune what it was exported from",
        )
    last = masking.prunable(model)[-1]
    if isinstance(pattern, Filters) and last in found:
        raise UsageError(
            f"--pattern filters: the outputs of the last layer, {last}, are the classes, which cannot be cut",
            hint="leave it whole: --exempt last",
        )
    return found


def _exempt(names: Sequence[str]) -> str:
    return " ".join(f"--exempt {name.rpartition('.')[0] or name}" for name in names)


def _sides(layer: torch.nn.Module, weight: torch.Tensor) -> Sides | None:
    """The axes of ``weight`` along which the outputs of ``layer`` lie and what they sum over; None where not known."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    stored: Sides | None = getattr(layer, STORED, None)
    if stored is not None:
        return stored
    if isinstance(layer, _ConvTransposeNd):
        return 1, 0
    if isinstance(layer, nn.Linear):  # which may be no more than a place for a weight of any shape
        return (0, 1) if weight.shape == (layer.out_features, layer.in_features) else None
    return (0, 1) if isinstance(layer, _ConvNd | nn.MultiheadAttention | nn.RNNBase | nn.RNNCellBase) else None


def keep_largest(
    scores: Mapping[str, torch.Tensor],
    masks: Mapping[str, torch.Tensor],
    density: float,
    pattern: Pattern,
    sides: Mapping[str, Sides],
    scope: Scope = "global",
) -> dict[str, torch.Tensor]:
    """Masks that keep the largest ``scores`` of what ``masks`` have not cut, in groups of ``pattern``.

    Of n of m, the n largest of each group are kept, or on the way there as many as ``density`` asks. Of blocks and
    filters, those with the largest sums of squares: of all layers together, or of each where the scope is ``layer``, so
    many that the number of weights kept is nearest to what ``density`` asks, and at least one of each layer.
    Of equal ones the first by position are kept, and all that are left where these are fewer.

    Raises:
        UsageError: the density is not in (0, 1].
        ModelError: a score is no number, or below 0.
    """
    masking.check_scores(scores, masks)
    if isinstance(pattern, NofM):
        return _of_each_group(scores, masks, pattern.kept_of_group(density), pattern.m, sides)
    check_density(density)
    sets = [list(masks)] if scope == "global" else [[name] for name in masks]
    found: dict[str, torch.Tensor] = {}
    for names in sets:
        found |= _groups({name: scores[name] for name in names}, masks, density, pattern, sides)
    return found


def _of_each_group(
    scores: Mapping[str, torch.Tensor],
    masks: Mapping[str, torch.Tensor],
    kept: int,
    m: int,
    sides: Mapping[str, Sides],
) -> dict[str, torch.Tensor]:
    import torch

    found = {}
    for name, mask in masks.items():
        axis = sides[name][1]
        score = torch.where(mask, scores[name], -1).movedim(axis, -1)
        groups = score.reshape(-1, m)  # (G, m)
        first = groups.argsort(dim=1, descending=True, stable=True)[:, :kept]
        chosen = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, first, True)
        found[name] = chosen.reshape(score.shape).movedim(-1, axis).contiguous() & mask
    return found


def _groups(
    scores: Mapping[str, torch.Tensor],
    masks: Mapping[str, torch.Tensor],
    density: float,
    pattern: Block | Filters,
    sides: Mapping[str, Sides],
) -> dict[str, torch.Tensor]:
    """The groups of the weights that ``scores`` are of, largest sums of squares first, up to the density."""
    import torch

    sums, sizes, best, start = [], [], [], 0
    for name, score in scores.items():
        mask = masks[name]
        squares = torch.where(mask, score.double(), 0).square()
        ranked, counted = (summed(each, pattern, sides[name][0]).flatten() for each in (squares, mask.double()))
        sums.append(ranked)
        sizes.append(counted)
        best.append(start + int(ranked.argmax()))
        start += len(ranked)
    ranks, left = torch.cat(sums), torch.cat(sizes)  # (G,) each
    # The best of each layer comes first, as a layer without any gives nothing to the next.
    first = torch.zeros_like(ranks, dtype=torch.bool)
    first[best] = True
    order = torch.cat([each[ranks[each].argsort(descending=True, stable=True)] for each in _split(first)])
    kept = left[order].cumsum(0)
    wanted = max(1, round(density * sum(masks[name].numel() for name in scores)))
    count = max(len(best), int((kept - wanted).abs().argmin()) + 1)
    chosen = torch.zeros_like(first)
    chosen[order[:count]] = True
    found, at = {}, 0
    for name, ranked in zip(scores, sums, strict=True):
        kept_here = spread(chosen[at : at + len(ranked)], masks[name].shape, pattern, sides[name][0])
        found[name] = kept_here.to(masks[name].device) & masks[name]
        at += len(ranked)
    return found


def _split(first: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where ``first`` is true, and where not."""
    return first.nonzero()[:, 0], (~first).nonzero()[:, 0]


def _blocks(shape: Sequence[int], pattern: Block | Filters, axis: int) -> tuple[int, int, int, int]:
    """Height and width of a group, and how many lie below and beside one another; outputs lie along ``axis``."""
    rows = shape[axis]
    columns = math.prod(shape) // rows
    height, width = (pattern.height, pattern.width) if isinstance(pattern, Block) else (1, columns)
    return height, width, -(-rows // height), -(-columns // width)


def summed(values: torch.Tensor, pattern: Block | Filters, axis: int) -> torch.Tensor:
    """The sums of ``values`` over each group (groups below, groups beside)."""
    from torch.nn import functional

    height, width, down, across = _blocks(values.shape, pattern, axis)
    matrix = values.movedim(axis, 0).flatten(1)
    padded = functional.pad(matrix, (0, across * width - matrix.shape[1], 0, down * height - matrix.shape[0]))
    return padded.reshape(down, height, across, width).sum((1, 3))


def spread(of_groups: torch.Tensor, shape: Sequence[int], pattern: Block | Filters, axis: int) -> torch.Tensor:
    """What each group has, of all of them in their order, at each of its weights in a tensor of ``shape``."""
    import torch

    height, width, down, across = _blocks(shape, pattern, axis)
    turned = torch.empty(tuple(shape), device="meta").movedim(axis, 0).shape
    whole = of_groups.reshape(down, across).repeat_interleave(height, 0).repeat_interleave(width, 1)
    matrix = whole[: turned[0], : math.prod(turned[1:])]
    return matrix.reshape(turned).movedim(0, axis).contiguous()
