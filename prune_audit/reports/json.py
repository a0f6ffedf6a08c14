"""JSON (.json): the whole audit as a versioned document that `report` and `check` read again.

Laid out by hand because neither of the standard layouts can be read: with an indent every number has its own line,
without one the whole audit is a single line. Here whatever fits stands on one line, and so does every column.
"""

from __future__ import annotations

import json
from typing import Any

from prune_audit.core import Audit
from prune_audit.document import to_document
from prune_audit.printable import printable

SUFFIXES = (".json",)
WIDTH = 120


def render(audit: Audit) -> str:
    """The document of ``audit``; `prune_audit.document.read_audit` reads it back equal."""
    return layout(to_document(audit)) + "\n"


def layout(value: Any, indent: str = "") -> str:
    """``value`` as JSON whose lines are as long as they may be; what follows the first one is indented."""
    if not isinstance(value, (dict, list)) or not value:
        return _line(value)
    if isinstance(value, list) and not isinstance(value[0], (dict, list)):
        return _line(value)  # a column
    if len(line := _line(value)) + len(indent) <= WIDTH:
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        parts = [f"{inner}{_line(key)}: {layout(entry, inner)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + layout(entry, inner) for entry in value) + f"\n{indent}]"


def _line(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False, allow_nan=False), _escaped)


def _escaped(character: str) -> str:
    """A character of a name as JSON spells it, so that the file can be looked at; read back, it is the same one."""
    return json.dumps(character)[1:-1]
