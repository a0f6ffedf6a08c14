"""Write the JSON Schema of the audit document anew: ``python -m prune_audit.document`` after a change of its keys."""

from __future__ import annotations

import json
from typing import Any

from prune_audit.document import SCHEMA_FILE, schema

WIDTH = 120


def text(value: Any, indent: int = 0, key: str = "") -> str:
    """``value`` as JSON after a ``key``, on one line where it fits into `WIDTH`, so that people can read it."""
    before = f"{json.dumps(key)}: " if key else ""
    flat = before + json.dumps(value)
    if indent + len(flat) < WIDTH and not (isinstance(value, dict) and "properties" in value):
        return flat
    if not isinstance(value, dict | list) or not value:
        return flat
    begin, end = "{}" if isinstance(value, dict) else "[]"
    pairs = value.items() if isinstance(value, dict) else (("", each) for each in value)
    inner = ",\n".join(" " * (indent + 2) + text(each, indent + 2, name) for name, each in pairs)
    return f"{before}{begin}\n{inner}\n{' ' * indent}{end}"


def whole() -> str:
    """The text of the file."""
    return text(schema()) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(whole(), encoding="utf-8")
