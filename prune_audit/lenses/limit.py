"""How far can weights be cut at one blow before the loss rises? Measured, with an estimate from curvature beside it.

Cuts the dense network by magnitude, without tuning, at many densities, and measures the loss on samples of --data: the
smallest density at which it stays within the tolerance is what was found. Beside it stands an estimate of Zhang et al.
2024 (arXiv 2306.05857) from the spectrum of the Hessian, r_i^2 = 2 tolerance / |lambda_i|:

    removed = mean over i of r_i^2 / (R^2 + r_i^2)
    R = norm of what is removed

It is experimental, and no limit: networks were cut far below it without harm here. What tuning gives back, neither of
them knows; and the loss of the model as a whole says nothing of single classes, as the audit does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from prune_audit.core import Drawn, Field, Floats, Table, Value
from prune_audit.errors import UsageError
from prune_audit.evaluate.sampling import stratified
from prune_audit.lenses import CannotLook, Seen, Subject
from prune_audit.nets import curvature, masking
from prune_audit.nets.gradients import untouched
from prune_audit.render import rounded

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples

RANK = 110
DEFAULT = False
NEEDS = "gradients"
DENSITIES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.02)
HALVINGS = 6  # between two of these
PIECE = 100  # samples whose graph is kept at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What rise of the loss is allowed, and how closely the spectrum is looked at."""

    loss_tolerance: Annotated[
        float, typer.Option(metavar="NATS", help="By how much the mean loss may rise, in nats.")
    ] = 0.1
    spectrum_samples: Annotated[
        int, typer.Option(metavar="N", help="Samples of --data that the curve and the spectrum are of.")
    ] = 300
    spectrum_steps: Annotated[
        int, typer.Option(metavar="N", help="Steps of Lanczos; each keeps a copy of the weights.")
    ] = 40
    spectrum_probes: Annotated[int, typer.Option(metavar="N", help="Random starts of the spectrum.")] = 2

    def __post_init__(self) -> None:
        if not 0 < self.loss_tolerance < math.inf:
            raise UsageError(
                f"--loss-tolerance: expected more than 0 nats, found {self.loss_tolerance:g}", hint="for example .1"
            )
        for name in ("samples", "steps", "probes"):
            if (value := getattr(self, f"spectrum_{name}")) < 1:
                raise UsageError(f"--spectrum-{name}: expected 1 or more, found {value}", hint="see --help")


OPTIONS = Options

_CURVE = (
    Field(name="density", title="density", unit="label"),
    Field(name="n", title="samples", unit="count"),
    Field(name="loss", title="loss", unit="nats", meaning="mean over the samples, cut by magnitude, not tuned"),
    Field(name="rise", title="rise", unit="nats"),
    Field(name="distance", title="distance", unit="ratio", meaning="norm of what is cut"),
    Field(name="estimate", title="removable, estimate", unit="share", meaning="of the spectrum, at this distance"),
    Field(name="trace", title="removable, by the trace", unit="share", meaning="the same of the mean curvature alone"),
)


def look(subject: Subject, options: Options) -> Seen:
    """The measured curve, and the estimate."""
    labels = subject.data.labels
    rows = stratified(labels, options.spectrum_samples, subject.seed)
    batches = subject.dense.examples(subject.data, rows, size=PIECE)
    module = subject.dense.module
    names = masking.prunable(module)
    # What is remembered is of the dense network and the samples; the pruned one is not looked at.
    losses = subject.each("cutting", DENSITIES, lambda density: _cut_loss(module, names, float(density), batches))
    if losses[0] >= math.log(max(2, len(subject.classes))):
        raise CannotLook(
            f"the dense network's loss, {losses[0]:.3g} nats, is no better than that of guessing: it was not trained, "
            "or not on these data",
            hint="check --data, --preprocess and the order of the classes",
        )
    within = _smallest(subject, module, names, batches, losses, options.loss_tolerance)
    spectra: list[dict[str, list[float]]] = subject.each(
        "spectrum", range(options.spectrum_probes), lambda probe: _spectrum(module, names, batches, probe, options)
    )
    spectrum = [(np.array(each["values"]), np.array(each["weights"])) for each in spectra]
    distances = _distances(module, names)
    estimates = [crossing(*each, distances, options.loss_tolerance) for each in spectrum]
    curve = [
        _row(density, loss, losses[0], len(rows), spectrum, distances, options.loss_tolerance)
        for density, loss in zip(DENSITIES, losses, strict=True)
    ]
    return Seen(
        sentences=tuple(_sentences(within, estimates, spectrum, options)), tables=(_table(curve, within, options),)
    )


def removable(values: Floats, weights: Floats, distance: float, tolerance: float) -> float:
    """The share of weights that the estimate lets go at ``distance``, of Ritz ``values`` (m,) and ``weights`` (m,)."""
    # r^2 / (R^2 + r^2) with r^2 = 2 e / |l|, written so that l = 0 gives 1.
    return float((weights * 2 * tolerance / (distance**2 * np.abs(values) + 2 * tolerance)).sum())


def crossing(values: Floats, weights: Floats, distances: Floats, tolerance: float) -> float:
    """The density at which as much is removed as the estimate lets go: the first crossing, between two by a line.

    ``distances`` (K,) are those of removing 0 to all of the weights in equal steps.
    """
    shares = np.linspace(0, 1, len(distances))
    gaps = np.array([removable(values, weights, float(d), tolerance) for d in distances]) - shares
    below = np.flatnonzero(gaps < 0)
    if not len(below):
        return 0.0
    at = int(below[0])
    if not at:
        return 1.0
    share = shares[at - 1] + (shares[at] - shares[at - 1]) * gaps[at - 1] / (gaps[at - 1] - gaps[at])
    return float(1 - share)


