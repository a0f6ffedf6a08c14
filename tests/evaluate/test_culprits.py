"""The sample behind a fault is named, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from prune_audit.core import Array
from prune_audit.errors import DataError, ModelError
from prune_audit.evaluate.culprits import not_finite, place, too_many
from tests.evaluate._models import ArrayData

NAN, INF = float("nan"), float("inf")


def labelled(labels: Sequence[int], classes: str, *, indexed: bool = False) -> ArrayData:
    return ArrayData({"x": np.zeros((len(labels), 1))}, labels, classes=tuple(classes), indexed=indexed)


@pytest.mark.parametrize(
    ("labels", "classes", "columns", "told"),
    [
        ([0, 0, 1, 1, 2], "abc", 2, "; rarest: 'c' (1 sample: s4)"),
        ([0, 0, 1, 2, 2], "abc", 2, "; rarest: 'b' (1 sample: s2)"),
        ([0, 0, 0, 1, 1], "abc", 2, "; rarest: 'b' (2 samples, first: s3)"),  # c has no sample to show
        ([0, 0, 1, 2], "abc", 1, "; rarest: 'b' (1 sample: s2), 'c' (1 sample: s3)"),
        ([0, 1, 2, 3, 4, 5], "abcdef", 1, "; rarest: 'a' (1 sample: s0), 'b' (1 sample: s1), 'c' (1 sample: s2)"),
    ],
)
def test_the_rarest_classes_are_named(labels: Sequence[int], classes: str, columns: int, told: str) -> None:
    assert too_many(labelled(labels, classes), columns) == told


def test_labels_that_are_columns_are_named_beyond_the_last_only() -> None:
    data = labelled([0, 1, 1, 4, 4, 1], "01234", indexed=True)
    assert too_many(data, 2) == "; beyond: '4' (2 samples, first: s3)"
    assert too_many(labelled([0, 1], "01234", indexed=True), 2) == ""


def test_a_number_alone_is_called_a_row() -> None:
    data = labelled([0, 0], "a")
    assert place(data, 1) == "s1"
    data.ids = ("0", "1")
    assert place(data, 1) == "row 1"
    data.ids = ("1", "0")
    assert place(data, 1) == "0"


@pytest.mark.parametrize(
    ("x", "scores", "fault", "told"),
    [
        ([0, NAN, 0], [0, NAN, 0], DataError, "arrays: 'x' of s4 holds NaN or infinity"),
        ([0, INF, 0], [NAN, NAN, NAN], DataError, "arrays: 'x' of s4 holds NaN or infinity"),  # rows mixed
        ([0, NAN, 0], [0, 0, NAN], ModelError, "model m gave NaN or infinity for s6, whose input is finite"),
        ([0, 0, 0], [0, INF, NAN], ModelError, "model m gave NaN or infinity for s4, whose input is finite"),
    ],
)
def test_the_data_or_the_model_is_blamed(x: list[float], scores: list[float], fault: type, told: str) -> None:
    every = np.zeros((8, 2, 2))
    every[[2, 4, 6], 1, 0] = x
    data = ArrayData({"ids": np.ones((8, 3), np.int64), "x": every}, [0] * 8)
    given: Array = np.array([[0.0, score] for score in scores])
    error = not_finite("m", given, data.read([2, 4, 6]), data)
    assert type(error) is fault
    assert told in error.message
