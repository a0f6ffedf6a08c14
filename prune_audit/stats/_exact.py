"""Limits that hold far out in the tail, where an audit convicts one of many.

Each of a thousand classes is convicted at a chance of one in 40,000, and that far out neither Wilson's nor Tango's
normal curve is to be trusted: of 100 classes of 50 samples with a recall of .99 each, Wilson's limits show in 73 % of
audits that one is below it. Clopper and Pearson (Biometrika 26 (1934) 404-413) count the binomial's own tail.

A paired drop has no such limits, but its worst case has: where nothing was gained, what was lost is binomial. A limit
here is the wider one of Tango's (1998) and of that. Enumerated at drops of 2 to 10 points, 300 to 3,000 samples and
what is gained from 0 to 3 %, a class at its limit is convicted at most twice as often as the one-sided share of the
level says, where Tango's alone convicts it up to seven times as often.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from prune_audit.core import Array, Floats
from prune_audit.stats import _tango


def share(right: Array, n: Array, confidence: float) -> tuple[Floats, Floats]:
    """Two-sided limits (low, high) of right / n, each (S,); ``n`` must be positive, counts may be fractions."""
    tail = (1 - confidence) / 2
    wrong = n - right
    low = np.where(right > 0, betaincinv(np.where(right > 0, right, 1), wrong + 1, tail), 0.0)
    high = np.where(wrong > 0, betaincinv(right + 1, np.where(wrong > 0, wrong, 1), 1 - tail), 1.0)
    return low, high


def drop(lost: Array, gained: Array, n: Array, confidence: float) -> tuple[Floats, Floats]:
    """Two-sided limits (low, high) of the drop, each (S,), for a family; ``n`` must be positive."""
    low, high = _tango.interval(lost, gained, n, confidence)
    net = lost - gained
    fell, rose = net > 0, net < 0
    least, _ = share(np.where(fell, net, 0), n, confidence)
    most, _ = share(np.where(rose, -net, 0), n, confidence)
    return np.where(fell, np.minimum(low, least), low), np.where(rose, np.maximum(high, -most), high)
