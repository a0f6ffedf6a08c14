"""Labels and predictions to counts: on which samples a model is right, and how often two models are, one or both.

This is the one place where a label is compared with a prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def right(predicted: Array, labels: Array) -> npt.NDArray[np.bool_]:
    """On which samples (N,) the class that is ``predicted`` (N,) is that of ``labels`` (N,).

    Of two models, whether they agree. Raises `ValueError` where these are not as many.
    """
    if predicted.shape != labels.shape:
        raise ValueError(f"{predicted.shape} predictions for {labels.shape} labels")
    same: npt.NDArray[np.bool_] = predicted == labels
    return same


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
    a, b = predictions.model(dense).predicted, predictions.model(pruned).predicted  # (N,)
    strata, stratum = predictions.strata(by)
    size = len(strata)
    a_right, b_right = right(a, predictions.labels), right(b, predictions.labels)

    def count(mask: Array) -> Counts:
        return np.bincount(stratum[mask], minlength=size).astype(np.int64)

    changed = a != b
    rows = np.stack([predictions.labels[changed], a[changed], b[changed]], axis=1)  # (K, 3)
    kinds, times = np.unique(rows, axis=0, return_counts=True) if len(rows) else (rows, np.empty(0))
    return Pair(
        by=by,
        strata=strata,
        both=count(a_right & b_right),
        lost=count(a_right & ~b_right),
        gained=count(~a_right & b_right),
        neither=count(~a_right & ~b_right),
        classes=predictions.classes,
        labelled=np.bincount(predictions.labels, minlength=len(predictions.classes)).astype(np.int64),
        dense_predicted=np.bincount(a, minlength=len(predictions.classes)).astype(np.int64),
        pruned_predicted=np.bincount(b, minlength=len(predictions.classes)).astype(np.int64),
        moves=np.concatenate([kinds, times[:, None]], axis=1).astype(np.int64),
        clusters=None
        if cluster is None
        else Clusters.of(cluster, size, stratum, predictions.strata(cluster)[1], a_right, b_right),
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
    return Samples(
        strata={each: predictions.strata(each)[1] for each in by},
        right={m.name: right(m.predicted, predictions.labels) for m in predictions.models},
        cluster=None if cluster is None else predictions.strata(cluster)[1],
    )


def flips(predictions: Predictions, dense: str, pruned: str, most: int) -> tuple[tuple[Flip, ...], int]:
    """Samples on which exactly one model is right, and how many there are: lost ones first, in the order of the data.

    Where there are more than ``most``, each class gives as many as the others, as far as it has them.
    """
    labels, classes = predictions.labels, predictions.classes
    a, b = predictions.model(dense).predicted, predictions.model(pruned).predicted
    was, now = right(a, labels), right(b, labels)  # (N,)
    lost, gained = np.flatnonzero(was & ~now), np.flatnonzero(~was & now)
    lost = _in_turn(lost, labels, most)
    kept = np.concatenate([lost, _in_turn(gained, labels, most - len(lost))])
    shown = tuple(
        Flip(id=predictions.ids[i], label=classes[labels[i]], dense=classes[a[i]], pruned=classes[b[i]]) for i in kept
    )
    return shown, int((was != now).sum())


def _in_turn(rows: Counts, labels: Counts, most: int) -> Counts:
    """Up to ``most`` of ``rows`` (K,), sorted: the first of every class, then the second, and so on."""
    order = np.argsort(labels[rows], kind="stable")
    sizes = np.unique(labels[rows], return_counts=True)[1]  # (G,)
    turn = np.empty(len(rows), np.int64)  # (K,) which of its class a row is
    turn[order] = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(rows[np.argsort(turn, kind="stable")[:most]])
