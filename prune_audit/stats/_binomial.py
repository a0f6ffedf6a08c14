"""The binomial chance of a count, for many at once; scipy.stats, which has it too, takes half a second to import."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from prune_audit.core import Floats


def mass(of: Floats, n: Floats | int, share: Floats | float) -> Floats:
    """P(X = of), X ~ Binomial(n, share), of the shape that all three have together."""
    choose = gammaln(n + 1) - gammaln(of + 1) - gammaln(n - of + 1)
    chance: Floats = np.exp(choose + xlogy(of, share) + xlog1py(n - of, -share))
    return chance
