"""Recorded predictions: every form and shape of table against plain numpy, and every way in which a join can fail."""

from __future__ import annotations

import csv
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from prune_audit import models, plugins
from prune_audit.core import Array, ModelSource, Outputs, Recorded, Settings
from prune_audit.errors import AlignmentError, AuditError, ModelError, OutputError, UsageError
from prune_audit.models import recorded, write_predictions
from prune_audit.tasks import classification
from tests import arrow_memory

CLASSES = ("cat", "dog", "ship")
IDS = ("a/0010.png", "0011", "x,y", "é")
LABELS = np.array([0, 1, 2, 0])
PREDICTED = np.array([0, 2, 2, 1])
FORMS = ("parquet", "csv", "json", "npz")
ORDER = [2, 0, 3, 1]


def save(path: Path, form: str, columns: Mapping[str, Sequence[Any] | Array]) -> Path:
    """``columns`` as a table of one of the forms, by other means than the library's own."""
    listed = {n: v.tolist() if isinstance(v, np.ndarray) else list(v) for n, v in columns.items()}
    if form == "parquet":
        parquet.write_table(pa.table(listed), path)
    elif form == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([listed.keys(), *zip(*listed.values(), strict=True)])
    elif form == "json":
        rows = [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        arrays: dict[str, Any] = {name: np.asarray(values) for name, values in columns.items()}
        np.savez(path.with_suffix(".npz"), **arrays)
        path.with_suffix(".npz").replace(path)
    return path


def load(path: Path, column: str | None = None) -> Recorded:
    model = models.load(ModelSource(name="phone", path=path, column=column), Settings())
    assert isinstance(model, Recorded)
    return model


def outputs(path: Path, column: str | None = None, classes: tuple[str, ...] = CLASSES) -> Outputs:
    return load(path, column).outputs(IDS, LABELS, classes)


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    values: Array = e / e.sum(axis=1, keepdims=True)
    return values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "predictions"  # no suffix, because content alone tells


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("values", [PREDICTED, [CLASSES[i] for i in PREDICTED]], ids=["positions", "names"])
@pytest.mark.parametrize("ids", ["id", "sample_id", "path", "Filename"])
def test_classes_are_joined_by_id_in_any_order(path: Path, form: str, values: Any, ids: str) -> None:
    shuffled = {ids: [IDS[i] for i in ORDER], "predicted": [values[i] for i in ORDER]}
    out = outputs(save(path, form, {k: np.asarray(v) for k, v in shuffled.items()}))
    assert out.name == "phone"
    np.testing.assert_array_equal(out.predicted, PREDICTED)
    assert (out.confidence, out.true_score, out.rank) == (None, None, None)


@pytest.mark.parametrize("form", FORMS)
def test_without_ids_the_order_is_that_of_the_data(path: Path, form: str) -> None:
    save(path, form, {"prediction": PREDICTED, "speaker": np.array(["u", "v", "u", "v"])})
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)
    with pytest.raises(AlignmentError, match=r"4 predictions without ids, the data have 3 samples"):
        load(path).outputs(IDS[:3], LABELS[:3], CLASSES)


def joined(path: Path, id_column: str | None = None) -> Recorded:
    model = models.load(ModelSource(name="phone", path=path, id_column=id_column), Settings())
    assert isinstance(model, Recorded)
    np.testing.assert_array_equal(model.outputs(IDS, LABELS, CLASSES).predicted, PREDICTED)
    return model


@pytest.mark.parametrize("form", FORMS)
def test_a_column_of_ids_is_called_as_it_may(path: Path, form: str) -> None:
    save(path, form, {"photo": np.array([IDS[i] for i in ORDER]), "predicted": PREDICTED[ORDER]})
    with pytest.raises(AlignmentError, match="the column 'photo' may say whose they are") as caught:
        outputs(path)
    assert "--id-column photo" in caught.value.hint
    [told] = [each for each in joined(path, "photo").assumptions if each.what == "samples"]
    assert (told.subject, told.value) == ("phone", "joined by id, column photo")
    # What the data have under that name, and these predictions do not, changes nothing.
    save(path, form, {"uid": np.array([IDS[i] for i in ORDER]), "predicted": PREDICTED[ORDER]})
    assert joined(path, "photo").expects.id_column == "uid"


