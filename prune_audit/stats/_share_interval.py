"""The interval of a share, one of two sides of a pair by itself.

The score interval corrected for skewness (Gart, Nam, Biometrics 44 (1988) 323-338; Laud, Pharmaceutical Statistics 16
(2017) 334-348), closed at shares of 0 and of 1, where a Wald interval has no width. Wilson's (1927), which it is
without the correction, holds a share of .995 in 86 % of samples of 30, this one in 99 %. At worst, over 10 to 1,000
samples and all shares, Wilson's covers .836 and this one .898.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Array, Floats
from prune_audit.stats import _tango


def interval(right: Array, n: Array, confidence: float) -> tuple[Floats, Floats]:
    """Two-sided limits (low, high) of right / n, each (S,); ``n`` must be positive, counts may be fractions.

    A limit p solves right / n - p - (1 - 2 p) (z^2 - 1) / 6 n = +- z sqrt(p (1 - p) / n), a quadratic in p.
    """
    z2 = _tango.two_sided(confidence) ** 2
    share = np.asarray(right / n, np.float64)
    skew = (z2 - 1) / (6 * n)
    c, d = share - skew, 1 - 2 * skew
    middle = c * d + z2 / (2 * n)
    # middle^2 - c^2 (d^2 + z^2 / n), multiplied out, so that nothing cancels.
    half = np.sqrt(np.maximum(z2 / n * (c * (d - c) + z2 / (4 * n)), 0.0))
    low, high = (middle - half) / (d * d + z2 / n), (middle + half) / (d * d + z2 / n)
    # Where the corrected estimate lies outside of [0, 1] no share is too small, or none too large.
    low = np.where((right == 0) | (c <= 0), 0.0, np.clip(low, 0.0, share))
    high = np.where((right == n) | (c >= d), 1.0, np.clip(high, share, 1.0))
    return low, high
