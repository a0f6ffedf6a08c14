"""JSON (.json): the whole audit as a versioned document that `report` and `check` read again.

Laid out by hand because neither of the standard layouts can be read: with an indent every number has its own line,
without one the whole audit is a single line. Here whatever fits stands on one line, and so does every column. A
document of a hundred thousand classes is a hundred megabytes, so it is given in pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from prune_audit.core import Audit
from prune_audit.document import to_document
from prune_audit.printable import printable

SUFFIXES = (".json",)
WIDTH = 120
TOGETHER = 1_000  # entries of a column in one piece


def render(audit: Audit) -> str:
    """The document of ``audit``; `prune_audit.document.read_audit` reads it back equal."""
    return "".join(pieces(audit))


def pieces(audit: Audit) -> Iterator[str]:
    """What `render` gives, piece by piece."""
    yield from _laid_out(to_document(audit), "")
    yield "\n"


def layout(value: Any) -> str:
    """``value`` as JSON whose lines are as long as they may be."""
    return "".join(_laid_out(value, ""))


def _laid_out(value: Any, indent: str) -> Iterator[str]:
    """The pieces of ``value``; what follows the first line is indented."""
    if not isinstance(value, (dict, list)) or not value:
        yield _line(value)
        return
    if isinstance(value, list) and not isinstance(value[0], (dict, list)):
        yield from _column(value)
        return
    room = WIDTH - len(indent)
    if _least(value, room) <= room and len(line := _line(value)) <= room:
        yield line
        return
    inner = indent + "  "
    named = isinstance(value, dict)
    before = "{\n" if named else "[\n"
    for key in value:
        yield f"{before}{inner}{_line(key)}: " if named else f"{before}{inner}"
        yield from _laid_out(value[key] if named else key, inner)
        before = ",\n"
    yield f"\n{indent}{'}' if named else ']'}"


def _column(values: list[Any]) -> Iterator[str]:
    for start in range(0, len(values), TOGETHER):
        yield "[" if start == 0 else ", "
        yield _line(values[start : start + TOGETHER])[1:-1]
    yield "]"


def _least(value: Any, room: int) -> int:
    """The characters that ``value`` takes on one line at least; no further than ``room`` they are only counted on."""
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, (dict, list)):
        return 1
    length = 2 * len(value)  # brackets, and what parts the entries
    entries = value.values() if isinstance(value, dict) else value
    for entry in entries:
        if length > room:
            break
        length += _least(entry, room - length)
    return length


def _line(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False, allow_nan=False), _escaped)


def _escaped(character: str) -> str:
    """A character of a name as JSON spells it, so that the file can be looked at; read back, it is the same one."""
    return json.dumps(character)[1:-1]
