"""What columns are called, and how text files are written."""

from __future__ import annotations

import pytest

from prune_audit.files import columns


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["x", "id"], "id"),
        (["ID", "uid"], "ID"),
        (["Id", "id"], "id"),
        ([" Image_ID ", "n"], " Image_ID "),
        (["identity"], None),
        ([], None),
    ],
)
def test_usual(names: list[str], found: str | None) -> None:
    assert columns.usual(names, columns.IDS) == found


def test_blanks_are_shown() -> None:
    assert columns.shown(["a", "b c", " d", "", "e\t"]) == "a, b c, ' d', '', 'e\\t'"


@pytest.mark.parametrize("written", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_in_any_encoding_that_says_so(written: str) -> None:
    head = "id,é\n".encode(written)
    assert columns.decoded(head) == "id,é\n"
    assert head.decode(columns.encoding(head)) == "id,é\n"


def test_what_is_no_text() -> None:
    assert columns.decoded("é".encode("latin-1") + b"x") is None
    assert columns.decoded(b"a\0b") is None
    assert columns.decoded("aé".encode()[:-1]) == "a"


@pytest.mark.parametrize(
    ("line", "between", "blank"),
    [("a,b;c,d", ",", False), ("a, b", ",", True), ("a b;c", ";", False), ("a\tb c", "\t", False), ("a| b", "|", True)],
)
def test_delimiters(line: str, between: str, blank: bool) -> None:
    assert (columns.delimiter(line), columns.blank_first(line)) == (between, blank)


@pytest.mark.parametrize(
    ("names", "rows", "seems"),
    [
        (["id", "predicted"], [["a", "cat"]], False),
        (["s0", "cat"], [["s1", "cat"]], True),
        (["s0", "2.5"], [], True),
        (["a/0.jpeg", "cat"], [], True),
        (["v1.5", "model.a"], [], False),
        (["", "x"], [["", "y"]], False),
    ],
)
def test_lines_without_names(names: list[str], rows: list[list[str]], seems: bool) -> None:
    assert columns.nameless(names, rows) is seems
