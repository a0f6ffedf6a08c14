"""How far a model's confidence is off, for what it calls each class, before and after pruning.

Of the samples that a model calls a cat with 90 % confidence, nine in ten should be cats; the error is how far off that
is, typically. A value below 0 is less than chance would show even in a perfect model, and is to be read as 0.

    error = sqrt(mean of (share right - mean confidence)^2 - noise)

Root mean square over equal-mass bins of confidence, the samples' own noise taken out, since without that a perfect
model of 100 samples reads 4 to 7 points. What is taken out is estimated without supposing the model perfect, so that
the mean square is right on average whatever the model (Kumar et al. 2019, arXiv:1909.10155); its root keeps the sign,
and nothing is cut off at 0, so that averages stay right. By predicted class or group, never by true class, in which a
perfect model looks wrong. Gaps that cancel within a bin are not seen.

The interval of the change joins the intervals of both models by their correlation (Zou and Donner, Statistics in
Medicine 27 (2008) 1693-1702). Each inverts a score test of the mean square, whose variance under the value tested is
2 sum (w v)^2 + 4 sum w^2 v gap^2 for bins of weight w and noise v. Simulated, 95 % intervals covered the change of the
binned error in .94 to 1 of cases, 10 to 3,000 samples: few samples, and two models that are both well calibrated, have
intervals wider than they need to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prune_audit.core import Array, Floats, Measure, Pair, Settings, Unit
from prune_audit.core.scores import UNIT, Bins
from prune_audit.stats._clusters import DENSE, PRUNED, Contrast, alike, effects, freedom, quantile
from prune_audit.stats._column import column, no_things

RANK = 170
NEEDS = ("scores",)

COLUMNS: tuple[tuple[str, str, Unit], ...] = (
    ("dense_calibration_error", "dense calibration error", "share"),
    ("pruned_calibration_error", "pruned calibration error", "share"),
    ("calibration_change", "change of calibration error", "points"),
)
NO_SCORES = "no scores were kept"
CONTINUITY = 0.5
"""Wrong answers added to a row, for its variance alone: a row that is always right with full confidence would have
none, though that is no proof of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """Of one model, per row (R,): its error, two-sided limits of it, and the variance of its square."""

    error: Floats
    low: Floats
    high: Floats
    variance: Floats


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Calibration error of either model and its change with an interval; ``overall`` is over all samples."""
    found = pair.calibration
    if found is None:
        nothing, absent = np.zeros(len(pair.strata)), dict.fromkeys(range(len(pair.strata)), NO_SCORES)
        return tuple(column(*named, nothing, absent, overall_absent=NO_SCORES) for named in COLUMNS)
    t = quantile(_freedom(pair), settings.confidence)  # (S + 1,)
    dense = estimate(found.dense, _effect(pair, DENSE), t)
    pruned = estimate(found.pruned, _effect(pair, PRUNED), t)
    change = pruned.error - dense.error
    low, high = (change, change) if pair.same_model else change_limits(dense, pruned, found.covariance)
    empty = "never predicted" if _by_class(pair) else no_things(pair)
    no_dense, no_pruned = (
        {int(i): empty for i in (bins.number[:-1] == 0).nonzero()[0]} for bins in (found.dense, found.pruned)
    )
    why_not = None if found.dense.number[-1] else no_things(pair)

    def overall(values: Floats) -> float | None:
        return None if why_not else float(values[-1])

    of_dense, of_pruned, of_change = COLUMNS
    plain = [
        column(*named, values[:-1], absent, overall=overall(values), overall_absent=why_not)
        for named, values, absent in ((of_dense, dense.error, no_dense), (of_pruned, pruned.error, no_pruned))
    ]
    return (
        *plain,
        column(
            *of_change,
            change[:-1],
            no_dense | no_pruned,
            limits=(low[:-1], high[:-1]),
            overall=overall(change),
            overall_limits=None if why_not else (float(low[-1]), float(high[-1])),
            overall_absent=why_not,
        ),
    )


def estimate(bins: Bins, effect: Floats, z: Floats | float) -> Estimate:
    """The error of each row of ``bins``; ``effect`` (R,) is the design effect of its clusters, ``z`` (R,) the
    quantile that its limits lie away; rows without bins are 0.

    The square of a gap exceeds that of the true gap by the variance of the gap, on average; without that it is right
    on average.
    """
    row, n, w = bins.row, bins.samples, bins.weight  # (K,)
    gap, stretch = bins.gap, effect[row]
    supposed = bins.variance / UNIT / n**2  # of the gap, if the model were perfect
    # A bin of one sample shows no variance of its own.
    seen = np.where(n > 1, (bins.brier / UNIT - n * gap**2) / np.maximum(n - 1, 1) / n, supposed)
    samples = np.bincount(row, n, len(bins.number))
    # Neither variance can be trusted alone: few samples may all be right, a confident model supposes none at all.
    noise = stretch * (np.maximum(seen, supposed) + CONTINUITY / (samples[row] * n))

    def total(values: Array) -> Floats:
        return np.bincount(row, values, len(bins.number)).astype(np.float64)

    square = total(w * (gap**2 - stretch * seen))
    constant = 2 * total((w * noise) ** 2)
    raw = total(w * gap**2)
    # Var(square) = constant + slope * true square, if gaps are alike in all bins, or else as the observed ones lie.
    uneven = total((w * gap) ** 2 * noise) / np.where(raw > 0, raw, 1.0)
    slope = 4 * np.maximum(total(w**2 * noise), uneven)
    return Estimate(
        error=_root(square),
        low=np.maximum(_root(_limit(square, constant, slope, -z)), -1.0),
        high=np.minimum(_root(_limit(square, constant, slope, z)), 1.0),
        variance=constant + slope * np.maximum(square, 0.0),
    )


def change_limits(dense: Estimate, pruned: Estimate, covariance: Floats) -> tuple[Floats, Floats]:
    """Two-sided limits (low, high) of pruned - dense, from ``covariance`` (R,) of their squares."""
    spread = np.sqrt(dense.variance * pruned.variance)
    together = np.clip(covariance / np.where(spread > 0, spread, 1.0), -1.0, 1.0)

    def reach(one: Floats, other: Floats) -> Floats:
        return np.sqrt(np.maximum(one**2 + other**2 - 2 * together * one * other, 0.0))

    change = pruned.error - dense.error
    low = change - reach(pruned.error - pruned.low, dense.high - dense.error)
    high = change + reach(pruned.high - pruned.error, dense.error - dense.low)
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


def _limit(square: Floats, constant: Floats, slope: Floats, z: Floats | float) -> Floats:
    """The t that solves square - t = -z sqrt(constant + slope max(t, 0)): the end of the interval on the side of z."""
    flat = square + z * np.sqrt(constant)
    middle = square + z * z * slope / 2
    bent = middle + np.sign(z) * np.sqrt(np.maximum(middle**2 - square**2 + z * z * constant, 0.0))
    return np.where(flat <= 0, flat, bent)


def _root(square: Floats) -> Floats:
    return np.sign(square) * np.sqrt(abs(square))


def _effect(pair: Pair, contrast: Contrast) -> Floats:
    """The design effect of the clusters in each row (S + 1,), of being right, which is what confidence is held to."""
    found = effects(pair, contrast)
    # What is called a class are samples of it and of others.
    own = np.maximum(found.own, found.rest) if _by_class(pair) else found.own
    return np.append(own, found.whole)


def _freedom(pair: Pair) -> Floats:
    """Degrees of freedom of each row's variance between clusters (S + 1,), likewise."""
    found = alike(pair)
    own = np.minimum(found.own, found.rest) if _by_class(pair) else found.own
    return freedom(np.append(own, found.whole))


def _by_class(pair: Pair) -> bool:
    return "class" in pair.by.split(",")
