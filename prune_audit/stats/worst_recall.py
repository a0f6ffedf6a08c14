"""The lowest recall of any class after pruning, and how low it may really be.

A model is as good as it is to those whom it serves worst. The worst class of a sample looks worse than it is, because
it is the one that had the least luck as well: read the interval.

    worst = min of (both + gained) / n
    low = min of the classes' lower limits
    high = min of the classes' upper limits, at a shared confidence

Of Wilson's limits (1927). That one class is as low as it seems takes a limit for all classes at once (Bonferroni), that
none is lower does not, since it is true only if it is true of each (Berger 1982). The class's own share of the first is
its recall at most.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats import _wilson
from prune_audit.stats._clusters import PRUNED
from prune_audit.stats._column import NO_SAMPLES, column, without_samples
from prune_audit.stats._sides import sides

RANK = 25


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """What each pruned recall is at most, all at once, and the lowest recall with its stratum; the model's alone."""
    own, _ = sides(pair, settings, PRUNED)
    some = pair.support > 0  # (S,)
    n = np.where(some, own.n, 1)
    shared = 1 - (1 - settings.confidence) / max(int(some.sum()), 1)
    low = _wilson.interval(own.pruned, n, settings.confidence)[0]
    high = _wilson.interval(own.pruned, n, shared)[1]
    ceiling = column("recall_at_most", "recall at most, of all classes at once", "share", high, without_samples(pair))
    if not some.any():
        return (
            ceiling,
            Measure(name="worst_recall", title="worst recall", unit="share", overall_absent=NO_SAMPLES),
            Measure(name="worst_class", title="worst class", unit="label", overall_absent=NO_SAMPLES),
        )
    recall = np.where(some, (pair.both + pair.gained) / np.maximum(pair.support, 1), np.inf)
    worst = int(recall.argmin())
    return (
        ceiling,
        Measure(
            name="worst_recall",
            title="worst recall",
            unit="share",
            overall=float(recall[worst]),
            overall_low=float(low[some].min()),
            overall_high=float(high[some].min()),
        ),
        Measure(name="worst_class", title="worst class", unit="label", overall=pair.strata[worst]),
    )