def test_how_predictions_without_ids_were_joined_is_said(path: Path) -> None:
    save(path, "csv", {"predicted": PREDICTED, "label": LABELS, "row": [7, 8, 9, 10], "site": [*"aabb"]})
    [told] = [each for each in joined(path).assumptions if each.what == "samples"]
    assert (told.what, told.value) == ("samples", "taken in the order of the data")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"row": [3, 1, 2, 0]}, "the column 'row' may say whose they are"),
        ({"a": ["p", "q", "r", "s"], "b": [9, 1, 4, 7]}, "the columns 'a', 'b' may say"),
        ({"label": [0, 2, 1, 0]}, "'label' holds other labels than the data for 2 of 4 samples"),
        ({"class": ["dog", "dog", "ship", "cat"]}, "'class' holds other labels than the data for 1 of 4 samples"),
    ],
)
def test_what_speaks_against_the_order_stops_the_run(path: Path, column: dict[str, Any], message: str) -> None:
    save(path, "csv", {**column, "predicted": PREDICTED})
    with pytest.raises(AlignmentError, match=message):
        outputs(path)


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (["17.0", "2.0", "30.0"], ("2", "17", "30")),
        ([7, 2, 30], ("2.0", "7.0", "30.0")),
        ([17.0, 2.0, 30.0], ("2", "17", "30")),
        ([" a ", "b", "c"], ("b", "a", " c")),
        (["7", "8", "10"], ("008", "007", "010")),
    ],
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_ids_that_are_written_otherwise(path: Path, form: str, given: list[Any], ids: tuple[str, ...]) -> None:
    model = load(save(path, form, {"id": given, "predicted": [0, 1, 2]}))
    found = model.outputs(ids, np.array([0, 1, 2]), CLASSES).predicted
    wanted = {str(each).strip().removesuffix(".0").lstrip("0"): at for at, each in enumerate(given)}
    assert found.tolist() == [wanted[each.strip().removesuffix(".0").lstrip("0")] for each in ids]
    # Arrow writes 17.0 as 17 by itself.
    assert (model.assumptions[0].why == "ids compared as numbers, without blanks") is (
        form == "csv" or given[0] != 17.0
    )


def test_ids_that_would_be_one_number_are_not_taken_for_it(path: Path) -> None:
    save(path, "csv", {"id": ["7", "007", "x"], "predicted": [0, 1, 2]})
    with pytest.raises(AlignmentError, match=r"no prediction for '7\.0'"):
        load(path).outputs(("7.0", "x"), np.array([0, 2]), CLASSES)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("between", [", ", "\t", ","])
def test_ways_to_write_a_csv(path: Path, encoding: str, between: str) -> None:
    rows = [["id", "predicted"], *([f'"{IDS[i]}"', CLASSES[PREDICTED[i]]] for i in ORDER)]
    path.write_text("".join(between.join(row) + "\r\n" for row in rows), encoding=encoding, newline="")
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)


def test_json_in_utf_16(path: Path) -> None:
    path.write_text(json.dumps({IDS[i]: CLASSES[PREDICTED[i]] for i in ORDER}, ensure_ascii=False), encoding="utf-16")
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)


@pytest.mark.parametrize("text", ["s0,cat\ns1,dog\ns2,cat\n", "a/0.png,0\na/1.png,1\n", "0,2\n1,0\n"])
def test_a_file_without_a_line_of_names_is_told(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ModelError, match="the first line seems to be a sample") as caught:
        load(path)
    assert "id,predicted" in caught.value.hint


def test_whole_scores_are_called_by_the_numbers_of_their_classes(path: Path) -> None:
    rows = [[IDS[i], *(100 * np.eye(3, dtype=int)[PREDICTED[i]] - 7).tolist()] for i in ORDER]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "0", "1", "2"], *rows])
    np.testing.assert_array_equal(outputs(path, classes=("0", "1", "2")).predicted, PREDICTED)
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)  # as positions
    with pytest.raises(AlignmentError, match="'0' does not fit") as caught:
        outputs(path, classes=("1", "2", "3"))
    assert "like its class, 1 or score_1" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        PREDICTED.tolist(),
        [CLASSES[i] for i in PREDICTED],
        {IDS[i]: int(PREDICTED[i]) for i in ORDER},
        {IDS[i]: CLASSES[PREDICTED[i]] for i in ORDER},
        {"id": [IDS[i] for i in ORDER], "predicted": PREDICTED[ORDER].tolist()},
        np.eye(3)[PREDICTED].tolist(),
        {IDS[i]: np.eye(3)[PREDICTED[i]].tolist() for i in ORDER},
    ],
    ids=["positions", "names", "id to position", "id to name", "columns", "scores", "id to scores"],
)
def test_json_of_every_shape(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1))
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("last", [True, False], ids=["with the last class", "without it"])
def test_numbers_from_1_are_never_shifted_in_silence(path: Path, form: str, last: bool) -> None:
    rng = np.random.default_rng(17)
    labels = rng.integers(0, 3, 60)
    at = np.where(rng.random(60) < 0.8, labels, rng.integers(0, 3, 60))
    at = at if last else np.minimum(at, 1)
    ids = [f"n{i}" for i in range(60)]
    save(path, form, {"id": np.array(ids), "predicted": at + 1})
    model = load(path)
    found = model.outputs(ids, labels, CLASSES)
    np.testing.assert_array_equal(found.predicted, at)
    [told] = [each for each in model.assumptions if each.what == "scores"]
    assert (told.value, told.option) == ("classes, numbers from 1", "--scores")
    assert told.why.startswith("right on")
    # Beside a dense model whose numbers begin at 0, too: what the numbers themselves show goes first.
    np.testing.assert_array_equal(model.outputs(ids, labels, CLASSES, "classes").predicted, at)
    save(path, form, {"id": np.array(ids), "predicted": np.ones(60, np.int64)})
    even = np.arange(60) % 2
    with pytest.raises(UsageError, match="never 0, and nothing shows"):
        load(path).outputs(ids, even, CLASSES)
    assert set(load(path).outputs(ids, even, CLASSES, "classes").predicted.tolist()) == {1}
    asked = recorded.load(ModelSource(name="m", path=path), Settings(scores=("m=classes-from-1",)))
    assert set(asked.outputs(ids, even, CLASSES).predicted.tolist()) == {0}


