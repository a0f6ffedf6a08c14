"""Recorded answers for samples that carry several labels: which labels and which negatives got which score.

Where only names of labels were recorded, or 1 and 0 of each, there is no score: what is named is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prune_audit.core import Array, Assumption, Counts, Floats, Found, Things
from prune_audit.errors import AlignmentError, ModelError
from prune_audit.models.recorded import join
from prune_audit.tasks.multi_label import AS_RECORDED, AS_SCORES, Cells, probabilities

if TYPE_CHECKING:
    import pyarrow as pa

_OPTION = "--scores [NAME=]KIND"
NAMES = ("names of labels were recorded", AS_SCORES)
NUMBERS = ("lists of whole numbers in a column of predictions", _OPTION)


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
    if asked is None and own.size and np.isin(own, (0, 1)).all():
        return _called(own == 1, cells, name, "all are 1 or 0", _OPTION)
    chances, kind, why = probabilities(own, asked)
    told = Assumption(subject=name, what="scores", value=kind, why=why, option=_OPTION)
    return _answer(chances, cells, name), told


def numbers(column: pa.ChunkedArray, classes: int) -> bool:
    """Whether ``column``, of lists of numbers and called predictions, holds labels that are numbers, and no scores.

    They are whole, and not a 1 or 0 for each of the ``classes``.
    """
    from pyarrow import compute, types

    listed = types.is_list(column.type) or types.is_large_list(column.type)  # as Arrow and as polars write them
    if not listed or not types.is_integer(column.type.value_type):
        return False
    widths = set(compute.unique(compute.list_value_length(column)).to_pylist())
    marks = set(compute.unique(compute.list_flatten(column)).to_pylist()) <= {0, 1}
    return not (marks and widths == {classes})


def named(
    column: pa.ChunkedArray,
    at: Counts,
    cells: Cells,
    classes: tuple[str, ...],
    name: str,
    path: str,
    why: tuple[str, str] = NAMES,
) -> tuple[Found, Assumption]:
    """What a model found that recorded the names of labels in ``column`` (R,), the samples being in rows ``at`` (N,).

    Texts are taken apart by what parts the labels of the data. Numbers are positions in ``classes``, unless these are
    numbers themselves. ``why`` it is taken for names, and the option that says otherwise.

    Raises:
        AlignmentError: a name is no label of the data.
        ModelError: a sample has no list, or one text where nothing says what separates several labels.
    """
    held = column.take(at).to_pylist()
    if not any(isinstance(each, list) for each in held) and cells.separator is None:
        raise ModelError(
            f"{path} holds one class a sample, expected scores of every class, or lists of the labels found",
            hint="call the column of lists of scores 'scores', or those of each class like it, score_NAME",
        )
    if (lacking := next((row for row, each in enumerate(held) if each is None), None)) is not None:
        raise ModelError(
            f"{path}: sample {cells.ids[lacking]!r} has no list of labels",
            hint="where none is found, the list is empty",
        )
    lists = [each if isinstance(each, list) else str(each).split(cells.separator) for each in held]
    stripped = [[text for part in each if (text := str(part).strip())] for each in lists]
    known = list(dict.fromkeys(text for each in stripped for text in each))
    position = dict(zip(known, join.matched(known, classes).tolist(), strict=True))
    called = np.zeros(cells.labels.shape, bool)
    for row, each in enumerate(stripped):
        for text in each:
            if position[text] < 0:
                raise AlignmentError(
                    f"{path}: {text!r}, found in sample {cells.ids[row]!r}, is none of the {len(classes):,} labels of "
                    "the data",
                    hint="record the names that the data have; where these lack some, --classes FILE names all",
                )
            called[row, position[text]] = True
    return _called(called, cells, name, *why)


def _called(called: Array, cells: Cells, name: str, why: str, option: str) -> tuple[Found, Assumption]:
    """What is found where ``called`` (N, C) says so, whatever the threshold."""
    told = Assumption(subject=name, what="scores", value="none, only which labels it finds", why=why, option=option)
    return replace(_answer(np.where(called, 1.0, -np.inf), cells, name), detail=AS_RECORDED), told


def _answer(scores: Floats, cells: Cells, name: str) -> Found:
    positive, negative = cells.positives, cells.negatives
    return Found(
        name=name,
        scores=scores[positive],
        false_labels=negative[1],
        false_in=negative[0],
        false_scores=scores[negative],
    )


def rows(given: Any, ids: Sequence[str], column: str | None, path: str, length: int) -> Counts:
    """The rows of a table of ``length`` with the samples ``ids`` (N,): by the column of ids ``given``, or in order."""
    if column is None:
        return join.in_order(path, length, len(ids))
    return join.rows(path, column, given, ids)[0]
