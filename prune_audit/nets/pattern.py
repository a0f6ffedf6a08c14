"""In which pattern weights are cut: single ones, or n of m that lie side by side, as hardware has it.

Of every m consecutive weights that one output sums over, n are kept (NVIDIA's sparse tensor cores take 2 of 4; Mishra
et al. 2021, arXiv 2104.08378). Whatever scores the weights, the pattern is of the cut alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prune_audit.errors import UsageError
from prune_audit.nets import masking, weights
from prune_audit.nets.scope import check_density

if TYPE_CHECKING:
    import torch

MOST = 1024  # weights of a group


@dataclass(frozen=True, slots=True)
class NofM:
    """``n`` weights are kept of every ``m`` side by side."""

    n: int
    m: int

    @classmethod
    def parse(cls, text: str) -> NofM:
        """``N:M``, such as ``2:4``. Raises `UsageError` where ``text`` is no such thing."""
        found = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", text)
        if found is None or not int(found[1]) < int(found[2]) <= MOST:
            raise UsageError(
                f"--pattern: expected N:M, of which N is the smaller and M at most {MOST:,}, found {text!r}",
                hint="2:4 keeps two of every four weights side by side",
            )
        return cls(int(found[1]), int(found[2]))

    @property
    def density(self) -> float:
        """The share of weights that it keeps."""
        return self.n / self.m

    def kept_of_group(self, density: float) -> int:
        """How many of ``m`` are kept on the way to ``n``, where a schedule has come to ``density``; rounded up."""
        check_density(density)
        return max(self.n, math.ceil(self.m * density - 1e-9))  # a density that was computed may be a bit too large


def axes(model: torch.nn.Module, names: Sequence[str], pattern: NofM) -> dict[str, int]:
    """Along which axis the weights ``names`` of ``model`` are grouped: that of the inputs which an output sums over.

    Raises:
        UsageError: of some no such axis is known, or its length is no multiple of a group.
    """
    found, unfit = dict[str, int](), list[str]()
    for name in names:
        weight = model.get_parameter(name)
        layer = name.rpartition(".")[0]
        axis = _summed(model.get_submodule(layer), weight)
        if axis is None or weight.shape[axis] % pattern.m:
            unfit.append(name)
        else:
            found[name] = axis
    if unfit:
        what = ", ".join(weights.label(name, model.get_parameter(name).shape) for name in unfit)
        spared = " ".join(f"--exempt {name.rpartition('.')[0] or name}" for name in unfit)
        raise UsageError(
            f"--pattern {pattern.n}:{pattern.m}: no whole groups of {pattern.m} are known along the inputs of {what}",
            hint=f"leave such layers whole: {spared}"
            if found
            else "cut single weights; of a graph without layers, such as ONNX, prune what it was exported from",
        )
    return found


def _summed(layer: torch.nn.Module, weight: torch.Tensor) -> int | None:
    """The axis of ``weight`` along which ``layer`` sums over its inputs; None where that is not known."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    if isinstance(layer, _ConvTransposeNd):
        return 0
    if isinstance(layer, nn.Linear):  # which may be no more than a place for a weight of any shape
        return 1 if weight.shape == (layer.out_features, layer.in_features) else None
    return 1 if isinstance(layer, _ConvNd | nn.MultiheadAttention | nn.RNNBase | nn.RNNCellBase) else None


def keep_largest(
    scores: Mapping[str, torch.Tensor],
    masks: Mapping[str, torch.Tensor],
    density: float,
    pattern: NofM,
    axes: Mapping[str, int],
) -> dict[str, torch.Tensor]:
    """Masks that keep the largest ``scores`` of each group of what ``masks`` have not cut, as ``density`` asks.

    Of equal scores the first by position are kept, and all that are left where these are fewer.

    Raises:
        UsageError: the density is not in (0, 1].
        ModelError: a score is no number, or below 0.
    """
    import torch

    masking.check_scores(scores, masks)
    kept = pattern.kept_of_group(density)
    found = {}
    for name, mask in masks.items():
        score = torch.where(mask, scores[name], -1).movedim(axes[name], -1)
        groups = score.reshape(-1, pattern.m)  # (G, m)
        first = groups.argsort(dim=1, descending=True, stable=True)[:, :kept]
        chosen = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, first, True)
        found[name] = chosen.reshape(score.shape).movedim(-1, axes[name]).contiguous() & mask
    return found