def _distances(module: torch.nn.Module, names: tuple[str, ...], steps: int = 201) -> Floats:
    """The norm of the smallest weights, (K,) shares of them from 0 to 1."""
    import torch

    sizes = torch.cat([module.get_parameter(name).detach().abs().double().reshape(-1) for name in names])
    squares = np.concatenate([[0.0], np.cumsum(np.sort(sizes.cpu().numpy()) ** 2)])
    at = np.linspace(0, len(squares) - 1, steps).round().astype(np.int64)
    found: Floats = np.sqrt(squares[at])
    return found


def _cut_loss(module: torch.nn.Module, names: tuple[str, ...], density: float, batches: Examples) -> float:
    """The mean loss with the smallest weights cut; the network is afterwards as before."""
    import torch

    own = {name: module.get_parameter(name).detach().clone() for name in names}
    masks = masking.keep_largest(
        {name: each.abs() for name, each in own.items()}, masking.whole(module, names), density
    )
    try:
        masking.apply(module, masks)
        with untouched(module), torch.no_grad():
            total = sum(float(batches.loss(module, inputs, labels)) for inputs, labels in batches)
    finally:
        with torch.no_grad():
            for name, each in own.items():
                module.get_parameter(name).copy_(each)
    mean = total / len(batches.rows)
    return mean if math.isfinite(mean) else 1e9


def _smallest(
    subject: Subject,
    module: torch.nn.Module,
    names: tuple[str, ...],
    batches: Examples,
    losses: list[float],
    tolerance: float,
) -> float:
    """The smallest density down to which, from 1 on, the loss stays within the tolerance, by halving at the end."""
    over = next((at for at, loss in enumerate(losses) if loss - losses[0] > tolerance), None)
    if over is None:
        return DENSITIES[-1]
    low, high = DENSITIES[over], DENSITIES[over - 1]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        loss = subject.remember(["between", middle], partial(_cut_loss, module, names, middle, batches))
        low, high = (low, middle) if loss - losses[0] <= tolerance else (middle, high)
    return high


def _spectrum(
    module: torch.nn.Module, names: tuple[str, ...], batches: Examples, probe: int, options: Options
) -> dict[str, Any]:
    times, size = curvature.flat(module, names, batches)
    like = module.get_parameter(names[0]).detach()
    found = curvature.lanczos(times, curvature.drawn(size, probe, like, "signs"), options.spectrum_steps)
    return {"values": found.values.tolist(), "weights": found.weights.tolist()}


# ------------------------------------------------------------------------------------------------------ what is said


def _row(
    density: float,
    loss: float,
    dense: float,
    n: int,
    spectrum: list[tuple[Floats, Floats]],
    distances: Floats,
    tolerance: float,
) -> tuple[Value, ...]:
    distance = float(np.interp(1 - density, np.linspace(0, 1, len(distances)), distances))
    estimate = float(np.mean([removable(*each, distance, tolerance) for each in spectrum]))
    mean = float(np.mean([weights @ np.abs(values) for values, weights in spectrum]))
    trace = 2 * tolerance / (distance**2 * mean + 2 * tolerance)
    return f"{rounded.limit(density)} %", n, loss, loss - dense, distance, estimate, trace


def _table(curve: list[tuple[Value, ...]], within: float, options: Options) -> Table:
    drawn = Drawn(
        kind="lines",
        title="Loss by density, cut at one blow",
        shows=f"The loss stays within {options.loss_tolerance:g} nats down to a density of "
        f"{rounded.percent_sign(within)}.",
        reading="The mean loss of the dense network, cut by magnitude to each density and not tuned. Tuning lowers "
        "it, and the "
        "loss of one class may rise while the mean does not.",
        x="density",
        y="loss",
    )
    return Table(
        name="curve",
        title="The measured curve, and the curvature estimate beside it",
        fields=_CURVE,
        rows=tuple(curve),
        notes=("no interval: the loss of these samples", "the estimate is experimental, and no limit"),
        drawn=(drawn,),
    )


def _sentences(
    within: float, estimates: list[float], spectrum: list[tuple[Floats, Floats]], options: Options
) -> list[str]:
    down = "or less " if within == DENSITIES[-1] else ""
    spread = f", {rounded.percent(min(estimates))} to {rounded.percent(max(estimates))} over {len(estimates)} starts"
    negative = float(np.mean([weights[values < 0].sum() for values, weights in spectrum]))
    largest = max(float(values[-1]) for values, _ in spectrum)
    return [
        f"Measured: cut by magnitude at one blow, the loss stays within {options.loss_tolerance:g} nats down to a "
        "density of "
        f"{rounded.percent_sign(within)} {down}(14 densities, then halving).",
        f"Curvature estimate, experimental and no limit: {rounded.percent_sign(float(np.mean(estimates)))}"
        f"{spread if len(estimates) > 1 else ''}. It is {abs(100 * (float(np.mean(estimates)) - within)):.0f} points "
        f"{'above' if np.mean(estimates) > within else 'below'} what was measured, which alone can be acted on.",
        f"Largest eigenvalue {largest:,.3g}; {rounded.percent_sign(negative)} of the spectrum is negative.",
    ]
