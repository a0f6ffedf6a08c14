"""The lowest recall of any class after pruning, and how low it may really be.

A model is as good as it is to those whom it serves worst. The worst class of a sample looks worse than it is, because
it is the one that had the least luck as well: read the interval.

    worst = min of (both + gained) / n
    low = min of the classes' lower limits
    high = min of the classes' upper limits, at a shared confidence

That one class is as low as it seems takes a limit for all classes of a view at once (Bonferroni): in at most 2.5 % of
audits is any class's recall above its recall at most, as confidence 95 % has it. So far out in the tail only exact
limits hold (Clopper, Pearson 1934). That no class is lower needs no such care, since it is true only if it is true of
each (Berger 1982): the lower limits are those of each recall, at the confidence itself.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats import _exact, _share_interval
from prune_audit.stats._clusters import PRUNED
from prune_audit.stats._column import column, no_things, without_samples
from prune_audit.stats._effective_counts import sides

RANK = 25


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """What each pruned recall is at most, all at once, and the lowest recall with its stratum; the model's alone."""
    some = pair.support > 0  # (S,)
    shared = 1 - (1 - settings.confidence) / max(int(some.sum()), 1)
    alone, all_ = (sides(pair, settings, PRUNED, confidence=c)[0] for c in (settings.confidence, shared))
    low = _share_interval.interval(alone.pruned, np.where(some, alone.n, 1), settings.confidence)[0]
    high = _exact.share(all_.pruned, np.where(some, all_.n, 1), shared)[1]
    (one, many), rate = pair.task.strata(pair.by), pair.task.rates[0]
    ceiling = column("recall_at_most", f"{rate} at most, of all {many} at once", "share", high, without_samples(pair))
    if not some.any():
        return (
            ceiling,
            Measure(name="worst_recall", title=f"worst {rate}", unit="share", overall_absent=no_things(pair)),
            Measure(name="worst_class", title=f"worst {one}", unit="label", overall_absent=no_things(pair)),
        )
    recall = np.where(some, (pair.both + pair.gained) / np.maximum(pair.support, 1), np.inf)
    worst = int(recall.argmin())
    return (
        ceiling,
        Measure(
            name="worst_recall",
            title=f"worst {rate}",
            unit="share",
            overall=float(recall[worst]),
            overall_low=float(low[some].min()),
            overall_high=float(high[some].min()),
        ),
        Measure(name="worst_class", title=f"worst {one}", unit="label", overall=pair.strata[worst]),
    )
