"""Where in a TOML text each key stands, since tomllib gives values without their lines.

A table's header, a key, a dotted key and the n-th table of an array are found; what stands within a value of several
lines is skipped. A key inside an inline table has the line of the table. The text has been read by tomllib before, so
that only TOML comes here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Key = tuple[str | int, ...]  # a number counts the tables of an array, from 0

_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
# Strings first, so that what they hold is no bracket and no comment.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|' + r"'''.*?'''|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'|#[^\n]*|[\[{]|[\]}]|\n", re.DOTALL
)


def lines(text: str) -> Mapping[Key, int]:
    """Key -> the line on which it is written first, from 1 on."""
    found: dict[Key, int] = {}
    arrays: dict[Key, int] = {}
    table: Key = ()
    for number, statement in _statements(text):
        if statement.startswith("[["):
            bare = _numbered(_parts(statement[2:])[0], arrays)
            arrays[bare] = arrays.get(bare, -1) + 1
            table = (*bare, arrays[bare])
        elif statement.startswith("["):
            table = _numbered(_parts(statement[1:])[0], arrays)
        key = table if statement.startswith("[") else (*table, *_parts(statement)[0])
        for depth in range(1, len(key) + 1):
            found.setdefault(key[:depth], number)
    return found


def line_of(found: Mapping[Key, int], key: Key) -> int | None:
    """The line of ``key``, or of the innermost table around it that has one; None where it has none."""
    return next((found[key[:depth]] for depth in range(len(key), 0, -1) if key[:depth] in found), None)


def _statements(text: str) -> list[tuple[int, str]]:
    """(line, text) of every header and every assignment; a value of several lines belongs to its key's line."""
    statements, start, depth, line = [], 0, 0, 1
    began = line
    for token in [*_TOKEN.finditer(text), None]:
        what = token.group() if token else "\n"
        if what in "[{":
            depth += 1
        elif what in "]}":
            depth -= 1
        if what == "\n" and depth == 0:
            if statement := text[start : token.start() if token else len(text)].strip():
                statements.append((began, statement))
            start, began = (token.end() if token else len(text)), line + 1
        elif what.startswith("#") and not text[start : token.start() if token else len(text)].strip():
            start = token.end() if token else len(text)  # a line that is a comment alone
        line += what.count("\n")
    return statements


def _parts(text: str) -> tuple[tuple[str, ...], str]:
    """The dotted key that ``text`` begins with, and what follows it."""
    parts: list[str] = []
    while match := _PART.match(text):
        parts.append(next(part for part in match.groups() if part is not None))
        text = text[match.end() :]
        if not text.startswith("."):
            break
        text = text[1:]
    return tuple(parts), text


def _numbered(key: tuple[str, ...], arrays: Mapping[Key, int]) -> Key:
    """``key`` with the number of the table that is meant wherever it passes through an array of tables."""
    numbered: Key = ()
    for i, part in enumerate(key):
        numbered = (*numbered, part)
        if numbered in arrays and i < len(key) - 1:
            numbered = (*numbered, arrays[numbered])
    return numbered
