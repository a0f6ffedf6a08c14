"""The interval of a share, one of two sides of a pair by itself.

Wilson, Journal of the American Statistical Association 22 (1927) 209-212: the score interval, closed at shares of 0
and of 1, where a Wald interval has no width.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Array, Floats
from prune_audit.stats import _tango


def interval(right: Array, n: Array, confidence: float) -> tuple[Floats, Floats]:
    """Two-sided limits (low, high) of right / n, each (S,); ``n`` must be positive."""
    z2 = _tango.two_sided(confidence) ** 2
    share = right / n
    middle = share + z2 / (2 * n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)
