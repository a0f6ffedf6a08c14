"""Sentences whose words are tagged: CoNLL's columns, and JSON lines with lists of words and of tags.

In columns a line is a word, its tag in the last column, and an empty line ends a sentence; a line that begins with
``-DOCSTART-`` begins a document. As JSON lines a sentence is ``{"tokens": [...], "tags": [...]}``, and further short
keys are what is known of it. Formats: shared task of CoNLL-2003 (Tjong Kim Sang and De Meulder 2003).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prune_audit.errors import AuditError
from prune_audit.files import json_lines, regular
from prune_audit.files.columns import decoded

EXPECTED = 'lines of a word and its tag (B-PER, I-PER, O), or JSON lines with "tokens" and "tags"'
DOCUMENT = "-DOCSTART-"
_TAG = re.compile(r"O|[BIESLU](-\S+)?")
_MOST = 1 << 30  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """N sentences: ``words`` and ``tags`` of each, as many of the one as of the other, ``where`` each begins, and
    ``keys``, what else is known of each, as text; ``digest`` (SHA-256) and ``size`` are of the file."""

    words: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[str, ...], ...]
    where: tuple[str, ...]
    keys: tuple[dict[str, str], ...]
    digest: str
    size: int


def told(path: Path) -> bool:
    """Whether the file at ``path`` begins with tagged words; only its first bytes are looked at."""
    return told_by(json_lines.head(path))


def told_by(head: str) -> bool:
    """Whether a file that begins with ``head`` holds tagged words: most lines do, so that `read` names others."""
    if head.lstrip().startswith("{"):
        first = json_lines.first(head)
        return first is not None and isinstance(first.get("tokens"), list) and isinstance(first.get("tags"), list)
    lines = head.splitlines()
    if len(lines) > 1 and not head.endswith("\n"):
        lines.pop()  # it may be cut off
    words = [cells for cells in map(str.split, lines) if cells and cells[0] != DOCUMENT]
    tagged = Counter(len(each) for each in words if len(each) > 1 and _TAG.fullmatch(each[-1]))
    return bool(tagged) and 2 * max(tagged.values()) > len(words)


def read(path: Path, error: type[AuditError]) -> Sentences:
    """The sentences in the file at ``path``.

    Raises:
        AuditError: of the kind ``error``: it is damaged, or holds what is no tagged word.
    """
    content = regular.content(path) if path.stat().st_size <= _MOST else b""
    text = decoded(content)
    if not content or text is None:
        raise error(f"{path}: expected text in UTF-8 of 1 to {_MOST:,} bytes", hint=f"expected are {EXPECTED}")
    rows = _of_lines(path, error) if text.lstrip("\ufeff \r\n\t").startswith("{") else _of_columns(path, text, error)
    if not rows:
        raise error(f"{path} holds no sentence", hint=f"expected are {EXPECTED}")
    return Sentences(
        words=tuple(words for _, words, _, _ in rows),
        tags=tuple(tags for _, _, tags, _ in rows),
        where=tuple(where for where, _, _, _ in rows),
        keys=tuple(keys for _, _, _, keys in rows),
        digest=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )


def _check(where: str, tag: str, error: type[AuditError]) -> None:
    """Raises ``error`` where ``tag`` is none."""
    if not _TAG.fullmatch(tag):
        raise error(
            f"{where}: expected O, or a tag such as B-PER, found {tag[:40]!r}",
            hint="write tags by name, in the last column; numbers of tags say nothing of what they are",
        )


_Row = tuple[str, tuple[str, ...], tuple[str, ...], dict[str, str]]


def _of_columns(path: Path, text: str, error: type[AuditError]) -> list[_Row]:
    rows: list[_Row] = []
    words: list[tuple[str, str]] = []
    columns, document, begun = 0, 0, 0

    def end() -> None:
        if words:
            keys = {"document": str(document)} if document else {}
            tokens, tags = zip(*words, strict=True)
            rows.append((f"{path}, line {begun}", tokens, tags, keys))
            words.clear()

    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        cells = line.split()
        if not cells or cells[0] == DOCUMENT:
            end()
            document += bool(cells)
            continue
        if len(cells) < 2 or (columns and len(cells) != columns):
            raise error(
                f"{path}, line {number}: expected {columns or 2} columns, found {len(cells)}",
                hint="a line is a word, its tag last; an empty line ends a sentence",
            )
        _check(f"{path}, line {number}", cells[-1], error)
        columns, begun = len(cells), begun if words else number
        words.append((cells[0], cells[-1]))
    end()
    return rows


def _of_lines(path: Path, error: type[AuditError]) -> list[_Row]:
    rows: list[_Row] = []
    for where, row in _as(error, json_lines.rows(path)):
        words, tags = row.get("tokens"), row.get("tags")
        if not _texts(words) or not _texts(tags) or not words or len(words) != len(tags):
            raise error(
                f"{where}: expected lists of texts, tokens and tags, as many of the one as of the other",
                hint='{"tokens": ["Ada", "writes"], "tags": ["B-PER", "O"]}; write tags by name, not by number',
            )
        for tag in tags:
            _check(where, tag, error)
        keys = {
            name: str(value)
            for name, value in row.items()
            if name not in ("tokens", "tags") and isinstance(value, str | int | bool) and len(str(value)) <= 80
        }
        rows.append((where, tuple(words), tuple(tags), keys))
    return rows


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _as(error: type[AuditError], rows: Iterable[Any]) -> Iterable[Any]:
    """``rows``, whose faults are of the kind ``error``."""
    try:
        yield from rows
    except AuditError as fault:
        raise error(fault.message, hint=fault.hint) from fault
