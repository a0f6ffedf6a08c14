"""What columns of tables are usually called, and how text files are written: one list for data and for predictions.

Predictions meet their samples by id, so that a name which is an id in one of the two must be one in the other.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence

IDS = ("id", "ids", "sample_id", "image_id", "uid", "uuid")
PATHS = ("path", "file", "filename", "image", "file_name")
"""Paths of samples are their ids where there is no column of ids."""
LABELS = ("label", "class", "target", "y")
DELIMITERS = ",;\t|"

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_FILE = re.compile(r".*[^\s.]\.[A-Za-z]\w{1,4}\s*")


def usual(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """Of the columns called ``names`` the first that is called like one of ``wanted``, which go from best to worst.

    Written exactly so, or else in capitals or with blanks around it.
    """
    known = list(names)
    alike = {name.strip().lower(): name for name in reversed(known)}
    return next((name if name in known else alike[name] for name in wanted if name in known or name in alike), None)


def shown(names: Iterable[str]) -> str:
    """``names`` for people: one that is empty, or has blanks around it, is quoted so that they are seen."""
    return ", ".join(name if name.strip() == name != "" and name.isprintable() else repr(name) for name in names)


def encoding(head: bytes) -> str:
    """How the text is encoded that begins with ``head``: UTF-16 where it says so, as spreadsheets save, else UTF-8."""
    return "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def decoded(head: bytes) -> str | None:
    """The text that ``head`` begins with, a character cut in two at its end left out; None where it is none."""
    try:
        text = codecs.getincrementaldecoder(encoding(head))().decode(head)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def delimiter(line: str) -> str:
    """What stands between the cells of a table whose first line is ``line``."""
    return max(DELIMITERS, key=line.count)


def blank_first(line: str) -> bool:
    """Whether a blank stands behind the delimiters of a table whose first line is ``line``, which is then no cell's."""
    return re.search(rf"[{re.escape(DELIMITERS.replace(chr(9), ''))}] ", line) is not None


def nameless(names: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Whether ``names``, the first line of a table whose further ``rows`` begin so, seem to be cells themselves."""
    if any(_NUMBER.fullmatch(name) or _FILE.fullmatch(name) for name in names):
        return True
    return any(name == cell != "" for row in rows for name, cell in zip(names, row, strict=False))
