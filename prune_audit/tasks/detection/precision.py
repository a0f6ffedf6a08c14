"""What was detected where there is nothing, counted beside what was found: precision is made of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prune_audit.core import Array, Counts, FalseCounts, Pair, Predictions
from prune_audit.tasks import _pairs

IMAGE = "image"
"""The column of the image that a box is in."""


def pair(
    predictions: Predictions,
    dense: str,
    pruned: str,
    by: str = "class",
    cluster: str | None = None,
    *,
    top_k: int = 5,  # noqa: ARG001  # every task's signature
) -> Pair:
    """Count ``dense`` against ``pruned`` within each stratum, and by class also what either detected for nothing.

    Raises:
        UsageError: there is no such model or column.
    """
    counted = _pairs.pair(predictions, dense, pruned, by, cluster)
    if by != "class" or not {dense, pruned} <= predictions.false.keys():
        return counted
    return replace(counted, false=_false(predictions, dense, pruned, cluster or IMAGE))


def _false(predictions: Predictions, dense: str, pruned: str, cluster: str) -> FalseCounts:
    names, own = predictions.strata(cluster)
    at = {name: position for position, name in enumerate(names)}

    def within(values: Array) -> Counts:
        return np.array([at.setdefault(str(value), len(at)) for value in values.tolist()], np.int64)

    labels, parts = predictions.labels, [(predictions.labels, own)]
    for model in (dense, pruned):
        right, false = predictions.right[model], predictions.false[model]
        parts += [(labels[right], own[right]), (false.labels, within(false.within))]
    values = [predictions.false[model].average_precision for model in (dense, pruned)]
    known = [np.where(np.isnan(each), -1.0, each) for each in values if each is not None]
    return FalseCounts.of(
        len(predictions.classes), parts, np.stack(known, axis=1) if len(known) == len(values) else None
    )
