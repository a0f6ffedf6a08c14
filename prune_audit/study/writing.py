"""A study as text for a terminal, as Markdown, and each of its tables as CSV.

Terminal and Markdown show all cells, but of the tests only the rows that show something, and say how many more there
are. CSV has every row, under the names of machines and with nothing rounded.
"""

from __future__ import annotations

import csv as standard
import io
import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table as Grid

from prune_audit.printable import printable
from prune_audit.render import class_table as classes
from prune_audit.render import markdown as marks
from prune_audit.render import rounded
from prune_audit.render.bars import LINES
from prune_audit.render.consoles import Text
from prune_audit.reports.markdown import MOST
from prune_audit.reports.table import plain
from prune_audit.study import _shown as shown
from prune_audit.study.tables import Analysis, Table

# What a reader needs first. Names of rows come before all of these, what is not named comes last.
NEEDED = (
    *("alpha", "difference", "change", "finding", "p_adjusted", "low", "alpha_low", "alpha_both_low", "both_low"),
    *("finding_both", "r_squared", "spread_ratio", "gaps", "spread_ratio_low", "harmed"),
    *("accuracy", "pruned_recall", "harmed_in", "worst_recall", "pareto", "corrected", "dense_recall"),
    *("exemplars", "expected", "q", "expected_high", "share", "dense_on", "dense_off", "pruned_on", "p"),
    *("balance_change", "seeds", "dense_accuracy", "corrected_low", "reliability", "regressed", "worst_change"),
)
REASONS = 6  # that are told under a table


def csv(table: Table) -> str:
    """One table as RFC 4180 has it: names as they are, floats whole, empty where there is no value."""
    text = io.StringIO(newline="")
    writer = standard.writer(text)
    writer.writerow([column.name for column in table.columns])
    writer.writerows(table.rows)
    return text.getvalue()


# ------------------------------------------------------------------------------------------------------- terminal


def text(analysis: Analysis, console: Console) -> str:
    """What `renderable` gives, as ``console`` would show it."""
    return plain(renderable(analysis, console.width), console)


def renderable(analysis: Analysis, width: int) -> RenderableType:
    """The title, every table in turn, fitted to ``width``, then the notes and what was found."""
    return Group(*_report(analysis, width))


def _report(analysis: Analysis, width: int) -> Iterator[RenderableType]:
    yield Padding(Text(printable(analysis.title), style="bold"), (0, 0, 1, 0))
    for table in analysis.tables:
        yield Rule(Text(printable(table.title), style="bold"), align="left", style="dim")
        yield Padding(Text(printable(table.about), style="dim"), (0, 0, 1, 0))
        yield from _table(table, width)
    if analysis.notes:
        yield Rule(Text("notes", style="bold"), align="left", style="dim")
        yield Padding(_grid([("note", note) for note in analysis.notes]), (0, 0, 1, 0))
    yield Rule(Text("what was found", style="bold"), align="left", style="dim")
    for network, said in shown.sentences(analysis):
        yield Text(printable(network), style="bold")
        yield from (Padding(Text(sentence), (0, 0, 0, 2)) for sentence in said)


def _grid(rows: Sequence[tuple[str, str]]) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, said in rows:
        grid.add_row(Text(name), Text(printable(said)))
    return grid


def _table(table: Table, width: int) -> Iterator[RenderableType]:
    """The rows that tell something, a table for each network; how many more there are, and why there are dashes."""
    several = len(shown.networks(table)) > 1
    for network in shown.networks(table):
        of = table.column("network")
        here = [at for at in table.telling if of[at] == network]
        if not here:
            continue
        if several:
            yield Text(printable(network), style="bold")
        fitted, breaks = _fitted(table, here, width)
        yield Padding(classes.table(fitted, [False] * len(here), LINES, breaks), (0, 0, 1, 0))
    if more := _more(table):
        yield Padding(Text(more, style="dim"), (0, 0, 1, 0))
    if told := _dashes(table):
        yield Padding(_grid([("why", said) for said in told]), (0, 0, 1, 0))


