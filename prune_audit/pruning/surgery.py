"""Dynamic Network Surgery: cut small weights while training, and splice those back that grow again.

Each layer has a threshold, with a gap around it in which nothing changes, so that no weight flickers:

    h = max(mean |w| + c_rate sd |w|, 0) over the weights that are not zero
    kept -> cut where |w| <= .9 h;  cut -> kept where |w| > 1.1 h

Guo, Yao, Chen 2016 (arXiv 1608.04493), section 3, with the constants of the authors' code. There c_rate is given per
layer and the thresholds are fixed before the training (`start`). Where none is given, one c_rate for all layers (or
one for each where the scope is ``layer``) is solved by bisection for the density at every update, to half a hundredth
of it where weights do not tie. While one trains, updates come ever more rarely (`schedule`). Biases, which the authors'
code masks too, are left alone. Cut weights keep their values and their gradients; what runs is the weight times its
mask.

    source: Guo, Yao, Chen 2016 (arXiv 1608.04493) and the authors' code
    certainty: very high for the rule; a density that is solved for is this project's
    needs: nothing but weights; without training nothing comes back, and it is magnitude by layers
    cost: that of a training, and a bisection of some seconds for a million weights at each update
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.errors import UsageError
from prune_audit.nets import masking
from prune_audit.nets.schedule import PRUNING_SHARE, Plan
from prune_audit.nets.scope import check_density
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks, Tensors

NEEDS_DATA = False
STRAIGHT_THROUGH = True
CUT, SPLICE = 0.9, 1.1
TOLERANCE = 0.005  # of the density that is solved for, as a share of it
_HALVINGS = 60
# Of the probability of an update (1 + GAMMA step)^-POWER: the example of the authors.
GAMMA, POWER = 1e-4, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What this method may be told beside a density, or in place of it."""

    c_rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LAYER=]C",
            help="In place of a density: cut weights of a layer below a threshold that lies C standard deviations "
            "above the mean of their absolute values. LAYER is a name or pattern, all layers without it; repeats.",
        ),
    ] = None

    def __post_init__(self) -> None:
        self.pairs()

    @property
    def sets_density(self) -> bool:
        """Whether thresholds are given, which say how much is kept."""
        return bool(self.c_rate)

    def pairs(self) -> tuple[tuple[str, float], ...]:
        """As (pattern of names of layers, c_rate). Raises `UsageError` where one is no number."""
        pairs = []
        for value in self.c_rate or ():
            layer, equals, number = value.rpartition("=")
            try:
                pairs.append((layer if equals else "*", float(number)))
            except ValueError:
                raise UsageError(
                    f"--c-rate: expected a number, found {value!r}", hint="--c-rate 1 or --c-rate fc=2"
                ) from None
        return tuple(pairs)


OPTIONS = Options


def schedule(density: float, *, steps: int, rounds: int, seed: int) -> Plan:
    """Updates to the same density before random steps, ever fewer of them (section 3), in the first half."""
    del rounds
    return tuple((step, density) for step in triggered(max(1, int(PRUNING_SHARE * steps)), seed))


def triggered(steps: int, seed: int, gamma: float = GAMMA, power: float = POWER) -> tuple[int, ...]:
    """Those of ``steps`` before which the masks are updated; the first always is one."""
    import numpy as np

    at = np.arange(steps)
    drawn = np.random.default_rng(seed).random(steps)
    return tuple(at[(1 + gamma * at) ** -power > drawn].tolist())


def update(model: torch.nn.Module, masks: Masks, density: float, batches: Examples | None, settings: Cut) -> Masks:
    """The masks after one round of surgery; ``density`` counts where ``settings`` fix no thresholds."""
    check_density(density)
    del batches
    weights = {name: model.get_parameter(name).detach() for name in masks}
    if settings.fixed is not None:
        return {name: _operated(weights[name], masks[name], settings.fixed[name]) for name in masks}
    groups = [list(masks)] if settings.scope == "global" else [[name] for name in masks]
    found: Masks = {}
    for group in groups:
        found |= _solved({n: weights[n] for n in group}, {n: masks[n] for n in group}, density)
    return found


def start(model: torch.nn.Module, masks: Masks, settings: Cut) -> Cut:
    """``settings`` with the thresholds that c_rates give, by name of parameter, for the weights as they are now.

    Raises:
        UsageError: c_rates are given, and none of them for some layer.
    """
    options: Options | None = settings.options
    if options is None or not options.c_rate:
        return settings
    thresholds = {}
    for name in masks:
        names = (name, name.rpartition(".")[0])
        fits = [rate for pattern, rate in options.pairs() if any(fnmatch.fnmatchcase(each, pattern) for each in names)]
        if not fits:
            raise UsageError(f"no c_rate was given for the layer {name}", hint="--c-rate 1 holds for all layers")
        mean, sd = _moments(model.get_parameter(name).detach())
        thresholds[name] = max(mean + fits[-1] * sd, 0.0)
    return replace(settings, fixed=thresholds)


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
        if apart <= TOLERANCE * density:
            break
        middle = (low + high) / 2
        tried = at(middle)
        low, high = (middle, high) if masking.kept(tried) > density else (low, middle)
        if abs(masking.kept(tried) - density) < apart:
            best = tried
    return best
