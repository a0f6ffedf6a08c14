"""What was found where there is nothing, counted beside the things that were: precision is made of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prune_audit.core import Array, Counts, FalseCounts, Pair, Predictions
from prune_audit.tasks import _pairs


def pair(
    predictions: Predictions,
    dense: str,
    pruned: str,
    by: str = "class",
    cluster: str | None = None,
    *,
    top_k: int = 5,  # noqa: ARG001  # every task's signature
) -> Pair:
    """Count ``dense`` against ``pruned`` within each stratum, and by class also what either found for nothing.

    Without a ``cluster`` whatever was found stands by itself.

    Raises:
        UsageError: there is no such model or column.
    """
    counted = _pairs.pair(predictions, dense, pruned, by, cluster)
    if by != "class" or not {dense, pruned} <= predictions.false.keys():
        return counted
    return replace(counted, false=_false(predictions, dense, pruned, cluster))


def _false(predictions: Predictions, dense: str, pruned: str, cluster: str | None) -> FalseCounts:
    size = len(predictions.labels)
    names, own = (range(size), np.arange(size)) if cluster is None else predictions.strata(cluster)
    at: dict[object, int] = {name: position for position, name in enumerate(names)}

    def within(values: Array) -> Counts:
        keys = (len(at) if cluster is None else str(value) for value in values.tolist())
        return np.array([at.setdefault(key, len(at)) for key in keys], np.int64)

    labels, parts = predictions.labels, [(predictions.labels, own)]
    for model in (dense, pruned):
        right, false = predictions.right[model], predictions.false[model]
        parts += [(labels[right], own[right]), (false.labels, within(false.within))]
    values = [predictions.false[model].average_precision for model in (dense, pruned)]
    known = [np.where(np.isnan(each), -1.0, each) for each in values if each is not None]
    return FalseCounts.of(
        len(predictions.classes), parts, np.stack(known, axis=1) if len(known) == len(values) else None
    )