SCORES = np.array([[2.0, 1, 0], [0, 1, 3], [1, 1, 1], [-5, 2, -1]], np.float32)


@pytest.mark.parametrize("form", ["parquet", "json", "npz"])
@pytest.mark.parametrize("given", [False, True], ids=["logits", "probabilities"])
def test_scores_as_lists(path: Path, form: str, given: bool) -> None:
    scores = softmax(SCORES.astype(np.float64)) if given else SCORES
    save(path, form, {"id": np.array([IDS[i] for i in ORDER]), "scores": scores[ORDER]})
    model = load(path)
    out = model.outputs(IDS, LABELS, CLASSES)
    chances = softmax(SCORES.astype(np.float64))
    np.testing.assert_array_equal(out.predicted, [0, 2, 0, 1])
    assert out.confidence is not None
    assert out.true_score is not None
    np.testing.assert_allclose(out.confidence, chances.max(axis=1))
    np.testing.assert_allclose(out.true_score, chances[range(4), LABELS])
    np.testing.assert_array_equal(out.rank, [0, 1, 2, 2])  # equal scores rank in class order
    assert not model.expects.runs
    assert model.expects.outputs == (3 if form == "npz" else None)  # lists tell no width before they are read


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prefix", ["", "score_"])
def test_a_column_of_scores_for_every_class_in_any_order(path: Path, form: str, prefix: str) -> None:
    by_class = {f"{prefix}{CLASSES[i]}": SCORES[:, i] + 0.25 for i in (2, 0, 1)}
    save(path, form, {"id": np.array(IDS), **by_class})
    out = outputs(path)
    np.testing.assert_array_equal(out.predicted, [0, 2, 0, 1])
    np.testing.assert_array_equal(out.rank, [0, 1, 2, 2])


@pytest.mark.parametrize(
    ("column", "predicted"),
    [([0.1, 0.5, 0.75, 0.9], [0, 0, 1, 1]), ([-3.0, 0, 0.5, 4], [0, 0, 1, 1])],
    ids=["probabilities", "logits"],
)
def test_one_score_splits_two_classes(path: Path, column: list[float], predicted: list[int]) -> None:
    save(path, "npz", {"scores": np.array(column)[:, None]})
    out = load(path).outputs(IDS, np.array([0, 1, 1, 0]), ("no", "yes"))
    np.testing.assert_array_equal(out.predicted, predicted)
    positive = column if column[0] > 0 else 1 / (1 + np.exp(-np.array(column)))
    assert out.true_score is not None
    np.testing.assert_allclose(out.true_score, np.where([0, 1, 1, 0], positive, 1 - np.array(positive)))


@pytest.mark.parametrize(
    ("argument", "name", "file", "column"),
    [
        ("p.csv#half", "half", "p.csv", "half"),
        ("mine=p.csv#half", "mine", "p.csv", "half"),
        ("p.csv#half=50", "half=50", "p.csv", "half=50"),
        ("p.csv#acc#1", "acc#1", "p.csv", "acc#1"),
        ("p.csv", "p", "p.csv", None),
        ("p.csv#", "p", "p.csv", None),
        ("c#.csv", "c#", "c#.csv", None),  # what exists is a path
        ("mine=c#.csv", "mine", "c#.csv", None),
        ("c#.csv#half", "half", "c#.csv", "half"),
        ("absent.csv#half", "half", "absent.csv", "half"),
        ("w.pth@nets:make(tag='#1')", "w", "w.pth", None),
    ],
)
def test_a_column_is_taken_from_the_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, name: str, file: str, column: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    for each in ("p.csv", "c#.csv"):
        Path(each).touch()
    source = models.parse(argument)
    assert (source.name, source.path, source.column) == (name, Path(file), column)


@pytest.mark.parametrize("form", FORMS)
def test_one_column_a_model(path: Path, form: str) -> None:
    names = np.array([CLASSES[i] for i in PREDICTED])
    save(path, form, {"id": np.array(IDS), "label": names, "dense": names, "half=50": PREDICTED})
    with pytest.raises(UsageError, match="may hold several models: dense, half=50") as caught:
        load(path)
    assert caught.value.hint.endswith(f"'{path}#dense'")
    both = [load(path, column) for column in ("dense", "half=50")]
    for model in both:
        np.testing.assert_array_equal(model.outputs(IDS, LABELS, CLASSES).predicted, PREDICTED)
    assert both[0].card.digest != both[1].card.digest
    with pytest.raises(UsageError, match="no column 'pruned'") as caught:
        load(path, "pruned")
    assert "dense, half=50" in caught.value.hint