def _dashes(table: Table) -> list[str]:
    """Why there are dashes or a finding says nothing, and in which rows."""
    told = shown.reasons(table)
    more = [f"{len(told) - REASONS:,} more reasons; the CSV file has them"] if len(told) > REASONS else []
    return [f"{reason} ({names})" for reason, names in told[:REASONS]] + more


def _more(table: Table) -> str:
    """How many rows are not shown, empty where all are."""
    more = len(table.rows) - len(table.telling)
    if not more:
        return ""
    if not table.telling:
        return f"Nothing is shown in any of {rounded.several(more, 'row')}; the CSV file has all."
    shows = "that shows" if more == 1 else "that show"
    return f"{rounded.several(more, 'more row', 'more rows')} {shows} no such thing; the CSV file has all."


def _fitted(table: Table, here: Sequence[int], width: int) -> tuple[classes.Fit, list[int]]:
    """The columns for which there is room, and the rows behind which another group begins.

    A name that stands above needs no second time, and the network is in the heading.
    """
    columns = [column for column in shown.columns(table, here) if not column.wide and column.name != "network"]
    keys = [column for column in columns if column.name in shown.KEYS]
    first = keys[0].cells
    breaks = [at for at in range(len(here) - 1) if first[at] != first[at + 1]]
    together = len(breaks) < len(here) - 1
    made = []
    for column in columns:
        cells = column.cells
        if column is keys[0] and together:
            cells = tuple("" if at and cells[at] == cells[at - 1] else cell for at, cell in enumerate(cells))
        rank = 0 if column.name in shown.KEYS else 1 + _need(column.name)
        title = column.title if column is keys[0] else _stacked(column.title, column.cells)
        made.append(classes.Column(title=title, cells=cells, rank=rank, number=column.number))
    return classes.fit(tuple(made), width), breaks if together else []


def _need(name: str) -> int:
    return NEEDED.index(name) if name in NEEDED else len(NEEDED)


def _stacked(title: str, cells: Sequence[str]) -> str:
    """``title`` on as many lines as keep it from making its column wider."""
    widest = max(map(cell_len, (*cells, *title.split())))
    return "\n".join(textwrap.wrap(title, widest, break_on_hyphens=False))


# ------------------------------------------------------------------------------------------------------- Markdown


def markdown(analysis: Analysis) -> str:
    """The same for documents and pull requests, of at most as many bytes as a comment holds."""
    return "\n".join(marks.cut(list(_lines(analysis)), MOST)) + "\n"


def _lines(analysis: Analysis) -> Iterator[str]:
    yield from (f"### {marks.prose(analysis.title)}", "")
    for network, said in shown.sentences(analysis):
        yield f"{marks.code(network)}:"
        yield ""
        yield from (f"- {marks.prose(sentence)}" for sentence in said)
        yield ""
    for table in analysis.tables:
        yield from (f"#### {marks.prose(table.title)}", "", marks.prose(table.about), "")
        if table.telling:
            columns = [column for column in shown.columns(table, table.telling) if not column.wide]
            cells = [[_marked(column, cell) for cell in column.cells] for column in columns]
            texts = [n for n, column in enumerate(columns) if not column.number]
            heads = [marks.prose(column.title) for column in columns]
            yield from marks.table(heads, list(zip(*cells, strict=True)), texts=texts)
        if more := _more(table):
            yield from (more, "")
        if told := _dashes(table):
            yield from (*(f"- why: {marks.prose(said)}" for said in told), "")
    if analysis.notes:
        yield from ("#### Notes", "")
        yield from (f"- {marks.prose(note)}" for note in analysis.notes)


def _marked(column: shown.Shown, cell: str) -> str:
    return marks.code(cell) if column.name in shown.KEYS and column.name not in shown.DENSITIES else marks.prose(cell)
