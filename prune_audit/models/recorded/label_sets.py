"""Recorded scores of every class for samples that carry several labels: which labels and which negatives got which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prune_audit.core import Array, Assumption, Counts, Floats, Found, Things
from prune_audit.errors import AlignmentError, ModelError
from prune_audit.models.recorded import join
from prune_audit.tasks.multi_label import Cells, probabilities


def cells_of(things: Things, path: str) -> Cells:
    """The labels of ``things``. Raises `AlignmentError` where these are no labels of samples."""
    if isinstance(things.detail, Cells):
        return things.detail
    raise AlignmentError(
        f"{path} holds predictions of samples, and {things.path} holds {things.task}: what was asked for is no sample",
        hint="give labels of samples with --data, or the answers of the models to these",
    )


def found(scores: Array, at: Counts, cells: Cells, name: str, path: str, asked: str | None) -> tuple[Found, Assumption]:
    """What a model found by ``scores`` (R, C), those of the samples being in rows ``at`` (N,).

    Raises:
        AlignmentError: there are not as many scores as classes.
        ModelError: one is NaN.
        UsageError: they are not what was ``asked``.
    """
    if scores.shape[1] != cells.labels.shape[1]:
        raise AlignmentError(
            f"{path} has {scores.shape[1]} scores a sample, the data have {cells.labels.shape[1]} labels",
            hint="name all labels, in the order of the scores, with --classes FILE",
        )
    own: Floats = scores[at].astype(np.float64)
    if (broken := join.first_without(np.asarray(~np.isnan(own).any(axis=1)))) is not None:
        raise ModelError(
            f"{path}: sample {cells.ids[broken]!r} has a score that is NaN", hint="a model that gives NaN finds nothing"
        )
    chances, kind, why = probabilities(own, asked)
    positive, negative = cells.positives, cells.negatives
    told = Assumption(subject=name, what="scores", value=kind, why=why, option="--scores [NAME=]KIND")
    return Found(
        name=name,
        scores=chances[positive],
        false_labels=negative[1],
        false_in=negative[0],
        false_scores=chances[negative],
    ), told


def rows(given: Any, ids: Sequence[str], column: str | None, path: str, length: int) -> Counts:
    """The rows of a table of ``length`` with the samples ``ids`` (N,): by the column of ids ``given``, or in order."""
    if column is None:
        return join.in_order(path, length, len(ids))
    return join.rows(path, column, given, ids)[0]
