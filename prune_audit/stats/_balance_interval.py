"""Interval of a class's balance within one model: is it shown to be weak, strong or level?

A class stands below its model's accuracy exactly when its recall is below that of all other samples, and these are
independent. So the score interval of a ratio of two independent shares (Koopman, Biometrics 40 (1984) 513-517;
closed-form fit of Miettinen and Nurminen, Statistics in Medicine 4 (1985) 213-226) becomes one of the balance.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Array, Floats
from prune_audit.stats import _tango
from prune_audit.stats._root import limits, standardised


def score(right: Array, n: Array, rest_right: Array, rest_n: Array, ratio: Floats) -> Floats:
    """How far recall lies above ``ratio`` times that of the rest, in standard deviations under that ratio (S,)."""
    b = n * ratio + right + rest_n + rest_right * ratio
    all_right = right + rest_right
    rest = 2 * all_right / (b + np.sqrt(np.maximum(b * b - 4 * (n + rest_n) * ratio * all_right, 0.0)))
    own = np.minimum(ratio * rest, 1.0)
    variance = own * (1 - own) / n + ratio**2 * np.maximum(rest * (1 - rest), 0.0) / rest_n
    return standardised(right / n - ratio * (rest_right / rest_n), variance)


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
    low, high = limits(lambda u: score(right, n, rest_right, rest_n, u / (1 - u)), z, below, above)
    high = np.where(alone, 1.0, high)
    low, high = (u / (share * u + (1 - share) * (1 - u)) - 1 for u in (low, high))
    return low, high
