"""The share of each class that a model gets right, before and after pruning.

Recall answers "of all cats, how many were called cat?", once for the dense and once for the pruned model. Over all
samples together it is accuracy.

    dense recall = (both + lost) / n
    pruned recall = (both + gained) / n

The interval of a recall is the score interval, corrected for skewness (Wilson 1927; Laud 2017), for one model by
itself; what changed is in the interval of the change, which is much narrower, because both models saw the same samples.
With --cluster it is that of as many independent samples as the clusters are worth, by Student's t.

Within a group of samples that is no class (a sensor, an age band) recall is the accuracy there. With --weights the
accuracy over all is the mean of recalls weighted by how often classes occur in use; recalls stay what they are.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from prune_audit.core import Counts, Measure, Pair, Settings
from prune_audit.stats import _share_interval
from prune_audit.stats._clusters import DENSE, PRUNED, Contrast
from prune_audit.stats._column import column, no_things, without_samples
from prune_audit.stats._effective_counts import overall, sides, weights, whole

RANK = 20


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Dense and pruned recall with two-sided intervals; ``overall`` is accuracy."""
    n = pair.support  # (S,)
    shares = weights(pair, settings)
    absent = without_samples(pair)

    def recall(name: str, title: str, right: Counts, contrast: Contrast, side: Literal["dense", "pruned"]) -> Measure:
        own = sides(pair, settings, contrast, confidence=settings.confidence)[0]
        all_ = whole(pair, settings, contrast, confidence=settings.confidence)
        good, of = (np.append(getattr(own, c), getattr(all_, c)) for c in (side, "n"))  # (S + 1,), all samples last
        low, high = _share_interval.interval(good, np.where(of > 0, of, 1), settings.confidence)
        return column(
            name,
            title,
            "share",
            right / np.maximum(n, 1),
            absent,
            limits=(low[:-1], high[:-1]),
            overall=overall(pair, right, shares),
            overall_limits=(float(low[-1]), float(high[-1])) if n.any() else None,
            overall_absent=None if n.any() else no_things(pair),
        )

    return (
        recall("dense_recall", f"dense {pair.task.rates[0]}", pair.both + pair.lost, DENSE, "dense"),
        recall("pruned_recall", f"pruned {pair.task.rates[0]}", pair.both + pair.gained, PRUNED, "pruned"),
    )