def test_the_same_column_is_the_same_whether_it_was_named_or_not(path: Path) -> None:
    save(path, "csv", {"id": IDS, "predicted": PREDICTED})
    assert load(path).card.digest == load(path, "predicted").card.digest
    assert load(path).card.size == path.stat().st_size
    assert load(path).card.format == "predictions"


def test_classes_and_scores_side_by_side_need_a_choice(path: Path) -> None:
    save(path, "parquet", {"id": IDS, "predicted": PREDICTED, "scores": SCORES})
    with pytest.raises(UsageError, match="several models: predicted, scores"):
        load(path)
    assert outputs(path, "predicted").rank is None
    np.testing.assert_array_equal(outputs(path, "scores").rank, [0, 1, 2, 2])


def test_the_true_class_is_the_prediction_only_where_nothing_else_is(path: Path) -> None:
    save(path, "csv", {"id": IDS, "label": PREDICTED})
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)
    save(path, "csv", {"id": IDS, "label": LABELS, "mine": PREDICTED})
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)


@pytest.mark.parametrize(
    ("values", "classes", "expected"),
    [
        ([0, 1, 2, 0], ("cat", "dog", "ship"), [0, 1, 2, 0]),  # positions
        (["0", "1", "2", "0"], ("cat", "dog", "ship"), [0, 1, 2, 0]),  # the same as text
        ([0, 1, 2, 0], ("0", "1", "2"), [0, 1, 2, 0]),  # both readings agree
        ([3, 1, 2, 3], ("1", "2", "3"), [2, 0, 1, 2]),  # names
        ([7, 8, 9, 7], ("007", "008", "009"), [0, 1, 2, 0]),
        (["007", "8", "9", "7"], ("007", "008", "009"), [0, 1, 2, 0]),
        (["1", "2", "rest", "1"], ("1", "2", "rest"), [0, 1, 2, 0]),  # text is a name
        ([1.0, 2.0, 0.0, 1.0], ("cat", "dog", "ship"), [1, 2, 0, 1]),  # as pandas writes what once had gaps
        (["1.0", "2.0", "0.0", "1."], ("cat", "dog", "ship"), [1, 2, 0, 1]),  # the same as text
        ([3, 1, 2, 3], ("1.0", "2.0", "3.0"), [2, 0, 1, 2]),  # labels that once had gaps are names, not positions
        ([3.0, 1.0, 2.0, 3.0], ("1.0", "2.0", "3.0"), [2, 0, 1, 2]),
        (["1.5", "2", "1.5", "2"], ("1.5", "2", "rest"), [0, 1, 0, 1]),
        ([True, False, True, True], ("no", "yes"), [1, 0, 1, 1]),
    ],
)
def test_names_and_numbers_of_classes(
    path: Path, values: list[Any], classes: tuple[str, ...], expected: list[int]
) -> None:
    save(path, "parquet", {"predicted": values})
    np.testing.assert_array_equal(outputs(path, classes=classes).predicted, expected)


def test_a_categorical_column_is_text(path: Path) -> None:
    column = pa.array([CLASSES[i] for i in PREDICTED]).dictionary_encode()
    parquet.write_table(pa.table({"id": pa.array(IDS).dictionary_encode(), "predicted": column}), path)
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)


def test_classes_that_look_like_dates_are_names(path: Path) -> None:
    save(path, "csv", {"id": IDS, "predicted": ["2020-01-01", "12:30:00", "2020-01-01", "12:30:00"]})
    assert outputs(path, classes=("12:30:00", "2020-01-01", "x")).predicted.tolist() == [1, 0, 1, 0]
    save(path, "csv", {"id": IDS, "predicted": ["2020-01-01"] * 4})
    assert outputs(path, classes=("x", "y", "2020-01-01")).predicted.tolist() == [2] * 4


def test_numbers_are_ids_as_they_are_written(path: Path) -> None:
    save(path, "parquet", {"id": [3, 1, 2], "predicted": [0, 1, 2]})
    np.testing.assert_array_equal(load(path).outputs(("1", "2", "3"), LABELS[:3], CLASSES).predicted, [1, 2, 0])
    path.write_text("id,predicted\n03,0\n01,1\n02,2\n")
    np.testing.assert_array_equal(load(path).outputs(("01", "02", "03"), LABELS[:3], CLASSES).predicted, [1, 2, 0])


def test_predictions_for_more_than_is_audited_are_passed_over(path: Path) -> None:
    save(path, "csv", {"id": IDS, "predicted": PREDICTED})
    np.testing.assert_array_equal(load(path).outputs(IDS[1:3], LABELS[1:3], CLASSES).predicted, PREDICTED[1:3])


