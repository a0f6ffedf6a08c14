"""What a study found, as tables: a few named columns of numbers and words, which every format shows in its own way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from prune_audit.core import Value

Row: TypeAlias = dict[str, Value]  # of a table, by the names of its columns
Kind = Literal["label", "count", "share", "points", "ratio", "p", "number"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """``name`` is what machines read, ``title`` what people do.

    Values of kind ``share`` and ``points`` are both shares (2 points are .02) and differ in how they are shown: in per
    cent, and in points with their sign. ``wide`` columns are left out where there is little room.
    """

    name: str
    title: str
    kind: Kind
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the analysis. ``about`` says in two or three sentences how to read it and what was corrected for.

    A value that does not exist is None, and the column ``absent`` of its row, a label, says why. ``telling`` are the
    positions of those rows that say something was found; where there is little room, the others are left out, and
    their number is said.
    """

    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    telling: tuple[int, ...]

    def column(self, name: str) -> tuple[Value, ...]:
        """The values of the column called ``name``. Raises `KeyError` where there is none."""
        for at, column in enumerate(self.columns):
            if column.name == name:
                return tuple(row[at] for row in self.rows)
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All tables of a study. ``notes`` are what a reader must know of the runs: what failed, what is missing."""

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]

    def table(self, name: str) -> Table:
        """The table called ``name``. Raises `KeyError` where there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


# ---------------------------------------------------------------------------------------------- how they are made


def column(name: str, title: str, kind: Kind, *, wide: bool = False) -> Column:
    """A `Column`, told shortly."""
    return Column(name=name, title=title, kind=kind, wide=wide)


NAMES = {name: column(name, name, "label") for name in ("network", "method", "other", "larger", "class")}
NAMES |= {name: column(name, name, "share") for name in ("density", "sparser")}
NAMES |= {"control": column("control", "control", "label")}
NAMES |= {"control_density": column("control_density", "control's density", "share")}
SEEDS = column("seeds", "seeds", "count")


def table(
    name: str, title: str, about: str, columns: tuple[Column, ...], rows: Sequence[Row], telling: Sequence[int]
) -> Table:
    """A `Table` of ``rows`` by the names of its columns; what a row lacks is None."""
    return Table(
        name=name,
        title=title,
        about=about,
        columns=columns,
        rows=tuple(tuple(row.get(column.name) for column in columns) for row in rows),
        telling=tuple(telling),
    )


def shows(rows: Sequence[Row], name: str) -> bool:
    """Whether any of ``rows`` has a value in the column ``name``; a column without one is shown to nobody."""
    return any(row.get(name) is not None for row in rows)


def number(value: Any) -> float | None:
    """``value`` as a table has it."""
    return float(value) if value is not None and math.isfinite(value) else None
