"""Which things two models get right, to counts: what all tasks share, whatever it is to be right.

A task that knows by model which things it found (`Predictions.right`) needs nothing else than what stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.core import Anew, Array, Clusters, Counted, Counts, Flip, Floats, Pair, Predictions, Samples

Right: TypeAlias = Callable[[Predictions, str], npt.NDArray[np.bool_]]


def right_of(predictions: Predictions, model: str) -> npt.NDArray[np.bool_]:
    """Which things (N,) the ``model`` found. Raises `KeyError` where nobody said so."""
    return predictions.right[model]


def pair(
    predictions: Predictions,
    dense: str,
    pruned: str,
    by: str = "class",
    cluster: str | None = None,
    *,
    top_k: int = 5,  # noqa: ARG001  # of a task with scores of classes
) -> Pair:
    """Count ``dense`` against ``pruned`` within each stratum of ``predictions``, by which things each model found.

    Raises:
        UsageError: there is no such model or column.
    """
    counted = counts(predictions, dense, pruned, by, cluster, right_of)
    if predictions.anew is not None:
        counted = replace(counted, chosen=_chosen(predictions, predictions.anew, dense, pruned, by))
    others = predictions.negatives
    if others is None or by != "class":
        return counted
    return replace(counted, negatives=_counted(others, dense, pruned, cluster if cluster in others.groups else None))


def _chosen(predictions: Predictions, anew: Anew, dense: str, pruned: str, by: str) -> Floats:
    """The variance that choosing thresholds adds to the change of each stratum, and of all (S + 1,).

    Over draws of clusters, that of the change at the thresholds chosen there, less that at the thresholds as they are.
    """
    strata, stratum = predictions.strata(by)
    size = len(strata)
    fixed = predictions.right[pruned].astype(np.float64) - predictions.right[dense]  # (N,)
    found = []
    for draw, weights in enumerate(anew.weights):
        weight = weights[anew.within].astype(np.float64)  # (N,)
        now, was = (anew.scores[name] >= anew.thresholds[name][draw] for name in (pruned, dense))
        number = np.bincount(stratum, weight, size)
        for change in (now.astype(np.float64) - was, fixed):
            net = np.bincount(stratum, weight * change, size)
            found.append(np.append(net, net.sum()) / np.maximum(np.append(number, number.sum()), 1))
    chosen, kept = np.var(found[::2], axis=0), np.var(found[1::2], axis=0)
    added: Floats = np.maximum(chosen - kept, 0.0)
    return added


def _counted(predictions: Predictions, dense: str, pruned: str, cluster: str | None) -> Counted:
    found = counts(predictions, dense, pruned, "class", cluster, right_of)
    return Counted(
        both=found.both, lost=found.lost, gained=found.gained, neither=found.neither, clusters=found.clusters
    )


def counts(predictions: Predictions, dense: str, pruned: str, by: str, cluster: str | None, right: Right) -> Pair:
    """The pair without what is kept of scores, ``right`` telling which things a model gets right."""
    strata, stratum = predictions.strata(by)
    size, classes = len(strata), len(predictions.classes)
    a_right, b_right = right(predictions, dense), right(predictions, pruned)  # (N,)

    def count(mask: Array) -> Counts:
        return np.bincount(stratum[mask], minlength=size).astype(np.int64)

    def called(model: str) -> Counts:
        found = predictions.model(model).predicted
        return np.where(found < 0, classes, found)  # (N,) where what is no class is the one behind the last

    a, b = called(dense), called(pruned)
    changed = a != b
    return Pair(
        by=by,
        strata=strata,
        both=count(a_right & b_right),
        lost=count(a_right & ~b_right),
        gained=count(~a_right & b_right),
        neither=count(~a_right & ~b_right),
        classes=predictions.classes,
        labelled=np.bincount(predictions.labels, minlength=classes).astype(np.int64),
        dense_predicted=np.bincount(a, minlength=classes)[:classes].astype(np.int64),
        pruned_predicted=np.bincount(b, minlength=classes)[:classes].astype(np.int64),
        moves=_moves(predictions.labels[changed], a[changed], b[changed], classes + 1),
        clusters=None
        if cluster is None
        else Clusters.of(cluster, size, stratum, predictions.strata(cluster)[1], a_right, b_right),
        task=predictions.task,
    )


def _moves(labels: Counts, dense: Counts, pruned: Counts, count: int) -> Counts:
    """The different rows of label and both answers, each below ``count``, in their order, and how often each is."""
    # Two by two: what is numbered so stays far below 2**63, and whole rows take three times as long to sort.
    pairs, pair = np.unique(labels * count + dense, return_inverse=True)
    kinds, times = np.unique(pair * count + pruned, return_counts=True)
    of = pairs[kinds // count]
    return np.stack([of // count, of % count, kinds % count, times], axis=1).astype(np.int64)  # (K, 4)


def samples(predictions: Predictions, by: Sequence[str], cluster: str | None, right: Right = right_of) -> Samples:
    """What is to be kept of ``predictions`` for the stratifications ``by``: which things each model is right on."""
    return Samples(
        strata={each: predictions.strata(each)[1] for each in by},
        right={m.name: right(predictions, m.name) for m in predictions.models},
        cluster=None if cluster is None else predictions.strata(cluster)[1],
    )


def flips(
    predictions: Predictions, dense: str, pruned: str, most: int, right: Right = right_of
) -> tuple[tuple[Flip, ...], int]:
    """Things on which exactly one model is right, and how many there are: lost ones first, in the order of the data.

    Where there are more than ``most``, each class gives as many as the others, as far as it has them.
    """
    labels, said = predictions.labels, predictions.answers
    was, now = right(predictions, dense), right(predictions, pruned)  # (N,)
    lost, gained = np.flatnonzero(was & ~now), np.flatnonzero(~was & now)
    lost = _in_turn(lost, labels, most)
    kept = np.concatenate([lost, _in_turn(gained, labels, most - len(lost))]).tolist()

    names = predictions.task.answers(predictions.classes)

    def answer(model: str, i: int) -> str:
        if gave := said.gave.get(model):
            return str(gave[i])
        if "answers" in predictions.task.lacks:
            return "found" if predictions.right[model][i] else "not found"
        called: int = predictions.model(model).predicted[i]
        return names[called]

    told = bool(predictions.right)
    shown = tuple(
        Flip(
            id=predictions.ids[i],
            label=said.right[i] if said.right else predictions.classes[labels[i]],
            dense=answer(dense, i),
            pruned=answer(pruned, i),
            asked=said.asked[i] if said.asked else None,
            right=("dense" if was[i] else "pruned") if told else None,
        )
        for i in kept
    )
    return shown, int((was != now).sum())


def _in_turn(rows: Counts, labels: Counts, most: int) -> Counts:
    """Up to ``most`` of ``rows`` (K,), sorted: the first of every class, then the second, and so on."""
    order = np.argsort(labels[rows], kind="stable")
    sizes = np.unique(labels[rows], return_counts=True)[1]  # (G,)
    turn = np.empty(len(rows), np.int64)  # (K,) which of its class a row is
    turn[order] = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(rows[np.argsort(turn, kind="stable")[:most]])