MIXED = ("1", "2", "rest")
BAD: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"id": IDS[:3], "predicted": [0, 0, 0]}, CLASSES, r"no prediction for 'é' \(1 of 4 samples\)"),
    ({"id": [*IDS, "0011"], "predicted": [0] * 5}, CLASSES, "several predictions for '0011'"),
    ({"id": ["p", "q", "r", "s"], "predicted": [0] * 4}, CLASSES, "no id in common: .*'p', 'q', 'r', .*'a/0010.png'"),
    ({"id": [*IDS[:3], None], "predicted": [0] * 4}, CLASSES, "row 4 has no id"),
    ({"id": [[1.5]] * 4, "predicted": [0] * 4}, CLASSES, "column 'id' of ids holds list<.*>, which are no ids"),
    ({"id": [b"\xff"] * 4, "predicted": [0] * 4}, CLASSES, "column 'id' of ids holds binary, which are no ids"),
    ({"id": IDS, "predicted": ["cat", "dog", "cow", "cat"]}, CLASSES, "prediction 'cow' for sample 'x,y' is none of"),
    ({"id": IDS, "predicted": [0, 3, 0, 0]}, CLASSES, "prediction 3 for sample '0011' is none of the 3 classes"),
    ({"id": IDS, "predicted": ["0", "1.5", "0", "0"]}, CLASSES, "prediction '1.5' for sample '0011' is none of"),
    ({"id": IDS, "predicted": [0, 1, 0, 0]}, ("0",), r"prediction 1 for sample '0011' is not the only class \(0\)"),
    ({"id": IDS, "predicted": [0, -1, 0, 0]}, CLASSES, "prediction -1 for sample '0011'"),
    ({"id": IDS, "predicted": [0, 1, 2, 3]}, ("1", "2", "3"), "prediction 0 for sample 'a/0010.png'"),
    ({"id": IDS, "predicted": ["1", "2", "0", "1"]}, MIXED, "prediction '0' for sample 'x,y'"),
    ({"id": IDS, "predicted": ["cat", None, "dog", "dog"]}, CLASSES, "sample '0011' has no predicted class"),
    ({"id": IDS, "predicted": [0.0, None, 1.0, 2.0]}, CLASSES, "sample '0011' has no predicted class"),
    ({"id": IDS, "predicted": [0.0, 0.37, 1.0, 2.0]}, CLASSES, "prediction 0.37 for sample '0011' is no class"),
    ({"id": IDS, "predicted": [0.0, -np.inf, 1.0, 2.0]}, CLASSES, "prediction -inf for sample '0011' is no class"),
    ({"id": IDS, "predicted": [0.0, 1e300, 1.0, 2.0]}, CLASSES, r"prediction 1e\+300 for sample '0011' is no class"),
    ({"id": IDS, "scores": SCORES[:, :2]}, CLASSES, "2 scores a sample, the data have 3 classes"),
    ({"id": IDS, "scores": [[1.0, 2, 3], [1, 2], [1, 2, 3], [1, 2, 3]]}, CLASSES, "expected as many scores"),
    ({"id": IDS, "scores": [[1.0, 2, 3], None, [1, 2, 3], [1, 2, 3]]}, CLASSES, "expected as many scores"),
    ({"id": IDS, "scores": np.where(SCORES == 3, np.nan, SCORES)}, CLASSES, "sample '0011' has no score"),
    ({"id": IDS, "scores": np.where(SCORES == 3, np.inf, SCORES)}, CLASSES, "sample '0011' has no score"),
    ({"id": IDS, "score_cat": SCORES[:, 0], "score_dog": SCORES[:, 1]}, CLASSES, "found 2; 'ship' does not fit"),
    ({"id": IDS, "cat": SCORES[:, 0], "dog": SCORES[:, 1], "cow": SCORES[:, 2]}, CLASSES, "'cow' does not fit"),
]


@pytest.mark.parametrize(("columns", "classes", "message"), BAD, ids=[case[2] for case in BAD])
def test_what_does_not_fit_is_named(
    path: Path, columns: Mapping[str, Any], classes: tuple[str, ...], message: str
) -> None:
    save(path, "parquet", columns)
    with pytest.raises(AuditError, match=message) as caught:
        outputs(path, classes=classes)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_an_empty_cell_of_a_csv_is_no_class(path: Path) -> None:
    path.write_text("id,predicted\n" + "".join(f'"{i}",{p}\n' for i, p in zip(IDS, ["0", "", "1", "1"], strict=True)))
    with pytest.raises(AlignmentError, match="sample '0011' has no predicted class"):
        outputs(path)


def test_an_id_that_is_there_twice_in_a_json_object_is_seen(path: Path) -> None:
    path.write_text('{"a": 1, "b": 2, "a": 1}')
    with pytest.raises(ModelError, match="'a' is there more than once"):
        load(path)


