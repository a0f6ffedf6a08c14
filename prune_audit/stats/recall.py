"""The share of each class that a model gets right, before and after pruning.

Recall answers "of all cats, how many were called cat?", once for the dense and once for the pruned model. Over all
samples together it is accuracy.

    dense recall = (both + lost) / n
    pruned recall = (both + gained) / n

Within a group of samples that is no class (a sensor, an age band) recall is the accuracy there. With --weights the
accuracy over all is the mean of recalls weighted by how often classes occur in use; recalls stay what they are.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Counts, Measure, Pair, Settings
from prune_audit.stats._column import NO_SAMPLES, column, without_samples
from prune_audit.stats._sides import overall, weights

RANK = 20


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Dense and pruned recall; ``overall`` is accuracy."""
    n = pair.support  # (S,)
    shares = weights(pair, settings)
    absent = without_samples(pair)

    def recall(name: str, title: str, right: Counts) -> Measure:
        return column(
            name,
            title,
            "share",
            right / np.maximum(n, 1),
            absent,
            overall=overall(pair, right, shares),
            overall_absent=None if n.any() else NO_SAMPLES,
        )

    return (
        recall("dense_recall", "dense recall", pair.both + pair.lost),
        recall("pruned_recall", "pruned recall", pair.both + pair.gained),
    )
