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
    return _standardised(lost, gained, n, drop, _fit(lost, gained, n, drop))


def boundary(gained: Array, n: Array, drop: float, z: float) -> Floats:
    """How much is lost, no whole number and maybe below 0, where `score` at ``drop`` is ``z`` beside ``gained``.

    Shapes are those that ``gained`` and ``n`` have together; ``n`` must be positive. With u^2 the fitted variance of
    one sample and q = drop (1 - drop), the quadratic of the fit becomes n u^3 - z (1 + drop) sqrt(n) (u^2 - q) = (n q +
    2 gained) u, of which the largest root is the one with P(gained) of at least 0; it has a closed form.
    """
    q = drop * (1 - drop)
    a, b = -z * (1 + drop) / np.sqrt(n), -(q + 2 * gained / n)
    third = np.maximum(a * a / 3 - b, 0) / 3
    half = (a * b / 3 - 2 * a**3 / 27 + a * q) / 2
    some = third > 0
    cosine = np.clip(half / np.where(some, third, 1.0) ** 1.5, -1, 1)
    u = 2 * np.sqrt(third) * np.cos(np.arccos(np.where(some, cosine, 1.0)) / 3) - a / 3
    lost: Floats = gained + n * drop + z * np.sqrt(n) * u
    return lost


def skewness_corrected(lost: Array, gained: Array, n: Array, drop: float) -> Floats:
    """`score` (S,), less what the skewness of the difference alone makes of it; ``n`` must be positive."""
    return with_corrected(lost, gained, n, drop)[1]


def with_corrected(lost: Array, gained: Array, n: Array, drop: float) -> tuple[Floats, Floats]:
    """`score` and `skewness_corrected`, (S,) each, of one fit."""
    gain = _fit(lost, gained, n, drop)
    loss = gain + drop
    third = loss * (1 - drop) ** 3 - gain * (1 + drop) ** 3 - (1 - loss - gain) * drop**3
    plain = _standardised(lost, gained, n, drop, gain)
    return plain, unskewed(plain, third / n**2, (loss + gain - drop**2) / n)


def _standardised(lost: Array, gained: Array, n: Array, drop: Array | float, gain: Floats) -> Floats:
    return standardised(lost - gained - n * drop, n * (2 * gain + drop * (1 - drop)))


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
