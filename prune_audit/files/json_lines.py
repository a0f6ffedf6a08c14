"""JSON that is no table: lines with a value each, looked at before they are believed, and logs of evaluations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prune_audit.errors import ModelError
from prune_audit.files import parse

HEAD = 1 << 16
_LOG = re.compile(r'\s*\{\s*("version"\s*:[^{]{0,40})?"status"\s*:\s*"\w+"\s*,\s*"eval"\s*:\s*\{')
MOST = 1 << 26
"""Bytes of a line; a question with all its prompts has some ten thousand."""


def head(path: Path) -> str:
    """The first characters of the file at ``path``, "" where it is none or no text."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(HEAD).decode("utf-8", "ignore").lstrip("\ufeff")
    except OSError:
        return ""


def is_lines(text: str) -> bool:
    """Whether ``text`` begins with an object on one line, and goes on with another one or not at all."""
    line, _, rest = text.lstrip().partition("\n")
    line, rest = line.rstrip(), rest.lstrip()
    if not line.startswith("{") or not line.endswith("}") or (rest and not rest.startswith("{")):
        return False
    return bool(rest) or _whole(line)


def is_log(text: str) -> bool:
    """Whether ``text`` begins as the log of an evaluation, which says how it ended before it says of what it was."""
    return _LOG.match(text) is not None


def _whole(line: str) -> bool:
    """Whether a single line is an object of several values, and none that only maps ids to answers."""
    try:
        value = parse.json(line, finite=False)
    except ValueError:
        return False
    return isinstance(value, dict) and len({type(each) for each in value.values()}) > 1


def first(text: str) -> dict[str, Any] | None:
    """The object on the first line of ``text``; None where it is none, or too long to be seen whole."""
    try:
        value = parse.json(text.lstrip().partition("\n")[0], finite=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line of the file at ``path``: where it is, and the object there.

    Raises:
        ModelError: the file cannot be read, or a line is no JSON object.
    """
    hint = "the file was cut short or edited: write it again"
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MOST + 1), b""), 1):
                where = f"{path}, line {number}"
                if len(line) > MOST:
                    raise ModelError(f"{where}: more than {MOST:,} bytes in a line", hint=hint)
                if not line.strip():
                    continue
                try:
                    value = parse.json(line.decode("utf-8-sig"), finite=False)
                except ValueError as error:  # no JSON, or no UTF-8
                    raise ModelError(f"{where}: expected a JSON object, found {error}", hint=hint) from error
                if not isinstance(value, dict):
                    raise ModelError(f"{where}: expected a JSON object, found {str(value)[:40]!r}", hint=hint)
                yield where, value
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}", hint="check that it is a file you may read"
        ) from error
