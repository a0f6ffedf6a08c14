"""The parts of a text in Markdown: names as code, prose, tables, and the cut where a text grows too long.

Every mark is escaped, so that what people call their models and classes stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from prune_audit.printable import printable


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[int]) -> Iterator[str]:
    """A table and the blank line behind it; the columns at ``texts`` hold words, the others numbers."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' if i in texts else '---:' for i in range(len(heads)))}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def code(name: str) -> str:
    """A name as it is: code, in which GitHub looks for no mentions; by a tag where Markdown's own mark would break."""
    return f"`{name}`" if re.fullmatch(r"[\w.,/:=+-]+( [\w.,/:=+-]+)*", name) else f"<code>{_escaped(name)}</code>"


def prose(text: str) -> str:
    """Prose without marks or tags; an empty character keeps an @ from calling somebody."""
    return re.sub(r"([@#])(?=\w)", "\\1\u200b", _escaped(text))


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", printable(text))


def cut(lines: list[str], most: int) -> list[str]:
    """``lines`` while ``most`` bytes have room for them, and how many rows are missing behind them."""
    room, kept = most - 100, 0
    for line in lines:
        room -= len(line.encode("utf-8", "backslashreplace")) + 1
        if room < 0:
            break
        kept += 1
    if kept == len(lines):
        return lines
    missing = sum(line.startswith("| ") for line in lines[kept:])
    return [*lines[:kept], "", f"Cut here: {missing:,} more rows; the other reports have them."]
