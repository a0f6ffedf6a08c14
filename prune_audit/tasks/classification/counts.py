"""Labels and predictions to counts: on which samples a model is right, and how often two models are, one or both.

This is the one place where a label is compared with a prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from prune_audit.core import (
    Array,
    Calibration,
    Clusters,
    Counts,
    Flip,
    Floats,
    Outputs,
    Pair,
    Predictions,
    Samples,
    Scored,
    Ties,
    TopK,
    in_units,
)
from prune_audit.tasks import _pairs


def right(predicted: Array, labels: Array) -> npt.NDArray[np.bool_]:
    """On which samples (N,) the class that is ``predicted`` (N,) is that of ``labels`` (N,).

    Of two models, whether they agree. Raises `ValueError` where these are not as many.
    """
    if predicted.shape != labels.shape:
        raise ValueError(f"{predicted.shape} predictions for {labels.shape} labels")
    same: npt.NDArray[np.bool_] = predicted == labels
    return same


def right_of(predictions: Predictions, model: str) -> npt.NDArray[np.bool_]:
    """On which samples (N,) the ``model`` is right."""
    return right(predictions.model(model).predicted, predictions.labels)


def credit(outputs: Outputs, labels: Counts) -> Floats:
    """How often the model would be right on each sample (N,) if exact ties were drawn, with ``labels`` (N,)."""
    whole: Floats = right(outputs.predicted, labels).astype(np.float64)
    if outputs.tied is None:
        return whole
    # Of two classes that share one column, the label is always one.
    among = outputs.rank < outputs.tied if outputs.rank is not None else np.ones(len(labels), bool)
    return np.where(outputs.tied > 1, among / np.maximum(outputs.tied, 1), whole)


def pair(
    predictions: Predictions,
    dense: str,
    pruned: str,
    by: str = "class",
    cluster: str | None = None,
    *,
    top_k: int = 5,
) -> Pair:
    """Count ``dense`` against ``pruned`` within each stratum of ``predictions``.

    ``by`` is ``class``, a group column, or several of these crossed, with commas between: ``class,sex``. Crossed
    strata are the whole product, so that a combination without samples is seen to have none. ``cluster`` is the
    group column of what samples belong to, where they are not independent. ``top_k`` is the number of highest
    scores among which the label is looked for, where there are more classes than that.

    Raises:
        UsageError: there is no such model or column.
    """
    counted = _pairs.counts(predictions, dense, pruned, by, cluster, right_of)
    size, stratum = len(counted.strata), predictions.strata(by)[1]
    return replace(
        counted,
        calibration=_calibration(predictions, dense, pruned, by, size),
        top=_top(predictions, dense, pruned, top_k, size, stratum, cluster),
        ties=_ties(predictions, dense, pruned, size, stratum),
    )


def _ties(predictions: Predictions, dense: str, pruned: str, size: int, stratum: Counts) -> Ties | None:
    a, b = predictions.model(dense), predictions.model(pruned)
    none = np.zeros(len(predictions.labels), bool)
    tied = tuple(none if m.tied is None else m.tied > 1 for m in (a, b))
    if not (tied[0] | tied[1]).any():
        return None
    return Ties.of(size, stratum, (tied[0], tied[1]), (credit(a, predictions.labels), credit(b, predictions.labels)))


def _calibration(predictions: Predictions, dense: str, pruned: str, by: str, size: int) -> Calibration | None:
    sides = []
    for m in (predictions.model(dense), predictions.model(pruned)):
        if m.confidence is None:
            return None
        row = predictions.strata(by, called=m.predicted)[1]
        sides.append(Scored(row=row, confidence=in_units(m.confidence), right=right(m.predicted, predictions.labels)))
    return Calibration.of(size, *sides)


def _top(
    predictions: Predictions, dense: str, pruned: str, k: int, size: int, stratum: Counts, cluster: str | None
) -> TopK | None:
    a, b = predictions.model(dense).rank, predictions.model(pruned).rank
    if a is None or b is None or len(predictions.classes) <= k:
        return None
    in_a, in_b = a < k, b < k
    kinds = np.bincount(stratum * 4 + 2 * ~in_a + ~in_b, minlength=4 * size).reshape(size, 4).astype(np.int64)
    both, lost, gained, neither = (column.copy() for column in kinds.T)
    clusters = (
        None if cluster is None else Clusters.of(cluster, size, stratum, predictions.strata(cluster)[1], in_a, in_b)
    )
    return TopK(k=k, both=both, lost=lost, gained=gained, neither=neither, clusters=clusters)


def samples(predictions: Predictions, by: Sequence[str], cluster: str | None) -> Samples:
    """What is to be kept of ``predictions`` for the stratifications ``by``: which samples each model is right on."""
    return _pairs.samples(predictions, by, cluster, right_of)


def flips(predictions: Predictions, dense: str, pruned: str, most: int) -> tuple[tuple[Flip, ...], int]:
    """Samples on which exactly one model is right, and how many there are, as `prune_audit.tasks` has them."""
    return _pairs.flips(predictions, dense, pruned, most, right_of)
