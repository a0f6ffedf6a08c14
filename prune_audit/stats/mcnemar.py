"""Could the change be chance? The p-value of no change at all, and q, corrected for the number of classes.

A small p says that as uneven a split into lost and gained samples would be rare if pruning changed nothing. The
q-value allows for how many classes were looked at: of those with q below .05, about 5 % at most are false alarms.

    p = 2 P(X < k) + P(X = k)
    k = min(lost, gained), X ~ Binomial(lost + gained, 1/2)

Neither is the verdict: a small q beside `fine` is real but small. McNemar's test in its mid-p form (Fagerland,
Lydersen, Laake 2013); without any flip p is 1. The correction is Benjamini and Hochberg's unless settings say
otherwise, within this variant and this stratification; classes without samples do not count.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._adjust import adjusted
from prune_audit.stats._column import column, no_things, without_samples
from prune_audit.stats._effective_counts import sides, student, whole
from prune_audit.stats._mcnemar import mid_p

RANK = 40


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """p-value of equal recall and its corrected value; ``overall`` of p is that of equal accuracy."""
    absent = without_samples(pair)
    own, all_ = sides(pair, settings)[0], whole(pair, settings)
    p = 2 * student(pair, mid_p(own.lost, own.gained) / 2)  # (S,)
    q = adjusted(np.where(pair.support > 0, p, np.nan), settings.correction)
    some = bool(pair.support.any())
    overall = float(2 * student(pair, mid_p(all_.lost, all_.gained) / 2, "whole")[0]) if some else None
    return (
        column("p_value", "p", "p", p, absent, overall=overall, overall_absent=None if some else no_things(pair)),
        column("q_value", "q", "p", q, absent),
    )