@pytest.mark.parametrize("suffix", FORMS)
@pytest.mark.parametrize("scored", [True, False])
def test_what_was_written_reads_back_as_the_very_same(tmp_path: Path, suffix: str, scored: bool) -> None:
    classes = ("a, b", 'quoted "c"', "10", "two\nlines")
    random = np.random.default_rng(3)
    ids = tuple(f"p/{i:03d}, {random.random()}.png" for i in range(50))
    labels = random.integers(0, 4, 50)
    scores = random.normal(size=(50, 4))
    chances = softmax(scores)
    rank = (scores > scores[range(50), labels][:, None]).sum(axis=1).astype(np.int32)
    out = Outputs(
        name="phone",
        predicted=scores.argmax(axis=1),
        confidence=chances.max(axis=1) if scored else None,
        true_score=chances[range(50), labels] if scored else None,
        rank=rank if scored else None,
    )
    path = tmp_path / f"predictions.{suffix}"
    write_predictions(path, out, ids, labels, classes)
    back = load(path).outputs(ids, labels, classes)
    for name in ("predicted", "confidence", "true_score", "rank"):
        np.testing.assert_array_equal(getattr(back, name), getattr(out, name))
        assert np.asarray(getattr(back, name)).dtype == np.asarray(getattr(out, name)).dtype
    # Classes go by name, so another order of them is no other prediction.
    again = load(path).outputs(ids, 3 - labels, classes[::-1])
    np.testing.assert_array_equal(again.predicted, 3 - out.predicted)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def write(path: Path, **changed: Any) -> None:
    whole = {
        "confidence": np.full(4, 0.5),
        "true_score": np.full(4, 0.25),
        "rank": np.where(PREDICTED == LABELS, 0, 1).astype(np.int32),
    }
    write_predictions(path, Outputs(name="m", predicted=PREDICTED, **(whole | changed)), IDS, LABELS, CLASSES)


def test_what_was_recorded_for_other_labels_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write(path)
    other = np.array([0, 0, 2, 0])  # the rank of the second would be 1 still
    with pytest.raises(AlignmentError, match="true_score and rank of sample '0011' were recorded for another label"):
        load(path).outputs(IDS, other, CLASSES)
    without = parquet.read_table(path).drop(["label"])
    parquet.write_table(without, path)
    with pytest.raises(AlignmentError, match="of sample '0011' were recorded for another label"):
        load(path).outputs(IDS, np.array([0, 2, 2, 0]), CLASSES)
    # A confidence is about no label.
    parquet.write_table(without.drop(["true_score", "rank"]), path)
    assert load(path).outputs(IDS, other, CLASSES).confidence is not None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"confidence": np.array([0.5, 1.5, 0, 0])}, "expected a probability, found confidence 1.5 for sample '0011'"),
        ({"true_score": np.array([0.5, np.nan, 0, 0])}, "expected a probability, found true_score nan"),
        ({"rank": np.array([0, -1, 0, 1])}, "expected a whole number from 0, found rank -1 for sample '0011'"),
    ],
)
def test_impossible_numbers_are_refused(tmp_path: Path, changed: Mapping[str, Array], message: str) -> None:
    write(tmp_path / "p.parquet", **changed)
    with pytest.raises(ModelError, match=message):
        outputs(tmp_path / "p.parquet")


def test_a_file_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    out = Outputs(name="m", predicted=PREDICTED)
    with pytest.raises(UsageError, match="two samples are called 'a'"):
        write_predictions(tmp_path / "p.csv", out, ("b", "a", "c", "a"), LABELS, CLASSES)
    with pytest.raises(UsageError, match=r"no predictions are written to \.txt"):
        write_predictions(tmp_path / "p.txt", out, IDS, LABELS, CLASSES)
    with pytest.raises(OutputError, match="there is no folder"):
        write_predictions(tmp_path / "none" / "p.csv", out, IDS, LABELS, CLASSES)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError, match="found a folder"):
        write_predictions(tmp_path / "folder.csv", out, IDS, LABELS, CLASSES)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.csv"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.parquet"
    path.write_text("before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet, "write_table", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write(path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


NOT: dict[str, Callable[[Path], object]] = {
    "prose": lambda p: p.write_text("This is no model, é\nand this line has none\n"),
    "prose of commas": lambda p: p.write_text("This, that,\nor, what\n"),
    "a list of names": lambda p: p.write_text("cat\ndog\nship\n"),
    "a header alone": lambda p: p.write_text("id,predicted\n"),
    "arrays of data": lambda p: save(p, "npz", {"x": np.zeros((2, 3)), "y": np.zeros(2), "id": np.zeros(2)}),
    "nothing": lambda p: p.write_bytes(b""),
    "a zip": lambda p: zipfile.ZipFile(p, "w").writestr("model/data.pkl", b""),
    "a pickle": lambda p: p.write_bytes(pickle.dumps([1, 2])),
    "safetensors": lambda p: p.write_bytes((2).to_bytes(8, "little") + b"{}"),
    "json of something else": lambda p: p.write_text("[null]"),
}


@pytest.mark.parametrize("what", NOT)
def test_other_files_are_not_claimed(path: Path, what: str) -> None:
    NOT[what](path)
    assert not recorded.recognises(path)


@pytest.mark.parametrize("form", FORMS)
def test_predictions_are_recognised_by_this_plugin_alone(path: Path, form: str) -> None:
    save(path, form, {"id": np.array(IDS), "predicted": PREDICTED})
    assert [name for name, module in plugins.loaded("models") if module.recognises(path)] == ["recorded"]


@pytest.mark.parametrize("form", ["parquet", "json", "npz"])
def test_a_file_cut_short_is_an_error_of_the_model(path: Path, form: str) -> None:
    save(path, form, {"id": np.array(IDS * 200), "predicted": np.tile(PREDICTED, 200)})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match=r"cannot be read|cut short"):
        load(path)


