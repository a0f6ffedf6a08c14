"""Precision and recall of each class in one number, before and after pruning.

F1 is high only where both are: a class that is missed or called too often scores low either way. Its change is the
pruned F1 minus the dense one, with an interval.

    F1 = 2 right / (called + labelled)

Interval as for precision: multinomial delta method, half a sample added where the models part. By class alone. Where
things are found, called are the things found and the false findings.
"""

from __future__ import annotations

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._prediction_counts import columns

RANK = 150
NEEDS = ("calls",)


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Dense and pruned F1 and the change with its interval; nothing for strata that are no classes."""
    return columns(pair, settings, name="f1", label_weight=1, undefined="never labelled nor predicted")
