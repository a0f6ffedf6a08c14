"""Why a text file cannot be read, each time with the hint that fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit.data import _text
from prune_audit.errors import DataError


def test_text_with_and_without_a_mark(tmp_path: Path) -> None:
    for content in (b"\xc3\xa9\n", b"\xef\xbb\xbf\xc3\xa9\n"):
        (tmp_path / "a").write_bytes(content)
        assert _text.read(tmp_path / "a", "class list", "names") == "é\n"


def test_a_wrong_path_is_told_from_wrong_content(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: there is no such file$") as caught:
        _text.read(tmp_path / "none.txt", "class list", "names")
    assert caught.value.hint == "check the path of the class list"
    with pytest.raises(DataError, match=r"the class list cannot be read: Is a directory$") as caught:
        _text.read(tmp_path, "class list", "names")
    assert "path" in caught.value.hint
    (tmp_path / "a").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"a: expected text in UTF-8, found other bytes$") as caught:
        _text.read(tmp_path / "a", "class list", "one name a line")
    assert caught.value.hint == "expected is one name a line"
