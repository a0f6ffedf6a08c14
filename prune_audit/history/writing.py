"""A history for a terminal, as a page, as CSV with nothing rounded, and its figures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from rich.console import Group, RenderableType
from rich.padding import Padding

from prune_audit import reports
from prune_audit.core import CANNOT_TELL, FINE, REGRESSED
from prune_audit.history import overview, page
from prune_audit.history.figures import charts
from prune_audit.history.releases import Release
from prune_audit.printable import printable
from prune_audit.render import class_table as classes
from prune_audit.render import rounded
from prune_audit.render.bars import LINES
from prune_audit.render.consoles import Text
from prune_audit.render.picture import svg
from prune_audit.reports.csv import text as csv

SUFFIXES = (".html", ".csv", ".svg")
ROWS = 20  # on the screen, unless all are asked for


def check(paths: Sequence[Path]) -> None:
    """Check that each of ``paths`` can be written. Raises `AuditError` where one cannot."""
    reports.check_chosen(paths, "history", SUFFIXES)


def write(found: Sequence[Release], path: Path, dialects: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write ``found`` to ``path``, whole or not at all; ``dialects`` as reports have them. Raises `OutputError`."""
    match path.suffix.lower():
        case ".csv":
            rows = [overview.cells(row) for row in overview.rows(found)]
            content = csv(overview.NAMES, rows, spreadsheet=dialects.get("csv") == "excel")
        case ".svg":
            content = svg(charts(overview.rows(found)))
        case _:
            content = page.render(found)
    reports.put(path, content)


def renderable(found: Sequence[Release], width: int, *, show_all: bool = False) -> RenderableType:
    """The history for a terminal ``width`` columns wide, the last release first; ``show_all`` prints every one."""
    return Group(*_terminal(found, width, show_all))


def _terminal(found: Sequence[Release], width: int, show_all: bool) -> Iterator[RenderableType]:
    rows = overview.rows(found)[::-1]
    shown = rows if show_all else rows[:ROWS]
    yield classes.table(classes.fit(_columns(shown), width), [False] * len(shown), LINES)
    if len(shown) < len(rows):
        yield Text(f"{len(rows) - len(shown):,} more; --all shows them", style="dim")
    yield Padding(
        Text("change: of accuracy, in points; uses: releases that the same data had judged by then"), (0, 0, 1, 0)
    )
    yield from (Text(printable(sentence), style="bold") for sentence in overview.sentences(found))


def _columns(rows: Sequence[overview.Row]) -> tuple[classes.Column, ...]:
    def column(title: str, cells: Sequence[str], rank: int, *, number: bool = False) -> classes.Column:
        return classes.Column(title=title, cells=tuple(map(printable, cells)), rank=rank, number=number)

    worst = []
    for row in rows:
        view, i = row.variant.classes, row.worst
        said = rounded.DASH
        if i is not None:
            interval = rounded.between(view.low[i], view.high[i])
            said = f"{view.strata[i]} {rounded.points(view.change[i])} ({interval})"
        worst.append(said)
    made = [
        column("release", [f"{row.place:,}" for row in rows], 0),
        column("date", [row.release.day for row in rows], 0),
        column("variant", [row.variant.name for row in rows], 1),
        column("gate", [row.variant.outcome for row in rows], 0),
        column("change", [rounded.points(row.variant.change, 2) for row in rows], 2, number=True),
        *(
            column(verdict, [f"{row.count(verdict):,}" for row in rows], rank, number=True)
            for verdict, rank in ((REGRESSED, 0), (CANNOT_TELL, 4), (FINE, 5))
        ),
        column("worst class", worst, 6),
        column("uses", [f"{row.uses:,}" for row in rows], 3, number=True),
    ]
    if any(row.under is not None for row in rows):
        made.append(column("budget", [rounded.label(row.budget_says) for row in rows], 1))
        made.append(column("e", [overview.evidence(row) for row in rows], 5, number=True))
    return tuple(made)