@pytest.mark.parametrize(
    "text",
    ["id,predicted\na,1\nb,2,3\n", '{"architectures": ["ViT"], "depth": 3}', '[{"a": 1}, 3]', '[1, "cat"]', "[1, [2]]"],
)
def test_a_table_that_is_none_is_an_error_of_the_model(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ModelError):
        outputs(path)


def test_a_row_of_another_length_is_named(path: Path) -> None:
    path.write_text("id;predicted\na;1\n\nb;2;3\n")
    with pytest.raises(ModelError, match="whose row 4 has 3 cells, and its line of names 2"):
        load(path)
    path.write_text("Once, she predicted\nrain, wind, and hail\n")
    with pytest.raises(ModelError, match=r"(?m)text beginning 'Once, she predicted'$"):
        load(path)


def test_arrays_of_objects_are_never_unpickled(path: Path) -> None:
    save(path, "npz", {"predicted": np.array(["a", None], object)})
    with pytest.raises(ModelError, match="never loaded"):
        load(path)


def test_a_table_without_predictions_says_what_it_has(path: Path) -> None:
    save(path, "parquet", {"id": IDS, "rank": PREDICTED})
    with pytest.raises(ModelError, match="no predictions among the columns id, rank"):
        load(path)


def test_predictions_need_no_factory(path: Path) -> None:
    save(path, "csv", {"id": IDS, "predicted": PREDICTED})
    with pytest.raises(UsageError, match="need no factory nets:make"):
        models.load(ModelSource(name="m", path=path, factory="nets:make"), Settings())


def test_a_model_that_runs_has_no_columns(sample_models: Path) -> None:
    with pytest.raises(UsageError, match="is one model, without a column 'x'"):
        load(sample_models / "dense.onnx", "x")


def test_published_predictions_are_read_as_they_are(shared: Path) -> None:
    folder = shared / "cifar10.1-v4-predictions"
    labels = np.load(folder / "labels.npy").astype(np.int64)
    ids = tuple(map(str, range(len(labels))))
    for path in sorted(folder.glob("*.json")):
        out = load(path).outputs(ids, labels, tuple(map(str, range(10))))
        np.testing.assert_array_equal(out.predicted, json.loads(path.read_text()))


def test_arrow_gives_back_what_it_has_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = []

    class Pool:
        def release_unused(self) -> None:
            released.append(arrow_memory.held(before))

    monkeypatch.setattr(pa, "default_memory_pool", Pool)
    path = tmp_path / "m.csv"
    path.write_text("id,predicted\na,x\nb,y\n")
    before = arrow_memory.still()
    recorded.load(ModelSource(name="m", path=path), Settings()).outputs(["a", "b"], np.array([0, 1]), ("x", "y"))
    assert released == [before]  # with the table itself gone


