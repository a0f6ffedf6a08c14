"""Of what a model calls a class, the share that is one, before and after pruning.

Recall says how many cats are missed, precision how many of the animals called cats are cats. A class can keep its
recall by being called too often, and its precision shows that.

    precision = right / called

Its denominator is itself random, so the paired intervals of recall do not apply: multinomial delta method over the
ways in which the two models can call a sample, with half a sample added where they part. By class alone. Where things
are found, called are the things found and the false findings, and the interval is that of a ratio of sums over clusters
(Cochran 1977).
"""

from __future__ import annotations

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._prediction_counts import columns

RANK = 140
NEEDS = ("calls",)


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Dense and pruned precision and the change with its interval; nothing for strata that are no classes."""
    return columns(pair, settings, name="precision", label_weight=0, undefined="never predicted")
