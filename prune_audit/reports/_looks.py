"""What lenses saw, as a terminal shows it: sentences, then tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.rule import Rule

from prune_audit.core import BESIDE, Audit, Comparison, Table
from prune_audit.printable import printable
from prune_audit.render import class_table as classes
from prune_audit.render import rounded
from prune_audit.render.bars import Glyphs
from prune_audit.render.consoles import Text

ROWS = 20  # of a table on the screen, unless all are asked for


def opening(audit: Audit) -> Iterator[RenderableType]:
    """The sentences with which a report opens."""
    said = [sentence for comparison in audit.comparisons for sentence in comparison.explained]
    if said:
        yield Rule(Text("Why", style="bold"), align="left", style="dim")
        for sentence in said:
            yield Text(printable(sentence), style="bold")
        yield Text()


def changes(audit: Audit) -> Iterator[RenderableType]:
    """What changed since an earlier audit, in sentences."""
    for look in (look for comparison in audit.comparisons for look in comparison.looks if look.lens == BESIDE):
        yield Rule(Text(printable(look.title), style="bold"), align="left", style="dim")
        for sentence in look.sentences:
            yield Text(printable(sentence))
        yield Text()


def sections(comparison: Comparison, width: int, glyphs: Glyphs, show_all: bool) -> Iterator[RenderableType]:
    """A section for each lens."""
    for look in comparison.looks:
        yield Rule(Text(printable(look.lens), style="bold"), align="left", style="dim")
        yield Text(printable(look.title), style="dim")
        if look.absent is not None:
            yield Text(f"nothing was seen: {printable(look.absent)}")
        for sentence in look.sentences:
            yield Text(printable(sentence))
        yield Text()
        for table in (each for each in look.tables if not each.detail):
            yield from _table(table, width, glyphs, show_all)


def _table(table: Table, width: int, glyphs: Glyphs, show_all: bool) -> Iterator[RenderableType]:
    spread = table.spread
    shown = spread.rows if show_all else spread.rows[:ROWS]
    units = {field.unit for field in spread.fields[1:]}
    shared = units.pop() if table.spread is not table and len(units) == 1 else None  # said once, of all columns
    yield Text(printable(rounded.headed(spread.title, shared) if shared else spread.title), style="bold")
    ranks = _ranks(spread)
    columns = [
        classes.Column(
            title=printable(field.title if shared else rounded.headed(field.title, field.unit)),
            cells=tuple(rounded.in_unit(field.unit, row[at]) for row in shown),
            rank=ranks[field.name],
            number=field.unit != "label",
            measure=field.name,
        )
        for at, field in enumerate(spread.fields)
    ]
    fitted = classes.fit(tuple(columns), width)
    yield classes.table(fitted, [False] * len(shown), glyphs)
    kept = {column.measure for column in fitted.columns}
    if without := [field.title for field in spread.fields if field.name not in kept]:
        yield Text(
            f"no room for {printable(rounded.listed(without))}: a wider terminal shows them, and files do", style="dim"
        )
    if len(shown) < len(spread.rows):
        yield Text(f"{len(spread.rows) - len(shown):,} more rows; --all shows them", style="dim")
    said = [f"{each.title}: {each.meaning}" for each in spread.fields if each.meaning and each.name in kept]
    for line in (["; ".join(said)] if said else []) + list(spread.notes):
        yield Text(printable(line), style="dim")
    yield Padding("", 0)


def _ranks(table: Table) -> dict[str, int]:
    """How soon each column goes where room is short: the last ones first, and both ends of an interval together."""
    ranks = {field.name: at for at, field in enumerate(table.fields)}
    for drawn in table.drawn:
        if drawn.low and drawn.high:
            ranks[drawn.low] = ranks[drawn.high] = max(ranks[drawn.low], ranks[drawn.high])
    return ranks