@pytest.mark.parametrize("form", FORMS)
def test_ties_are_written_and_read_again_where_there_are_any(path: Path, form: str) -> None:
    rng = np.random.default_rng(23)
    ids, labels = [f"t{i}" for i in range(90)], rng.integers(0, 3, 90)
    scores = np.round(rng.normal(size=(90, 3)) + 2 * np.eye(3)[labels])
    own = scores[np.arange(90), labels][:, None]
    before = (scores > own) | ((scores == own) & (np.arange(3) < labels[:, None]))
    made = Outputs(
        name="m",
        predicted=scores.argmax(axis=1),
        rank=before.sum(axis=1).astype(np.int32),
        tied=(scores == scores.max(axis=1, keepdims=True)).sum(axis=1),
    )
    target = path.with_suffix(f".{form}")
    write_predictions(target, made, ids, labels, CLASSES)
    back = load(target).outputs(ids, labels, CLASSES)
    np.testing.assert_array_equal(back.tied, made.tied)
    np.testing.assert_array_equal(classification.credit(back, labels), classification.credit(made, labels))
    assert 0 < classification.credit(made, labels).sum() != (made.predicted == labels).sum()
    none = Outputs(name="m", predicted=labels, rank=np.zeros(90, np.int32), tied=np.ones(90, np.int64))
    write_predictions(target, none, ids, labels, CLASSES)
    assert load(target).outputs(ids, labels, CLASSES).tied is None


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"none", "'predicted' is no array"), (b"\x93NUMPY\x01\x00\x04\x00{'a\n", "'predicted' is damaged")],
)
def test_members_that_are_no_arrays(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "phone.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("predicted.npy", content)
    with pytest.raises(ModelError, match=told):
        load(path)


def test_json_that_is_nested_or_says_a_thing_twice(tmp_path: Path) -> None:
    path = tmp_path / "phone.json"
    path.write_text('{"predicted": ' + "[" * 90_000)
    with pytest.raises(ModelError, match="nested too deeply"):
        load(path)


def test_a_cell_beyond_what_is_read_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "phone.csv"
    lines = ["id, predicted", *(f"{name}, cat" for name in ("a", "b", "z" * 140_000))]
    path.write_text("\n".join(["", *lines]).strip())
    with pytest.raises(ModelError, match="field larger than field limit"):
        load(path)


@pytest.mark.parametrize("form", ["parquet", "npz"])
def test_numbers_beyond_those_with_a_sign(tmp_path: Path, form: str) -> None:
    numbers = np.array([0, 1, 2, 2**64 - 1], np.uint64)
    path = tmp_path / "phone"
    if form == "npz":
        np.savez(path.with_suffix(".npz"), id=np.array(IDS), predicted=numbers)
        path.with_suffix(".npz").replace(path)
    else:
        parquet.write_table(pa.table({"id": list(IDS), "predicted": pa.array(numbers)}), path)
    with pytest.raises(ModelError, match="18446744073709551615 not in range"):
        outputs(path)


def test_ids_in_bytes_are_text(tmp_path: Path) -> None:
    path = tmp_path / "phone"
    parquet.write_table(pa.table({"id": [name.encode() for name in IDS], "predicted": PREDICTED}), path)
    np.testing.assert_array_equal(outputs(path).predicted, PREDICTED)


@pytest.mark.parametrize("cell", ["[0.1, 0.8, 0.1]", "[0.1 0.8 0.1]", "(0.1, 0.8, 0.1)"])
def test_lists_of_scores_in_csv_are_told_from_names_of_classes(cell: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", "csv", {"id": IDS, "scores": [cell] * len(IDS)})
    with pytest.raises(AlignmentError, match="is none of the 3 classes") as caught:
        outputs(path)
    assert caught.value.hint.startswith("scores of every class need a column each in CSV, score_0, score_1")


def test_an_audit_of_predicted_classes_does_without_pandas(tmp_path: Path) -> None:
    for name, column, at in (
        ("dense", "prediction", PREDICTED),
        ("pruned", "prediction", LABELS),
        ("labels", "label", LABELS),
    ):
        save(tmp_path / f"{name}.parquet", "parquet", {"id": IDS, column: [CLASSES[each] for each in at]})
    code = """if True:
        import sys
        from prune_audit.cli import invoke
        pair = ["dense.parquet", "pruned.parquet"]
        assert invoke(["compare", *pair, "--data", "labels.parquet", "-q", "--no-cache"]) == 0
        print([name for name in ("pandas", "torch", "onnxruntime") if name in sys.modules])
        """
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def renamed(path: Path, table: dict[str, Any], called: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """What is predicted where a class map calls the model's ``called`` (C,) as the data call `CLASSES`, and what of."""
    save(path, "csv", table)
    model = models.load(ModelSource(name="phone", path=path, called=called), Settings())
    assert isinstance(model, Recorded)
    predicted = model.outputs(IDS, LABELS, CLASSES).predicted.tolist()
    return predicted, [each.what for each in model.assumptions]


def test_a_model_may_call_classes_by_its_own_names(path: Path) -> None:
    own = ("n01", "n02", "n03")
    names = {"id": np.array(IDS), "predicted": np.array([own[at] for at in PREDICTED])}
    assert renamed(path, names, own) == (PREDICTED.tolist(), ["samples", "names of classes"])
    scores = {f"score_{name}": np.equal(PREDICTED, at).astype(float) for at, name in enumerate(own)}
    assert renamed(path, {"id": np.array(IDS), **scores}, own)[0] == PREDICTED.tolist()
    # With that class map `prune-audit predict` wrote the data's names, and those come first.
    turned = {"id": np.array(IDS), "predicted": np.array([CLASSES[at] for at in PREDICTED])}
    assert renamed(path, turned, CLASSES[::-1]) == (PREDICTED.tolist(), ["samples"])
    mixed = {"id": np.array(IDS), "predicted": np.array([own[0], *(CLASSES[at] for at in PREDICTED[1:])])}
    with pytest.raises(AlignmentError, match=r"'n01' for sample .* is none of the 3 classes"):
        renamed(path, mixed, own)
