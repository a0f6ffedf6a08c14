"""Dynamic Network Surgery: cut small weights while training, and splice those back that grow again.

Each layer has a threshold, with a gap around it in which nothing changes, so that no weight flickers:

    h = max(mean |w| + c_rate sd |w|, 0) over the weights that are not zero
    kept -> cut where |w| <= .9 h;  cut -> kept where |w| > 1.1 h

Guo, Yao, Chen 2016 (arXiv 1608.04493), section 3, with the constants of the authors' code. There c_rate is given per
layer and the thresholds are fixed before the training (`start`). Where none is given, one c_rate for all layers (or
one for each where the scope is ``layer``) is solved by bisection for the density at every update, to a tenth of a
percent point where weights do not tie. Biases, which the authors' code masks too, are left alone. Cut weights keep
their values and their gradients; what runs is the weight times its mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from prune_audit.nets import masking
from prune_audit.nets.scope import check_density
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks, Tensors

NEEDS_DATA = False
STRAIGHT_THROUGH = True
CUT, SPLICE = 0.9, 1.1
TOLERANCE = 0.001  # of the density that is solved for
_HALVINGS = 60


def update(model: torch.nn.Module, masks: Masks, density: float, batches: Examples | None, settings: Cut) -> Masks:
    """The masks after one round of surgery; ``density`` counts where ``settings`` fix no thresholds."""
    check_density(density)
    del batches
    weights = {name: model.get_parameter(name).detach() for name in masks}
    if settings.thresholds is not None:
        return {name: _operated(weights[name], masks[name], settings.thresholds[name]) for name in masks}
    groups = [list(masks)] if settings.scope == "global" else [[name] for name in masks]
    found: Masks = {}
    for group in groups:
        found |= _solved({n: weights[n] for n in group}, {n: masks[n] for n in group}, density)
    return found


def start(model: torch.nn.Module, masks: Masks, settings: Cut, c_rates: Mapping[str, float]) -> Cut:
    """``settings`` with the thresholds that ``c_rates`` give, by name of parameter, for the weights as they are now."""
    moments = {name: _moments(model.get_parameter(name).detach()) for name in masks}
    thresholds = {name: max(mean + c_rates[name] * sd, 0.0) for name, (mean, sd) in moments.items()}
    return replace(settings, thresholds=thresholds)


def _operated(weight: torch.Tensor, mask: torch.Tensor, threshold: float) -> torch.Tensor:
    import torch

    size = weight.abs()
    # A threshold of 0 cuts nothing: at its start, a mask keeps zeros too.
    stays = size > CUT * threshold if threshold > 0 else size >= 0
    return torch.where(mask, stays, size > SPLICE * threshold)


def _moments(weight: torch.Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the absolute weights that are not zero."""
    size = weight.abs()
    count = max(1, int(size.count_nonzero()))
    mean = float(size.sum()) / count
    return mean, max(float(size.square().sum()) / count - mean * mean, 0.0) ** 0.5


def _solved(weights: Tensors, masks: Tensors, density: float) -> Masks:
    """The masks whose density is nearest to ``density``, over all thresholds of one c_rate."""
    moments = {name: _moments(weight) for name, weight in weights.items()}
    largest = {name: float(weight.abs().max()) for name, weight in weights.items()}

    def at(c_rate: float) -> Masks:
        found = {}
        for name, (mean, sd) in moments.items():
            found[name] = _operated(weights[name], masks[name], max(mean + c_rate * sd, 0.0))
        return found

    spread = [(mean, sd, largest[name]) for name, (mean, sd) in moments.items() if sd > 0]
    low = min((-mean / sd for mean, sd, _ in spread), default=0.0)  # cuts nothing
    high = max(((top / CUT - mean) / sd for mean, sd, top in spread), default=0.0)  # cuts everything
    best = at(low)
    for _ in range(_HALVINGS):
        apart = abs(masking.kept(best) - density)
        if apart <= TOLERANCE:
            break
        middle = (low + high) / 2
        tried = at(middle)
        low, high = (middle, high) if masking.kept(tried) > density else (low, middle)
        if abs(masking.kept(tried) - density) < apart:
            best = tried
    return best
