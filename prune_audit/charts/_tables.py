"""What charts of tables that lenses made share: which there are, and their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prune_audit.core import Audit, Drawing, Drawn, Field, Table
from prune_audit.printable import printable
from prune_audit.render import rounded
from prune_audit.render.colors import LINES, color
from prune_audit.render.picture import WIDTH, Chart

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke", "wedge")
LETTER, SYMBOL, LABEL = 7, 30, 160  # pixels in a legend: of a letter, of all but the label, of a label at most
PERCENT = ("share", "points")  # units that are shares inside and percent outside


def charts(audit: Audit, kind: Drawing, draw: Callable[[Table, Drawn], Mapping[str, Any] | None]) -> tuple[Chart, ...]:
    """A chart for every table that is to be drawn as ``kind``, in the order of variants and lenses."""
    made = []
    for variant, comparison in enumerate(audit.comparisons):
        of = f"{printable(comparison.pruned.name)} against {printable(comparison.dense.name)}"
        for look in comparison.looks:
            for table in look.tables:
                for drawn in table.drawn:
                    spec = draw(table, drawn) if drawn.kind == kind else None
                    if spec is not None:
                        made.append(
                            Chart(
                                title=printable(drawn.title),
                                of=of,
                                shows=printable(drawn.shows),
                                reading=printable(drawn.reading),
                                spec=spec,
                                variant=variant,
                                look=look.lens,
                            )
                        )
    return tuple(made)


def field(table: Table, name: str) -> Field:
    """The field called ``name``."""
    return next(each for each in table.fields if each.name == name)


def axis(table: Table, name: str) -> str:
    """The title of an axis, with its unit."""
    each = field(table, name)
    return printable(rounded.headed(each.title, each.unit))


def rows(table: Table, drawn: Drawn) -> Iterator[dict[str, Any]]:
    """The values of each row by their part in the drawing, numbers as people read them; without what is absent."""
    parts = {part: getattr(drawn, part) for part in ("x", "y", "value", "low", "high", "group")}
    columns = {part: (field(table, name), table.column(name)) for part, name in parts.items() if name}
    for at in range(len(table.rows)):
        row: dict[str, Any] = {}
        for part, (each, values) in columns.items():
            value = values[at]
            if isinstance(value, (int, float)):
                row[part] = 100 * value if each.unit in PERCENT else value
                row[f"{part}_said"] = f"{printable(each.title)} {rounded.in_unit(each.unit, value)}"
            elif value is not None:
                row[part] = printable(value)
        yield row


def groups(some: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The channels of colour and of shape by the ``group`` of rows, in the order in which they come."""
    names = list(dict.fromkeys(row["group"] for row in some if "group" in row))
    if not names:
        return {"value": color(LINES[0])}, {"value": SHAPES[0]}
    colored: dict[str, Any] = {
        "field": "group", "type": "nominal", "title": None,
        "scale": {"domain": names, "range": [color(LINES[n % len(LINES)]) for n in range(len(names))]},
    }  # fmt: skip
    wide = [min(LABEL, LETTER * len(name)) + SYMBOL for name in names]
    if sum(wide) > WIDTH:  # a legend in one row would run over the edge
        colored["legend"] = {"columns": max(1, WIDTH // max(wide)), "labelLimit": LABEL}
    # One further each time that the colours begin anew, so that no two of them look alike.
    shapes = [SHAPES[(n + n // len(LINES)) % len(SHAPES)] for n in range(len(names))]
    return colored, colored | {"scale": {"domain": names, "range": shapes}}
