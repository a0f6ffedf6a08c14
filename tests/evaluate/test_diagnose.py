"""The sample behind a fault is named, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prune_audit.core import Array, Batch, Settings
from prune_audit.errors import DataError, ModelError
from prune_audit.evaluate import diagnose
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.diagnose import not_finite, odd, place, told, too_many
from prune_audit.evaluate.loop import evaluate
from tests.evaluate._models import ArrayData, FunctionModel

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
        ([0, NAN, 0], [0, 0, NAN], ModelError, "model m gave NaN for s6, whose input is finite"),
        ([0, 0, 0], [0, INF, NAN], ModelError, "model m gave infinity for s4, whose input is finite"),
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


def holding(*bad: tuple[int, float]) -> ArrayData:
    """Eight samples, some of which hold what is not finite."""
    x = np.zeros((8, 2, 2))
    for row, value in bad:
        x[row, 1, 0] = value
    return ArrayData({"x": x, "bytes": np.zeros((8, 1), np.uint8)}, [0, 1] * 4)


def blind(name: str) -> FunctionModel:
    """A model that looks at the first number of a sample only."""
    return FunctionModel(name, lambda x: np.stack([1 - x[:, 0, 0], x[:, 0, 0]], axis=1))


def test_rows_that_are_not_finite_are_found() -> None:
    assert odd(holding((1, NAN), (6, -INF)).read([7, 6, 0, 1])).tolist() == [6, 1]
    assert odd(holding().read([0, 1])).tolist() == []


def test_samples_that_are_not_finite_are_told_once_also_where_no_model_runs(tmp_path: Path) -> None:
    every, models, note = np.arange(8), [blind("dense"), blind("pruned")], "NaN or infinity, from which the models"
    for _ in range(2):  # the second time all is known
        data = holding((1, NAN), (6, INF))
        done = evaluate(models, data, every, Settings(workers=1), store=Store(tmp_path))
        (said,) = (each for each in done.notes if note in each)
        assert said.startswith("2 samples hold NaN or infinity")
        assert said.endswith(": s1, s6")
    assert data.reads.sum() == 0
    few = evaluate(models, holding((1, NAN), (6, INF)), every[:4], Settings(workers=1), store=Store(tmp_path))
    assert any(each.startswith("1 sample holds NaN") and each.endswith(": s1") for each in few.notes)
    assert not any(note in each for each in evaluate(models, holding(), every, Settings(workers=1)).notes)


def test_many_samples_that_are_not_finite_are_not_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = holding()
    assert told(data, np.arange(5))[0].startswith("5 samples hold ")
    assert told(data, np.arange(5))[0].endswith(": s0, s1, s2, ...")
    monkeypatch.setattr(diagnose, "ODD_MOST", 4)
    assert told(data, np.arange(4))[0].startswith("4 or more samples hold ")


class Turned(ArrayData):
    """Samples of which some carry an orientation."""

    def read(self, rows: Sequence[int] | Array) -> Batch:
        batch = super().read(rows)
        return replace(batch, turned=np.intersect1d(batch.rows, [1, 5, 6]))


def test_images_that_carry_an_orientation_are_counted_also_where_none_is_read(tmp_path: Path) -> None:
    x = np.eye(2, dtype=np.float32)[np.arange(8) % 2]
    data = Turned({"x": x}, (np.arange(8) % 2).tolist(), classes=("a", "b"))
    model = FunctionModel("m", lambda x: 9 * x)
    said = "3 images carry an EXIF orientation that is not upright, which --exif applies or ignores: s1, s5, s6"
    for _ in range(2):
        assert said in evaluate([model], data, np.arange(8), Settings(), store=Store(tmp_path)).notes
    few = evaluate([model], data, np.arange(2), Settings(), store=Store(tmp_path))
    assert any(each.startswith("1 image carries an EXIF") and each.endswith(": s1") for each in few.notes)
