"""The score statistic of a paired drop, which serves the interval and the test alike.

One function for both, so that an interval and a verdict can never contradict each other. Tango, Statistics in
Medicine 17 (1998) 891-908: the variance is that of the multinomial fitted under the hypothesis that is tested,
which keeps its level where a Wald interval fails, down to classes of ten samples and to no flips at all.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from prune_audit.core import Array, Floats
from prune_audit.stats._root import limits, standardised, unskewed


def two_sided(confidence: float) -> float:
    """The normal quantile of a two-sided interval: 1.96 for .95."""
    return float(ndtri((1 + confidence) / 2))


def score(lost: Array, gained: Array, n: Array, drop: Array | float) -> Floats:
    """How far the observed drop lies above ``drop``, in standard deviations under that drop; shapes (S,).

    ``n`` must be positive. With every count multiplied by k the statistic grows by the square root of k.
    """
    gain = _fit(lost, gained, n, drop)
    return standardised(lost - gained - n * drop, n * (2 * gain + drop * (1 - drop)))


def skewness_corrected(lost: Array, gained: Array, n: Array, drop: float) -> Floats:
    """`score` (S,), less what the skewness of the difference alone makes of it; ``n`` must be positive."""
    gain = _fit(lost, gained, n, drop)
    loss = gain + drop
    third = loss * (1 - drop) ** 3 - gain * (1 + drop) ** 3 - (1 - loss - gain) * drop**3
    return unskewed(score(lost, gained, n, drop), third / n**2, (loss + gain - drop**2) / n)


def _fit(lost: Array, gained: Array, n: Array, drop: Array | float) -> Floats:
    """P(gained), (S,), of the likeliest multinomial in which P(lost) is ``drop`` more."""
    b = (2 * n - lost + gained) * drop - lost - gained
    c = -gained * drop * (1 - drop)
    gain: Floats = (np.sqrt(np.maximum(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    return gain


def interval(lost: Array, gained: Array, n: Array, confidence: float) -> tuple[Floats, Floats]:
    """Two-sided limits (low, high) of the drop, each (S,); ``n`` must be positive."""
    z = two_sided(confidence)
    drop = np.asarray((lost - gained) / n, np.float64)
    ones = np.ones_like(drop)
    return limits(lambda d: score(lost, gained, n, d), z, (-ones, drop), (drop, ones))
