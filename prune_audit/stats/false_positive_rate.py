"""Of what a class is not, the share that is called so all the same, before and after pruning.

Recall says how many of the labels of a class are found, this how often it is found where it is not. Where thresholds
are chosen so that all false positives together are as many, a class can have more only if others have fewer.

    false positive rate = called / samples known not to be of the class

Intervals as of recall, and of the change as of a paired change (Tango 1998); the p-value is McNemar's mid-p, of what
one model alone calls so. By class alone, where several labels a sample are told from none.
"""

from __future__ import annotations

from dataclasses import replace

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats import change, mcnemar, recall

RANK = 157
_NAMED = {
    "dense_recall": ("dense_false_positive_rate", "dense false positive rate"),
    "pruned_recall": ("pruned_false_positive_rate", "pruned false positive rate"),
    "change": ("false_positive_rate_change", "change of false positive rate"),
    "p_value": ("false_positive_rate_p", "p of no change of false positives"),
}


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Both rates and the change with its interval and p-value; nothing where nobody lists what has no label."""
    negatives = pair.negatives
    if negatives is None:
        return ()
    # The same paired question of negatives, where right means not called: each share is one less what is asked for.
    among = replace(
        pair,
        both=negatives.both,
        lost=negatives.lost,
        gained=negatives.gained,
        neither=negatives.neither,
        clusters=negatives.clusters,
        false=None,
        negatives=None,
        chosen=None,
    )
    plain = replace(settings, weights=None)
    made = (*recall.measure(among, plain), *change.measure(among, plain), *mcnemar.measure(among, plain))
    found = []
    for each in made:
        if each.name in _NAMED:
            name, title = _NAMED[each.name]
            turned = each if each.unit == "p" else _turned(each, 1.0 if each.unit == "share" else 0.0)
            found.append(replace(turned, name=name, title=title))
    return tuple(found)


def _turned(measure: Measure, whole: float) -> Measure:
    """``whole`` less the values of ``measure``, whose limits change places."""

    def less(value: object) -> float | None:
        return whole - value if isinstance(value, int | float) else None

    return replace(
        measure,
        by_stratum=tuple(map(less, measure.by_stratum)),
        low=tuple(map(less, measure.high)),
        high=tuple(map(less, measure.low)),
        overall=less(measure.overall),
        overall_low=less(measure.overall_high),
        overall_high=less(measure.overall_low),
    )
