"""The pieces of a piecewise linear network on the line between two samples, counted one by one.

A network of linear layers, ReLU and max pooling is one linear map wherever every unit is on the same side and every
pool has the same winner. Such a region is convex (Montufar et al. 2014, arXiv 1402.1869), so two points of one pattern
have nothing between them. A walk therefore goes from region to region: two points of one give every unit's value as a
linear function along the line, the first of these to change sign ends the region, and where it is a pool that ends it
earlier, halving finds where. Pieces shorter than `SHORTEST` of the line are not seen.

What a network computes is watched where torch dispatches it, so that functions are seen like modules; an operator that
bends otherwise (a sigmoid, a softmax within, GELU) has no pieces, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from prune_audit.core import Floats
from prune_audit.errors import ModelError
from prune_audit.nets.dispatched import dispatched

if TYPE_CHECKING:
    import torch

SHORTEST = 1e-9  # of the line
HALVINGS = 40
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
class Point:
    """A network at a point: the values (U,) whose signs decide, and the winners (P,) of its pools."""

    values: Floats
    winners: npt.NDArray[np.int64]

    def same(self, other: Point) -> bool:
        """Whether both lie in one region."""
        return bool(((self.values > 0) == (other.values > 0)).all() and (self.winners == other.winners).all())


def points(run: Callable[[torch.Tensor], object], images: torch.Tensor, device: torch.device) -> list[Point]:
    """The network ``run`` at each of ``images`` (B, ...).

    Raises:
        ModelError: it bends otherwise than at a sign, or multiplies what depends on its input with such.
    """
    import torch

    values: list[torch.Tensor] = []
    winners: list[torch.Tensor] = []
    varies: dict[int, torch.Tensor] = {id(images): images}  # kept alive, so that no identity is used twice

    def see(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        name = func.name().partition("::")[2].partition(".")[0].rstrip("_")
        moving = [each for each in _tensors((*args, *kwargs.values())) if id(each) in varies]
        if moving and name in _BENDS | _BOX:
            first = args[0].detach().clone()  # the operator may work in place
            values.extend(first - limit for limit in _limits(name, args))
        result = func(*args, **kwargs)
        if not moving:
            return result
        if name in _POOLS:
            winners.append(result[1])
        elif name not in _BENDS | _BOX and (name not in _LINEAR or (name in _PRODUCTS and len(moving) > 1)):
            raise _Bends(name)
        for each in _tensors((result,)):
            varies[id(each)] = each
        return result

    try:
        with dispatched(see, device):
            run(images)
    except _Bends as bends:
        raise ModelError(
            f"the network computes {bends}, which is not piecewise linear",
            hint="regions are of networks of linear layers, ReLU and max pooling",
        ) from bends
    rows = len(images)
    joined = torch.cat([each.reshape(rows, -1).double() for each in values], 1) if values else torch.zeros(rows, 0)
    pooled = torch.cat([each.reshape(rows, -1) for each in winners], 1) if winners else torch.zeros(rows, 0)
    return [Point(one, other) for one, other in zip(joined.cpu().numpy(), pooled.long().cpu().numpy(), strict=True)]


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
    """How many regions a line goes through; ``whole`` says that all of it was walked, so that there are no more."""

    number: int
    whole: bool


def walk(at: Callable[[float], Point], most: int) -> Pieces:
    """The pieces of a network between ``at(0)`` and ``at(1)``, up to ``most``.

    ``at`` gives the network at a share of the line.
    """
    t, here = 0.0, at(0.0)
    end = at(1.0)
    number = 1
    reach = 0.1
    while not here.same(end):
        if number >= most:
            return Pieces(number, False)
        # A second point of this region, from which its linear functions are known.
        step = min(reach, (1 - t) / 2)
        other = at(t + step)
        while not other.same(here) and step > SHORTEST:
            step /= 4
            other = at(t + step)
        if other.same(here):
            slopes = (other.values - here.values) / step
            with np.errstate(divide="ignore", invalid="ignore"):
                crossings = -here.values / slopes
            ahead = crossings[np.isfinite(crossings) & (crossings > step / 2)]
            leap = float(ahead.min(initial=1 - t))
            inside, beyond = t + step, min(1.0, t + leap + SHORTEST)
            last = at(beyond)
            # A pool may change before, and rounding may miss the edge: then it is looked for.
            if not last.same(here):
                just = at(max(inside, t + leap - SHORTEST))
                if not just.same(here):
                    beyond, last = _edge(at, here, inside, max(inside, t + leap - SHORTEST), just)
            else:
                beyond, last = _edge(at, here, beyond, 1.0, end)
        else:  # a piece too short to be walked
            beyond = t + SHORTEST
            last = other
        reach = max(4 * SHORTEST, (beyond - t) / 2)
        t, here = beyond, last
        number += 1
    return Pieces(number, True)


def _edge(at: Callable[[float], Point], here: Point, inside: float, outside: float, last: Point) -> tuple[float, Point]:
    """The first point behind the region of ``here``, which holds ``inside`` and not ``outside``."""
    for _ in range(HALVINGS):
        if outside - inside <= SHORTEST:
            break
        middle = (inside + outside) / 2
        found = at(middle)
        if found.same(here):
            inside = middle
        else:
            outside, last = middle, found
    return outside, last
