"""Interval of a class's balance within one model: is it shown to be weak, strong or level?

A class stands below its model's accuracy exactly when its recall is below that of all other samples, and these are
independent. So the score interval of a ratio of two independent shares (Koopman, Biometrics 40 (1984) 513-517;
closed-form fit of Miettinen and Nurminen, Statistics in Medicine 4 (1985) 213-226) becomes one of the balance. It is
corrected for skewness (Gart, Nam, Biometrics 44 (1988) 323-338): where nearly all are right, the plain one holds the
truth in .88 of samples at worst, this one in .94.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Array, Floats
from prune_audit.stats import _tango
from prune_audit.stats._root import limits, standardised, unskewed

LEAST = 2.0**-53
"""Stands for 1 - u where u is 1: with a sample or two no ratio is ruled out, and the search ends there."""


def score(right: Array, n: Array, rest_right: Array, rest_n: Array, ratio: Floats) -> Floats:
    """How far recall lies above ``ratio`` times that of the rest, in standard deviations under that ratio (S,).

    Of two independent sides: within one side recalls are paired, and this is no score of theirs.
    """
    b = n * ratio + right + rest_n + rest_right * ratio
    all_right = right + rest_right
    rest = 2 * all_right / (b + np.sqrt(np.maximum(b * b - 4 * (n + rest_n) * ratio * all_right, 0.0)))
    own = np.minimum(ratio * rest, 1.0)
    own_variance, rest_variance = own * (1 - own), np.maximum(rest * (1 - rest), 0.0)
    variance = own_variance / n + ratio**2 * rest_variance / rest_n
    third = own_variance * (1 - 2 * own) / n**2 - ratio**3 * rest_variance * (1 - 2 * rest) / rest_n**2
    return unskewed(standardised(right / n - ratio * (rest_right / rest_n), variance), third, variance)


def interval(
    right: Array, n: Array, rest_right: Array, rest_n: Array, share: Array, confidence: float
) -> tuple[Floats, Floats]:
    """Two-sided limits (low, high) of recall / accuracy - 1, each (S,), for classes that are ``share`` of the whole.

    Both sides need samples, and one of them a right one.
    """
    z = _tango.two_sided(confidence)
    own, rest = right / n, rest_right / rest_n
    at = own / (own + rest)
    alone = rest_right == 0  # an infinite ratio, whatever the class: the limit is the end of the bracket
    below, above = (np.zeros_like(at), at), (np.where(alone, 0.5, at), np.where(alone, 0.5, 1.0))
    low, high = limits(lambda u: score(right, n, rest_right, rest_n, u / np.maximum(1 - u, LEAST)), z, below, above)
    high = np.where(alone, 1.0, high)
    low, high = (u / (share * u + (1 - share) * (1 - u)) - 1 for u in (low, high))
    return low, high
