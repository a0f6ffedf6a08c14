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
    with pytest.raises(DataError, match=r"(?m)none\.txt: there is no such file$") as caught:
        _classes.read(tmp_path / "none.txt")
    assert "class list" in caught.value.hint


def test_who_decides(tmp_path: Path) -> None:
    path, model = listed(tmp_path, "b\na"), Expects(classes=("c", "b", "a"))
    both, none = DataSource(path=tmp_path, classes=path), DataSource(path=tmp_path)
    own = ("b", "c", "a")

    def decided(source: DataSource, expects: Expects, data: tuple[str, ...] | None) -> tuple[tuple[str, ...], str]:
        order = _classes.decided(source, expects, ["b", "a", "b"], data)
        [told] = order.assumptions
        assert (told.subject, told.what, told.option) == ("", "class order", "--classes FILE")
        assert order.notes == ()
        return order.classes, told.value

    assert decided(both, model, own) == (("b", "a"), "as --classes names them")
    assert decided(none, model, own) == (("c", "b", "a"), "as the model names them")
    assert decided(none, Expects(), own) == (own, "as the data name them")
    assert decided(none, Expects(), None) == (("a", "b"), "sorted by name: a, b")


def test_where_only_positions_can_be_meant_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text('{"a": 2, "b": 0}')
    order = _classes.decided(DataSource(path=tmp_path, class_map=path), Expects(outputs=3), ["a", "b"])
    assert order.classes == ("b", "1", "a")
    assert order.assumptions[0].value == "by position"


@pytest.mark.parametrize("spelling", ["{}", "{}.0", "{}.", "+{}", " {}", "{}e0", "{}.00 "])
def test_numbers_sort_as_numbers_in_any_spelling_and_say_so(spelling: str) -> None:
    names, told = _classes.ordered(spelling.format(i) for i in range(12))
    assert [float(name) for name in names] == list(range(12))
    assert told.value.startswith("sorted as numbers: ")
    assert "sorted as text, as some training code does, they would be" in told.why
    values = [spelling.format(7), "7", "7.0"]
    assert _classes.positions(values, names, str).tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["3.0", "10.0", "2.0"], ("2", "3", "10")),  # as a table with gaps writes them
        (["3", "3.0", "10"], ("3", "10")),
        (["007", "7", "12"], ("7", "12")),
        (["007", "012"], ("007", "012")),  # who writes zeros means them
        (["1e1", "9", "-1.0"], ("-1", "9", "1e1")),
        (["1e1", "10.0", "9"], ("9", "10")),
        (["0.5", "0.25", "10"], ("0.25", "0.5", "10")),
        (["1.10", "1.1", "1.2"], ("1.1", "1.10", "1.2")),  # sections, perhaps: no whole numbers
        (["1e99", "2"], ("2", "1e99")),
    ],
)
def test_one_number_is_one_class(names: list[str], expected: tuple[str, ...]) -> None:
    found, told = _classes.ordered(names)
    assert found == expected
    assert ("are one class" in told.why) == (len(expected) < len(names))
    assert len(set(_classes.positions(names, found, str).tolist())) == len(expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["2", "1", "0"], ("0", "1", "2")),
        (["010", "002", "001"], ("001", "002", "010")),
        (["B", "a"], ("B", "a")),
        (["1.5", "10"], ("1.5", "10")),
        (["a1", "a2", "b"], ("a1", "a2", "b")),
        (["1e999999999", "2"], ("1e999999999", "2")),  # no number that could be written out
    ],
)
def test_nothing_more_is_told_where_there_is_one_order(names: list[str], expected: tuple[str, ...]) -> None:
    found, told = _classes.ordered(names)
    assert found == expected
    assert "they would be" not in told.why


@pytest.mark.parametrize(
    ("names", "other"),
    [
        ([f"class{i}" for i in range(12)], "class0, class1, class2, class3, ..."),
        (["10", "9", "b"], "9, 10, b"),
        (["v2.10", "v2.9"], "v2.9, v2.10"),
        (["x" + "9" * 5000, "x1" + "0" * 5000], "x9"),  # more digits than Python makes an integer of
    ],
)
def test_names_with_numbers_sort_as_text_and_the_other_order_is_told(names: list[str], other: str) -> None:
    found, told = _classes.ordered(names)
    assert found == tuple(sorted(names))
    assert told.value.startswith("sorted by name: ")
    assert f"by the numbers in them they would be {other}" in told.why


def test_a_list_of_numbers_takes_any_spelling_and_no_other_does() -> None:
    assert _classes.positions(["2.0", "00", "1"], ("0", "1", "2"), str).tolist() == [2, 0, 1]
    assert _classes.positions(["1", "2"], ("2.0", "1.0"), str).tolist() == [1, 0]
    for classes in (("0", "1", "b"), ("1", "1.0")):  # not all numbers; one number twice
        with pytest.raises(DataError, match=r"'1\.00' is none"):
            _classes.positions(["1.00"], classes, str)


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
    assert 'a file that holds {"0": "car", "1": "truck"}; or' in raised.value.hint
    with pytest.raises(DataError, match=r"'1\.0' is none") as raised:
        _classes.positions(["1.0", "0.0"], ("car", "truck"), str)
    assert 'a file that holds {"0.0": "car", "1.0": "truck"}; or' in raised.value.hint
    names = tuple(f"c{at}" for at in range(20))
    with pytest.raises(DataError, match="'0' is none") as raised:
        _classes.positions([str(at) for at in range(20)], names, str)
    assert '{"0": "c0", "1": "c1", ' in raised.value.hint
    assert '"9": "c9", ...}; or' in raised.value.hint
    with pytest.raises(DataError, match="'2' is none") as raised:
        _classes.positions(["2"], ("car", "truck"), str)
    assert "look like positions" not in raised.value.hint
