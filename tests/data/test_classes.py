"""Class lists in every form, their order, and labels as positions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prune_audit.core import DataSource, Expects
from prune_audit.data import _classes
from prune_audit.errors import DataError


def listed(folder: Path, text: str) -> Path:
    path = folder / "classes.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\n007\n",
        "cat\r\ndog\r\n007",
        "\ufeffcat\ndog\n007\n\n",
        json.dumps(["cat", "dog", "007"]),
        json.dumps({"0": "cat", "2": "007", "1": "dog"}),
        json.dumps({"dog": 1, "cat": 0, "007": 2}),
    ],
)
def test_every_form_of_a_list(tmp_path: Path, text: str) -> None:
    assert _classes.read(listed(tmp_path, text)) == ("cat", "dog", "007")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("[]", "empty"),
        ("cat\n\ndog", "class 1 has no name"),
        ("cat\ndog\ncat", "'cat' is named more than once"),
        ('["cat", "cat"]', "'cat' is named more than once"),
        ('["cat", 1]', "something other than text"),
        ('["cat"', "no class list"),
        ('{"0": "cat", "2": "dog"}', "indices are not 0 to 1"),
        ('{"cat": 1, "dog": 1}', "indices are not 0 to 1"),
        ('{"0": ["n01", "cat"]}', "neither index -> name nor name -> index"),
        ('{"cat": true, "dog": false}', "neither index -> name nor name -> index"),
    ],
)
def test_a_list_that_makes_no_sense(tmp_path: Path, text: str, message: str) -> None:
    path = listed(tmp_path, text)
    with pytest.raises(DataError, match=message) as raised:
        _classes.read(path)
    assert str(path) in raised.value.message


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: there is no such file$") as caught:
        _classes.read(tmp_path / "none.txt")
    assert "class list" in caught.value.hint


def test_who_decides(tmp_path: Path) -> None:
    path, model = listed(tmp_path, "b\na"), Expects(classes=("c", "b", "a"))
    both = DataSource(path=tmp_path, classes=path)
    assert _classes.decided(both, model, ["a"]) == (("b", "a"), ())
    assert _classes.decided(DataSource(path=tmp_path), model, ["a"]) == (("c", "b", "a"), ())
    assert _classes.decided(DataSource(path=tmp_path), Expects(), ["b", "a", "b"]) == (("a", "b"), ())


def test_integers_sort_as_numbers_and_say_so() -> None:
    names, (note,) = _classes.ordered(map(str, range(12)))
    assert names == tuple(map(str, range(12)))
    assert "0, 1, 2, 3, ..." in note
    assert "0, 1, 10, 11, ..." in note


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["2", "1", "0"], ("0", "1", "2")),
        (["010", "002", "001"], ("001", "002", "010")),
        (["10", "9", "b"], ("10", "9", "b")),  # not all integers: text
        (["B", "a"], ("B", "a")),
        (["1.5", "10"], ("1.5", "10")),
    ],
)
def test_no_note_where_there_is_one_order(names: list[str], expected: tuple[str, ...]) -> None:
    assert _classes.ordered(names) == (expected, ())


def test_positions() -> None:
    got = _classes.positions(["b", "a", "b"], ("a", "b", "c"), str)
    assert got.tolist() == [1, 0, 1]
    assert got.dtype == "int64"


def test_an_unknown_label_names_its_place_and_its_neighbours() -> None:
    with pytest.raises(DataError, match=r"row 1: 'Trck' is none of the 3 classes \(car, truck, ship\)") as raised:
        _classes.positions(["car", "Trck"], ("car", "truck", "ship"), lambda at: f"row {at}")
    assert "did you mean 'truck'? correct the data, or give --classes" in raised.value.hint


def test_positions_are_not_taken_for_names() -> None:
    with pytest.raises(DataError, match="'0' is none") as raised:
        _classes.positions(["0", "1"], ("car", "truck"), str)
    assert "look like positions" in raised.value.hint
    with pytest.raises(DataError, match="'2' is none") as raised:
        _classes.positions(["2"], ("car", "truck"), str)
    assert "look like positions" not in raised.value.hint
