"""How much of each of two hidden layers to keep, so that a bound on the network's linear pieces is largest.

Cai et al. 2023 (arXiv 2301.07966, section 5): the bound (`prune_audit.nets.regions_bound`) where as much as possible is
cut of one layer, where as much as possible is cut of the other, and where both keep the same share; of the parabola
through the three the maximum. The bound is flat over most densities, so that a difference of less than half a bit tells
nothing, and the same share is then kept. Where the parabola has no maximum the paper draws densities and takes the
best, which is noise of the draws; here that is the same share, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking, regions, regions_bound
from prune_audit.nets.gradients import untouched
from prune_audit.nets.scope import check_density

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.masking import Masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """How many weights of each layer to keep; ``bits`` is the bound there, ``even`` that where both keep one share."""

    counts: Mapping[str, int]
    bits: float
    even: float

    @property
    def said(self) -> str:
        """What the bound decided, or that it decided nothing."""
        kept = ", ".join(f"{count:,} weights of {name}" for name, count in self.counts.items())
        if self.bits - self.even < regions_bound.FLAT:
            return (
                f"the bound on linear pieces cannot tell allocations apart, so that each layer keeps one share: {kept}"
            )
        return (
            f"the bound on linear pieces is 2^{self.bits:.1f} with {kept}, and 2^{self.even:.1f} with one share of "
            "each; it says what could be, and not that classes are told apart better"
        )


def by_regions(model: torch.nn.Module, masks: Masks, density: float, seed: int) -> Allocation:
    """The allocation of ``density`` over the two layers of ``masks``, or the same share where the bound is flat.

    Raises:
        UsageError: the density is not in (0, 1], or leaves less than two weights.
        ModelError: the layers are not the two hidden ones of a fully connected network with ReLU.
    """
    check_density(density)
    (name, first), (after, second) = _stack(model, masks)
    inputs, widths = first[1], (first[0], second[0])
    sizes = (first[0] * first[1], second[0] * second[1])
    total = round(density * sum(sizes))
    if total < 2:
        raise UsageError(
            f"a density of {density:g} leaves less than a weight for each layer", hint="a higher --density"
        )
    least, most = max(1, total - sizes[0]), min(sizes[1], total - 1)  # of the second layer

    def bound(of_second: int) -> float:
        generator = np.random.default_rng(seed)
        kept = ((total - of_second) / sizes[0], of_second / sizes[1])
        of_ranks = [
            regions_bound.ranks(rows, columns, share, generator)
            for (rows, columns), share in zip((first, second), kept, strict=True)
        ]
        return regions_bound.log2_bound(widths, of_ranks, inputs)

    even = min(most, max(least, round(total * sizes[1] / sum(sizes))))
    chosen, of_even = even, bound(even)
    of_chosen = of_even
    if least < even < most:
        best = vertex((least, even, most), (bound(least), of_even, bound(most)))
        at = even if best is None else min(most, max(least, round(best)))
        if (found := bound(at)) - of_even >= regions_bound.FLAT:
            chosen, of_chosen = at, found
    return Allocation(counts={name: total - chosen, after: chosen}, bits=of_chosen, even=of_even)


def vertex(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Where the parabola through three points is highest, None where it is not."""
    (a, b, c), (at_a, at_b, at_c) = x, y
    left, right = (at_b - at_a) / (b - a), (at_c - at_b) / (c - b)
    bend = (right - left) / (c - a)
    return (a + b) / 2 - left / (2 * bend) if bend < 0 else None


def _stack(model: torch.nn.Module, masks: Masks) -> list[tuple[str, tuple[int, int]]]:
    """Name and shape of the two layers, in the order in which they compute."""
    import torch

    hint = "give --exempt last, and a network of three linear layers with ReLU; leave --allocate out for others"
    every = masking.prunable(model)
    linear = all(isinstance(model.get_submodule(each.rpartition(".")[0]), torch.nn.Linear) for each in every)
    if not linear or len(every) != 3 or list(masks) != list(every[:2]):
        raise ModelError(
            "--allocate regions is for two hidden fully connected layers before one that is left whole, found "
            f"{len(every)} layers, {len(masks)} of them to be cut{'' if linear else ', not all fully connected'}",
            hint=hint,
        )
    found = [(each, (model.get_parameter(each).shape[0], model.get_parameter(each).shape[1])) for each in masks]
    try:
        with untouched(model), torch.no_grad():
            device = model.get_parameter(every[0]).device
            sample = torch.randn(1, found[0][1][1], generator=torch.Generator().manual_seed(0)).to(device)
            bends = [bend.values.shape[1] for bend in regions.bends(model, sample, device)]
    except ModelError:
        raise
    # A network of any make, on an input of ours.
    except Exception as fault:
        raise ModelError(f"the network does not take rows of {found[0][1][1]} numbers", hint=hint) from fault
    if found[1][1][1] != found[0][1][0] or bends != [found[0][1][0], found[1][1][0]]:
        raise ModelError("one ReLU does not stand behind each of the two hidden layers", hint=hint)
    return found
