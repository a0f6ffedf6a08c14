"""The pieces of a piecewise linear network on the line between two samples, counted one by one.

A network of linear layers, ReLU and max pooling is one linear map wherever every unit is on the same side and every
pool has the same winner. Such a region is convex (Montufar et al. 2014, arXiv 1402.1869), so two points of one pattern
have nothing between them. What comes into the first operator that bends is linear all along the line, so the values at
both ends tell where its units change sign and where its winners are overtaken. The line is split there; within each
part what comes into the next operator is linear, and so on, until no part is split any more. All parts of a round are
looked at together. Pieces shorter than `SHORTEST` of the line are not seen.

What a network computes is watched where torch dispatches it, so that functions are seen like modules; an operator that
bends otherwise (a sigmoid, a softmax within, GELU) has no pieces, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from prune_audit.core import Counts, Floats
from prune_audit.errors import ModelError
from prune_audit.nets.dispatched import dispatched

if TYPE_CHECKING:
    import torch

SHORTEST = 1e-9  # of the line
NOISE = 1e-12  # of the largest value of an operator: what is smaller at both ends changes its sign by rounding
POINTS = 64  # that are looked at in one pass
_BENDS = frozenset({"relu", "leaky_relu", "threshold", "prelu", "_prelu_kernel"})  # at 0, of the first argument
_BOX = frozenset({"hardtanh", "clamp"})  # at both limits, of the first argument
_POOLS = frozenset(f"max_pool{n}d_with_indices" for n in (1, 2, 3)) | {"adaptive_max_pool2d"}
# What keeps a linear function linear: sums, products with what does not depend on the input, and places.
_LINEAR = frozenset({
    "convolution", "_convolution", "mkldnn_convolution", "addmm", "mm", "bmm", "baddbmm", "linear",
    "mkldnn_linear", "native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "batch_norm",
    "_native_batch_norm_legit", "_batch_norm_no_update", "add", "sub", "rsub", "neg", "mean", "sum", "avg_pool2d",
    "_adaptive_avg_pool2d", "avg_pool1d", "cat", "stack", "view", "_unsafe_view", "reshape", "_reshape_alias",
    "flatten", "squeeze", "unsqueeze", "select", "slice", "expand", "t", "transpose", "permute", "alias", "detach",
    "clone", "contiguous", "_to_copy", "lift_fresh", "constant_pad_nd", "pad", "upsample_nearest2d",
    "upsample_bilinear2d", "index", "copy", "zeros_like", "zeros", "empty", "empty_like", "full", "ones", "split",
    "split_with_sizes", "chunk", "roll", "flip", "arange", "scalar_tensor", "mul", "div", "native_dropout",
    "dropout", "fill", "new_zeros", "new_empty", "as_strided", "unbind", "repeat",
})  # fmt: skip
_PRODUCTS = frozenset({"mul", "div", "mm", "bmm", "baddbmm", "addmm", "linear", "convolution", "_convolution"})


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """An operator that bends, at B points.

    Of a function ``values`` (B, U) are what it takes, of which the signs decide, and ``winners`` is None. Of a pool
    ``values`` (B, C, S) are what it takes, the S places of each channel, and ``winners`` (B, C, P) the places it takes.
    """

    values: Floats
    winners: Counts | None = None

    def pattern(self) -> npt.NDArray[Any]:
        """What tells regions apart, (B, ...)."""
        found = self.values > 0 if self.winners is None else self.winners
        return found.reshape(len(found), -1)


def bends(run: Callable[[torch.Tensor], object], images: torch.Tensor, device: torch.device) -> list[Bend]:
    """The operators of the network ``run`` that bend, at each of ``images`` (B, ...), in the order in which they run.

    Raises:
        ModelError: it bends otherwise than at a sign, or multiplies what depends on its input with such.
    """
    rows = len(images)
    found: list[Bend] = []
    varies: dict[int, torch.Tensor] = {id(images): images}  # kept alive, so that no identity is used twice

    def see(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        name = func.name().partition("::")[2].partition(".")[0].rstrip("_")
        moving = [each for each in _tensors((*args, *kwargs.values())) if id(each) in varies]
        if moving and name in _BENDS | _BOX:
            first = args[0].detach().clone()  # the operator may work in place
            found.extend(Bend(_numbers(first - limit).reshape(rows, -1)) for limit in _limits(name, args))
        result = func(*args, **kwargs)
        if not moving:
            return result
        if name in _POOLS:
            channels = result[1].shape[1]
            places = (_numbers(each).reshape(rows, channels, -1) for each in (args[0], result[1]))
            values, winners = places
            found.append(Bend(values, winners.astype(np.int64)))
        elif name not in _BENDS | _BOX and (name not in _LINEAR or (name in _PRODUCTS and len(moving) > 1)):
            raise _Bends(name)
        for each in _tensors((result,)):
            varies[id(each)] = each
        return result

    try:
        with dispatched(see, device):
            run(images)
    except _Bends as other:
        raise ModelError(
            f"the network computes {other}, which is not piecewise linear",
            hint="regions are of networks of linear layers, ReLU and max pooling",
        ) from other
    return found


def _numbers(values: torch.Tensor) -> Floats:
    found: Floats = values.detach().double().cpu().numpy()
    return found


class _Bends(Exception):
    """An operator that has no pieces."""


def _limits(name: str, args: tuple[Any, ...]) -> list[float]:
    """Where an operator bends, of its first argument."""
    if name == "threshold":
        return [float(args[1])]
    if name in _BOX:
        defaults = (-1.0, 1.0) if name == "hardtanh" else (None, None)
        given = [*args[1:3], *defaults[len(args[1:3]) :]]
        return [float(each) for each in given if each is not None]
    return [0.0]


def _tensors(values: tuple[Any, ...]) -> list[torch.Tensor]:
    import torch

    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(tuple(value))
    return found


@dataclass(frozen=True, slots=True)
class Pieces:
    """How many regions a line goes through; ``whole`` says that all were counted, so that there are no more."""

    number: int
    whole: bool


def count(run: Callable[[torch.Tensor], object], start: torch.Tensor, end: torch.Tensor, most: int) -> Pieces:
    """The pieces of the network ``run`` on the line from ``start`` to ``end``, two samples (...), up to ``most``.

    Raises as `bends`.
    """

    def at(shares: Floats) -> list[Bend]:
        along = start.new_tensor(shares).reshape(-1, *(1,) * start.ndim)
        return bends(run, start + along * (end - start), start.device)

    edges, sure = [0.0, 1.0], 1
    parts = np.array([[0.0, 1.0]])  # (M, 2), those that may have to be split
    while len(parts):
        split: list[tuple[float, float]] = []
        for some in np.array_split(parts, -(-2 * len(parts) // POINTS)):
            for (left, right), (shares, of_signs) in zip(some, _crossings(at, some), strict=True):
                if not len(shares):
                    continue
                edges += shares.tolist()
                split += pairwise([left, *shares.tolist(), right])
                sure += len(shares) if of_signs else 0
            if sure > most:
                return Pieces(most, False)
        parts = np.array(split).reshape(-1, 2)
    # A pool's winner may be overtaken where another has won already, and then nothing changes there.
    ordered = np.sort(edges)
    patterns = [pattern for some in _split((ordered[1:] + ordered[:-1]) / 2) for pattern in _patterns(at(some))]
    number = 1 + sum(one != other for one, other in pairwise(patterns))
    return Pieces(number, True) if number <= most else Pieces(most, False)


def _split(shares: Floats) -> Iterator[Floats]:
    yield from np.array_split(shares, -(-len(shares) // POINTS))


def _patterns(found: list[Bend]) -> list[bytes]:
    """The region of each point, as what is equal only of equal regions."""
    if not found:
        return []
    joined = [np.packbits(b.pattern(), axis=1) if b.winners is None else b.pattern().view(np.uint8) for b in found]
    return [row.tobytes() for row in np.concatenate(joined, axis=1)]


def _crossings(at: Callable[[Floats], list[Bend]], parts: Floats) -> list[tuple[Floats, bool]]:
    """Where each of ``parts`` (M, 2) of the line has to be split, and whether signs change there for sure.

    Of the first operator that bends within the part: what comes into it is linear there.
    """
    shares = np.unique(parts)
    ends = np.searchsorted(shares, parts)  # (M, 2)
    found: list[tuple[Floats, bool]] = [(np.empty(0), True)] * len(parts)
    left = np.arange(len(parts))  # those that no operator so far bends in
    for bend in at(shares):
        if not len(left):
            break
        before, after = _sides(bend, ends[left])
        crossed = (before * after < 0) & (np.abs(before) + np.abs(after) > NOISE * np.abs(bend.values).max(initial=0))
        which, unit = np.nonzero(crossed)
        low, high = parts[left][which].T
        edge = low + before[which, unit] / (before[which, unit] - after[which, unit]) * (high - low)
        inside = (edge - low > SHORTEST) & (high - edge > SHORTEST)
        for position in np.unique(which[inside]):
            own = np.sort(edge[inside & (which == position)])
            own = own[np.diff(own, prepend=-1.0) > SHORTEST]
            found[left[position]] = own, bend.winners is None
        left = np.delete(left, np.unique(which[inside]))
    return found


def _sides(bend: Bend, ends: Counts) -> tuple[Floats, Floats]:
    """Numbers at both ``ends`` (M, 2) of parts, (M, U) each, that are of two signs where the operator bends between."""
    left, right = ends.T
    if bend.winners is None:
        return bend.values[left], bend.values[right]
    won, lost = bend.winners[left], bend.winners[right]  # (M, C, P)
    ahead = [
        np.take_along_axis(bend.values[side], won, 2) - np.take_along_axis(bend.values[side], lost, 2)
        for side in (left, right)
    ]
    return ahead[0].reshape(len(ends), -1), ahead[1].reshape(len(ends), -1)
