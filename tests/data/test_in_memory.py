"""Arrays of a program as data: whatever numpy makes an array of, and every mistake named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

from prune_audit.data import arrays, class_names
from prune_audit.errors import DataError, UsageError

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_integers_are_output_columns() -> None:
    dataset = arrays(X, [0, 2, 1, 0])
    assert dataset.classes == ("0", "1", "2")
    assert dataset.indexed
    assert dataset.ids == ("0", "1", "2", "3")
    assert dataset.preprocess is None
    [told] = dataset.assumptions
    assert (told.what, told.value, told.option) == (
        "class order",
        "labels are positions of outputs",
        "classes=[...]",
    )
    batch = dataset.read([2, 0])
    np.testing.assert_array_equal(batch.inputs["x"], X[[2, 0]])
    assert batch.labels.tolist() == [1, 0]
    assert arrays(X, [0, 2, 1, 0], classes=["a", "b", "c", "d"]).classes == ("a", "b", "c", "d")


def test_names_go_where_the_classes_say() -> None:
    dataset = arrays(X, np.array(["dog", "cat", "dog", "cat"]), classes=["dog", "cat"])
    assert dataset.labels.tolist() == [0, 1, 0, 1]
    assert dataset.assumptions[0].value == "as classes= names them"
    assert not dataset.indexed
    with pytest.raises(UsageError, match="the order of the outputs is not known"):
        arrays(X, ["dog", "cat", "dog", "cat"])
    with pytest.raises(DataError, match=r"y\[2\]: 'fox' is none of the 2 classes"):
        arrays(X, ["dog", "cat", "fox", "cat"], classes=["dog", "cat"])


@pytest.mark.parametrize("x", [torch.from_numpy(X), pandas.DataFrame(X, columns=["a", "b", "c"]), X.tolist(), {"x": X}])
@pytest.mark.parametrize("y", [torch.tensor([0, 1, 1, 0]), pandas.Series([0, 1, 1, 0]), [False, True, True, False]])
def test_whatever_numpy_makes_an_array_of(x: object, y: object) -> None:
    dataset = arrays(x, y)
    np.testing.assert_array_equal(dataset.read([1]).inputs["x"], X[1:2])
    assert dataset.labels.tolist() == [0, 1, 1, 0]


def test_texts_of_a_data_frame() -> None:
    frame = pandas.DataFrame({"text": ["a", "bb", "c", "d"], "label": ["x", "y", "y", "x"]})
    dataset = arrays(frame["text"], frame["label"], classes=["x", "y"])
    assert dataset.read([1]).inputs["x"].tolist() == ["bb"]


def test_ids_and_groups() -> None:
    dataset = arrays(X, [0, 1, 1, 0], ids=[7, 8, 9, 10], groups={"sex": ["f", "m", "f", "m"], "age": [1, 2, 3, 4]})
    assert dataset.ids == ("7", "8", "9", "10")
    assert dataset.groups["sex"].tolist() == ["f", "m", "f", "m"]
    assert dataset.groups["age"].tolist() == ["1", "2", "3", "4"]


def test_fingerprints_follow_the_inputs() -> None:
    other = X.copy()
    other[3, 2] += 1
    assert arrays(X, [0, 1, 1, 0]).fingerprint(False) == arrays(X.copy(), [0, 0, 0, 0]).fingerprint(False)
    assert arrays(X, [0, 1, 1, 0]).fingerprint(False) != arrays(other, [0, 1, 1, 0]).fingerprint(False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"y": [0, 1]}, r"x has shape \(4, 3\), y 2 labels"),
        ({"y": []}, r"y must be one label per sample, found shape \(0,\)"),
        ({"y": [[0], [1], [1], [0]]}, r"found shape \(4, 1\)"),
        ({"y": [0.0, 1, 1, 0]}, "labels must be integers or text, found float64"),
        ({"y": [0, -1, 1, 0]}, r"y\[1\]: -1 is no class, expected 0 to 1"),
        ({"y": [0, 1, 2, 0], "classes": ["a", "b"]}, r"y\[2\]: 2 is no class, expected 0 to 1"),
        ({"x": [1, None, "a", 2]}, "x must hold numbers or text, found object"),
        ({"x": [[1], [1, 2], [1], [2]]}, "x cannot be made an array"),
        ({"x": torch.from_numpy(X).requires_grad_()}, "x cannot be made an array"),
        ({"ids": ["a"]}, r"ids has shape \(1,\), y 4 labels"),
        ({"groups": {"sex": X}}, r"sex has shape \(4, 3\)"),
        ({"groups": {"sex": ["f"]}}, r"sex has shape \(1,\)"),
        ({"classes": ["a", "a"]}, "the class 'a' is named more than once"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        arrays(**{"x": X, "y": [0, 1, 1, 0], **given})


def test_class_names_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("b\na\n")
    assert class_names(tmp_path / "names.txt") == ("b", "a") == class_names(str(tmp_path / "names.txt"))
    assert class_names(["b", "a"]) == ("b", "a")
