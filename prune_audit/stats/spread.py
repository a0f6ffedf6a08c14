"""How far apart the classes' true drops lie, whichever classes they are.

Sampling noise alone makes drops differ; tau is what is left when that is taken out, the standard deviation of the true
drops. It can be known when no single class can be convicted.

    tau^2 = variance of the drops - mean of their sampling variances

Moment estimate (Hedges 1983), with classes of at least two samples. The interval solves for the tau at which the
estimate would lie 1.96 of its own standard deviations away. These grow with tau, by 4 sum((D - mean D)^2 v) / (C - 1)^2
where v is the noise of a class, so that the noise of the classes that stand out counts most; it is taken from the side
of Tango's interval that the limit supposes, and is never 0. At no spread in two classes of 1,000 the lower limit
exceeds 0 in 5 to 6 % of audits. The p-value of no spread at all is of Cochran's statistic with classes weighted by
size, against the chi-square that has its mean and variance (Satterthwaite 1946). The shrunken drop moves each class's
drop towards their mean, by as much as it is likely to be noise; it is a ranking of where to look first, not a verdict,
and is absent where no spread is seen.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincc

from prune_audit.core import Floats, Measure, Pair, Settings
from prune_audit.stats import _tango
from prune_audit.stats._column import column, no_flips
from prune_audit.stats._effective_counts import sides

RANK = 130


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """tau with its interval, p-value of tau = 0, and the shrunken drop of each stratum with its rank."""
    usable = pair.support >= 2  # (S,)
    samples = pair.support[usable]  # (C,)
    classes = len(samples)
    if classes < 2:
        why_not = f"fewer than two strata have two {pair.task.thing[1]} or more"
        return _measures(pair, None, why_not)
    if pair.identical and not pair.same_model:
        return _measures(pair, None, no_flips(pair))
    own = sides(pair, settings)[0]  # as many independent ones as the samples are worth
    lost, gained, n = (np.asarray(getattr(own, c)[usable], np.float64) for c in ("lost", "gained", "n"))
    drop = (pair.lost - pair.gained)[usable] / samples
    churn = (pair.lost + pair.gained)[usable] / samples
    per_sample = (churn - drop**2) * samples / (samples - 1)  # unbiased variance of one sample's loss
    noise = per_sample / n
    away = (drop - drop.mean()) ** 2
    tau2 = float(away.sum() / (classes - 1) - noise.mean())
    least, most = _limits(tau2, away, _noises(lost, gained, n, drop, noise, settings.confidence), settings.confidence)
    tau, low, high = (0.0 if pair.same_model else float(np.sqrt(max(t, 0.0))) for t in (tau2, least, most))
    shrunken = np.zeros(len(usable))
    pooled = (n * per_sample).sum() / n.sum()
    if tau > 0:
        shrunken[usable] = drop.mean() + tau**2 / (tau**2 + pooled / n) * (drop - drop.mean())
    return _measures(pair, (tau, low, high, _no_spread(drop, per_sample, n)), None, shrunken)


def _noises(
    lost: Floats, gained: Floats, n: Floats, drop: Floats, noise: Floats, confidence: float
) -> tuple[Floats, Floats, Floats]:
    """Sampling variances (C,) of the drops: as seen but never 0, and as the lower and the upper limit of tau need them.

    Where few of a class's samples flipped, its variance as seen is a poor guess of what it is at the drop that a limit
    supposes, so that the distance to Tango's limit on that side stands in for it.
    """
    drop_of_more = (lost - gained) / (n + 1)
    seen = np.maximum(noise, ((lost + gained + 1) / (n + 1) - drop_of_more**2) / (n + 1))
    z, (low, high) = _tango.two_sided(confidence), _tango.interval(lost, gained, n, confidence)
    nearer, farther = ((drop - low) / z) ** 2, ((high - drop) / z) ** 2
    above = drop > drop.mean()
    inner, outer = np.where(above, nearer, farther), np.where(above, farther, nearer)
    return seen, np.maximum(seen, inner), np.maximum(seen, outer)


def _limits(tau2: float, away: Floats, noises: tuple[Floats, Floats, Floats], confidence: float) -> tuple[float, float]:
    """Limits of tau^2 from its estimate, the squared distances of the drops from their mean (C,), and `_noises`.

    The variance of the estimate is fixed + slope tau^2; solving (tau2 - t)^2 = z^2 (fixed + slope t) for t gives limits
    that agree with a test at 0, where one variance for all t would not.
    """
    classes, z2 = len(away), _tango.two_sided(confidence) ** 2
    seen, inner, outer = noises
    fixed = 2 * ((seen**2).sum() * (1 - 2 / classes) + seen.mean() ** 2) / (classes - 1) ** 2
    found = []
    for noise, sign in ((inner, -1), (outer, 1)):
        weighted = (away * noise).sum() / away.sum() if away.any() else 0.0
        slope = 4 * max(float(noise.mean()), float(weighted)) / (classes - 1)
        half = np.sqrt(max((z2 * slope / 2) ** 2 + z2 * (fixed + slope * tau2), 0.0))
        found.append(float(tau2 + z2 * slope / 2 + sign * half))
    return found[0], found[1]


def _no_spread(drop: Floats, per_sample: Floats, n: Floats) -> float:
    """p-value of equal true drops, from drops, variances per sample and sizes, each (C,)."""
    share = n / n.sum()
    mean = (per_sample * (1 - share)).sum()
    if mean <= 0:
        return 1.0
    # Half the variance of a quadratic form in independent normals: the trace of its squared matrix.
    half_variance = (per_sample**2 * (1 - 2 * share)).sum() + (share @ per_sample) ** 2
    statistic = (n * (drop - share @ drop) ** 2).sum()
    freedom = mean**2 / half_variance
    return float(gammaincc(freedom / 2, freedom / 2 * statistic / mean))


def _measures(
    pair: Pair,
    found: tuple[float, float, float, float] | None,
    why_not: str | None,
    shrunken: Floats | None = None,
) -> tuple[Measure, ...]:
    """The columns: the model's from ``found`` (tau, low, high, p), the strata's from ``shrunken`` (S,)."""
    tau, low, high, p = found or (None, None, None, None)
    alone = f"fewer than two {pair.task.thing[1]}: their noise cannot be seen"
    few = {int(i): alone for i in (pair.support < 2).nonzero()[0]}
    if shrunken is None or not tau:
        reason = why_not or "no spread between the drops is seen: a ranking would be chance"
        few = dict.fromkeys(range(len(pair.strata)), reason) | few
        shrunken = np.zeros(len(pair.strata))
    here = np.array([i for i in range(len(pair.strata)) if i not in few], np.int64)
    rank = np.zeros(len(pair.strata), np.int64)
    rank[here[np.argsort(-shrunken[here], kind="stable")]] = np.arange(1, len(here) + 1)
    return (
        Measure(
            name="spread",
            title="spread of true drops (τ)",
            unit="points",
            overall=tau,
            overall_low=low,
            overall_high=high,
            overall_absent=why_not,
        ),
        Measure(name="spread_p", title="p of no spread", unit="p", overall=p, overall_absent=why_not),
        column("shrunken_drop", "shrunken drop", "points", shrunken, few),
        column("drop_rank", "rank by shrunken drop", "count", rank, few),
    )
