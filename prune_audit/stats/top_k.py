"""The share of each class that is among the model's first few guesses, before and after pruning.

Where a product shows five suggestions, a class is lost only when it is no longer among them. With many classes a model
may swap near neighbours, so that recall falls and this one does not: then it is confused, not blind.

    top-k recall = samples with their label among the first k / samples

First are the highest scores, equal ones in class order; k is 5 unless ``--top-k`` says otherwise. The change has the
interval of the change of recall, from samples on which only one model has the label among its first k. Absent where
scores were not kept, or where there are no more than k classes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prune_audit.core import Measure, Pair, Settings, Unit
from prune_audit.stats import change, recall
from prune_audit.stats._column import column

RANK = 180
NEEDS = ("scores",)


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Dense and pruned top-k recall and the change with its interval; ``overall`` is over all samples."""
    top = pair.top
    k = settings.top_k if top is None else top.k
    named: tuple[tuple[str, str, Unit], ...] = (
        ("dense_top_k_recall", f"dense top-{k} recall", "share"),
        ("pruned_top_k_recall", f"pruned top-{k} recall", "share"),
        ("top_k_change", f"change of top-{k} recall", "points"),
    )
    if top is None:
        many = len(pair.classes) > k
        why = "no scores were kept" if many else f"top-{k} of {len(pair.classes)} classes is always right"
        nothing, absent = np.zeros(len(pair.strata)), dict.fromkeys(range(len(pair.strata)), why)
        return tuple(column(name, title, unit, nothing, absent, overall_absent=why) for name, title, unit in named)
    # The same paired question with another meaning of right.
    among = replace(pair, both=top.both, lost=top.lost, gained=top.gained, neither=top.neither, clusters=top.clusters)
    made = (*recall.measure(among, settings), *change.measure(among, settings))
    return tuple(replace(m, name=name, title=title) for m, (name, title, _) in zip(made, named, strict=True))
