"""Lines of JSON, told from tables that are one value."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit.errors import ModelError
from prune_audit.files import json_lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"a": 1}\n{"a": 2}\n', True),
        ('{"a": 1, "b": "x"}\n', True),
        ('{"a": "cat", "b": "dog"}', False),  # ids to answers
        ('{"a": [1, 2], "b": ["x", "y"]}', False),
        ('{\n  "a": 1\n}', False),
        ('[{"a": 1},\n{"a": 2}]', False),
        ("a,b\n1,2\n", False),
        ("", False),
    ],
)
def test_lines_are_told_by_the_first_two(text: str, lines: bool) -> None:
    assert json_lines.is_lines(text) == lines


def test_rows_say_where_they_are_and_blank_lines_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n{"a": NaN}\n')
    assert [where for where, _ in json_lines.rows(path)] == [f"{path}, line 1", f"{path}, line 3"]


@pytest.mark.parametrize(("line", "said"), [(b"[1]\n", "found"), (b"{'a'", "line 1"), (b"\xff\xfe\n", "line 1")])
def test_a_line_that_is_no_object_is_told(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line)
    with pytest.raises(ModelError, match=said):
        list(json_lines.rows(path))


def test_what_is_no_file_has_no_head(tmp_path: Path) -> None:
    assert json_lines.head(tmp_path) == json_lines.head(tmp_path / "none") == ""
