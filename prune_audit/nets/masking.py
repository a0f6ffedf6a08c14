"""Which weights may be cut, and the cut itself: the largest scores are kept, exactly as many as were asked for.

The threshold is found by selection and not by sorting: the bits of a float that is not negative, read as an integer,
keep its order, so counting their upper 16 bits, then the next 16 within the bucket that holds the threshold, ends at
it exactly. That takes memory for one chunk of weights, wherever they lie, and a second for tens of millions.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from prune_audit.choices import Scope
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import weights
from prune_audit.nets.scope import check_density

if TYPE_CHECKING:
    import torch

    Tensors: TypeAlias = Mapping[str, torch.Tensor]
    Masks: TypeAlias = dict[str, torch.Tensor]

_CHUNK = 1 << 20  # weights at a time
_DIGIT = 16  # bits that are counted at once


def prunable(model: torch.nn.Module, exempt: Sequence[str] = ()) -> tuple[str, ...]:
    """The parameters that may be cut: what `prune_audit.nets.weights` counts, in its order.

    Biases and normalisation are never cut; a weight that two layers share comes once. ``exempt`` are ``first``,
    ``last`` (in the order in which the model defines its layers), or patterns as in a shell for names of layers or
    of their weights.

    Raises:
        ModelError: the model has no such weight.
        UsageError: an entry of ``exempt`` names no layer, or together they leave none.
    """
    names = [weight.name for weight in weights.weights(model) if weight.cuttable]
    if not names:
        raise ModelError(
            "the model has no weights that could be cut",
            hint="cut are weights of convolution, linear, attention, recurrent and embedding layers that are "
            "parameters of their own",
        )
    spared: set[str] = set()
    for entry in exempt:
        named = {"first": names[:1], "last": names[-1:]}.get(entry) or matching(names, entry)
        if not named:
            raise UsageError(f"no layer is called {entry!r}", hint=f"layers: {', '.join(names)}; or first, last")
        spared |= set(named)
    left = tuple(name for name in names if name not in spared)
    if not left:
        raise UsageError("every layer is exempt, so nothing is left to cut", hint="exempt fewer layers")
    return left


def left_whole(model: torch.nn.Module) -> tuple[str, ...]:
    """The weights that cannot be cut, because they are computed from several parameters, with their shapes."""
    return tuple(weights.label(w.name, w.values.shape) for w in weights.weights(model) if not w.cuttable)


def whole(model: torch.nn.Module, names: Sequence[str]) -> Masks:
    """Masks that keep every weight called ``names``."""
    import torch

    return {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in names}


def apply(model: torch.nn.Module, masks: Tensors) -> None:
    """Set to zero what ``masks`` cut of ``model``, in place."""
    import torch

    with torch.no_grad():
        for name, mask in masks.items():
            model.get_parameter(name).masked_fill_(~mask, 0)


def kept(masks: Tensors) -> float:
    """The share of weights that ``masks`` keep."""
    return sum(int(m.sum()) for m in masks.values()) / sum(m.numel() for m in masks.values())


def check_scores(scores: Tensors, masks: Tensors) -> None:
    """Check that ``scores`` rank what ``masks`` are of: one for each weight, a finite number from 0 on.

    Raises:
        ModelError: they do not.
    """
    import torch

    for name, mask in masks.items():
        if name not in scores or scores[name].shape != mask.shape:
            found = tuple(scores[name].shape) if name in scores else "none"
            raise ModelError(
                f"expected scores of shape {tuple(mask.shape)} for {name}, found {found}",
                hint="a method that scores gives one number for each weight",
            )
        for values in scores[name].reshape(-1).split(_CHUNK):
            if not torch.isfinite(values).all():
                raise ModelError(
                    "a weight has no finite score", hint="the model's weights or its loss are infinite or no number"
                )
            if (values < 0).any():
                raise ModelError(
                    f"a weight of {name} has a score below 0", hint="a method that scores gives numbers from 0 on"
                )


def keep_largest(scores: Tensors, masks: Tensors, density: float, scope: Scope = "global") -> Masks:
    """Masks that keep the largest ``scores``, which are not negative, of what ``masks`` have not cut yet.

    Exactly round(density x weights) are kept, at least one, or all that are left where that is fewer; per layer the
    share is met to one weight, and over all layers exactly. Of equal scores the first ones by position are kept.

    Raises:
        UsageError: the density is not in (0, 1].
        ModelError: a score is no number, or below 0.
    """
    check_density(density)
    check_scores(scores, masks)
    groups = [list(masks)] if scope == "global" else [[name] for name in masks]
    counts = apportioned([sum(masks[name].numel() for name in group) for group in groups], density)
    found: Masks = {}
    for group, count in zip(groups, counts, strict=True):
        found |= _largest({n: scores[n] for n in group}, {n: masks[n] for n in group}, count)
    return found


def keep_counts(scores: Tensors, masks: Tensors, counts: Mapping[str, int]) -> Masks:
    """As `keep_largest`, of each weight as many as ``counts`` says.

    Raises:
        ModelError: a score is no number, or below 0.
    """
    check_scores(scores, masks)
    found: Masks = {}
    for name, mask in masks.items():
        found |= _largest({name: scores[name]}, {name: mask}, counts[name])
    return found


def matching(names: Sequence[str], pattern: str) -> list[str]:
    """Those of the weights ``names`` whose name, or that of their layer, ``pattern`` matches, as in a shell."""
    return [name for name in names if _matches(name, pattern)]


def keep_of_rows(scores: Tensors, masks: Tensors, density: float, sides: Mapping[str, tuple[int, int]]) -> Masks:
    """As `keep_largest`, of every output of each weight alike: ``sides`` say along which axis outputs lie.

    Each keeps its share to one weight, and together they keep round(density x weights).

    Raises:
        UsageError: the density is not in (0, 1].
        ModelError: a score is no number, or below 0.
    """
    import torch

    check_density(density)
    check_scores(scores, masks)
    ranked = {n: torch.where(m, scores[n], -1).movedim(sides[n][0], 0).flatten(1) for n, m in masks.items()}
    counts = iter(apportioned([rows.shape[1] for rows in ranked.values() for _ in rows], density))
    found: Masks = {}
    for name, rows in ranked.items():
        kept = torch.tensor([next(counts) for _ in rows], device=rows.device)
        order = rows.argsort(dim=1, descending=True, stable=True)
        chosen = torch.zeros_like(rows, dtype=torch.bool)
        chosen.scatter_(1, order, torch.arange(rows.shape[1], device=rows.device) < kept[:, None])
        shape = masks[name].movedim(sides[name][0], 0).shape
        found[name] = chosen.reshape(shape).movedim(0, sides[name][0]).contiguous() & masks[name]
    return found


def _matches(name: str, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(each, pattern) for each in (name, name.rpartition(".")[0]))


def apportioned(sizes: Sequence[int], density: float) -> list[int]:
    """How many weights each group keeps: its share cut off, and what is then missing to those that lost most by it."""
    counts = [math.floor(density * size) for size in sizes]
    missing = max(0, max(1, round(density * sum(sizes))) - sum(counts))
    most = sorted(range(len(sizes)), key=lambda i: counts[i] - density * sizes[i])
    for i in most[:missing]:
        counts[i] += 1
    return counts


def _largest(scores: Tensors, masks: Tensors, count: int) -> Masks:
    """The ``count`` largest scores of what is left, over all tensors together."""
    import torch

    if count >= sum(int(mask.sum()) for mask in masks.values()):
        return {name: mask.clone() for name, mask in masks.items()}
    if count == 0:
        return {name: torch.zeros_like(mask) for name, mask in masks.items()}
    bits = 64 if any(score.dtype is torch.float64 for score in scores.values()) else 32
    threshold, ties = _threshold(scores, masks, count, bits)
    found: Masks = {}
    for name, mask in masks.items():
        found[name] = torch.empty(mask.shape, dtype=torch.bool, device=mask.device)
        targets = found[name].view(-1).split(_CHUNK)
        for target, (keys, alive) in zip(targets, _chunks(scores[name], mask, bits), strict=True):
            equal = (keys == threshold) & alive
            chosen = equal & (equal.cumsum(0) <= ties)
            ties -= int(chosen.sum())
            torch.logical_or((keys > threshold) & alive, chosen, out=target)
    return found


def _threshold(scores: Tensors, masks: Tensors, count: int, bits: int) -> tuple[int, int]:
    """The bits of the ``count``-th largest score, and how many of those equal to it are among the ``count``."""
    import torch

    found = 0
    for shift in range(bits - _DIGIT, -1, -_DIGIT):
        counts = torch.zeros(1 << _DIGIT, dtype=torch.int64)
        for name, mask in masks.items():
            for keys, alive in _chunks(scores[name], mask, bits):
                left = keys[alive]
                within = left if shift == bits - _DIGIT else left[left >> (shift + _DIGIT) == found]
                digits = (within >> shift) & ((1 << _DIGIT) - 1)
                counts += digits.bincount(minlength=1 << _DIGIT).cpu()
        from_above = counts.flip(0).cumsum(0)  # at i: scores whose digit is at least the i-th largest
        at = int(torch.searchsorted(from_above, count))
        digit = (1 << _DIGIT) - 1 - at
        count -= int(from_above[at] - counts[digit])
        found = found << _DIGIT | digit
    return found, count


def _chunks(score: torch.Tensor, mask: torch.Tensor, bits: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Some scores at a time, as integers in the order of the scores, and whether they are left to choose from."""
    import torch

    float_type, int_type = (torch.float64, torch.int64) if bits == 64 else (torch.float32, torch.int32)
    for values, alive in zip(score.reshape(-1).split(_CHUNK), mask.reshape(-1).split(_CHUNK), strict=True):
        yield values.to(float_type).abs().view(int_type), alive  # -0 would be the largest of all
