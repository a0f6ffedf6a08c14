"""What lenses see of a variant: sentences, and tables of what is no column of the classes.

A lens looks at networks and not at counts, so that nobody can compute its numbers again from an audit: they are kept
in it whole. What it says of each class are `Measure`s beside the counted ones (`View.apart`); all else is a `Table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prune_audit.core.types import Unit, Value
from prune_audit.errors import UsageError

Drawing = Literal["grid", "scatter", "dots", "lines"]
"""How a table is drawn: a coloured cell for each pair of words; a point for each row by two numbers; a number with its
interval for each row; numbers along an axis of words, with their intervals as bands."""


BESIDE = "beside"
"""The lens of what changed since an earlier audit (`prune_audit.side_by_side`), which looked at no network."""
LARGEST = 1e300
"""Of a value; a hundred times that is a number still."""
_NUMBERS: Mapping[Drawing, tuple[str, ...]] = {
    "dots": ("x", "low", "high"),
    "lines": ("y", "low", "high"),
    "grid": ("value",),
    "scatter": ("x", "y"),
}
"""What of a drawing is a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column of a `Table`: ``name`` for programs, ``title`` and ``meaning`` for people."""

    name: str
    title: str
    unit: Unit
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """How a table is to be drawn, by the names of its fields.

    ``x`` and ``y`` are the axes, and of a ``grid`` words both; of ``dots`` ``y`` are the words, of ``lines`` ``x``.
    ``value`` is the number that colours the cells of a ``grid``: 0 is neutral, what lies ``worse``, below or above, is
    loss. ``low`` and ``high`` are
    the interval of the number. ``group`` tells several series apart, and of a ``scatter`` names the points. ``shows``
    is the finding in words, ``reading`` how to read it.
    """

    kind: Drawing
    title: str
    shows: str
    reading: str
    x: str
    y: str
    value: str = ""
    low: str = ""
    high: str = ""
    group: str = ""
    worse: Literal["below", "above"] = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of values, one for each of ``fields``; what is absent is None, and ``notes`` say why.

    Of a table with a number of classes a field called ``n`` says how many samples stand behind each row. One that is a
    ``detail`` is in documents, files and pages alone, and not in what is read in a terminal or a comment.
    """

    name: str
    title: str
    fields: tuple[Field, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    detail: bool = False

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if len(set(names)) < len(names) or not names:
            raise UsageError(f"the table {self.name} has no fields of different names", hint="name each once")
        for row in self.rows:
            if len(row) != len(names):
                raise UsageError(
                    f"the table {self.name} has a row of {len(row)} values for {len(names)} fields",
                    hint="give one value for each field, None where there is none",
                )
            if any(isinstance(value, (int, float)) and not abs(value) <= LARGEST for value in row):
                raise UsageError(f"the table {self.name} has a value that is no number", hint="what is absent is None")
        for drawn in self.drawn:
            asked = {drawn.x, drawn.y, drawn.value, drawn.low, drawn.high, drawn.group} - {""}
            if missing := asked - set(names):
                raise UsageError(
                    f"the table {self.name} is to be drawn by {', '.join(sorted(missing))}, which it has not",
                    hint=f"its fields: {', '.join(names)}",
                )
            for part, kinds in (*((part, (int, float)) for part in _NUMBERS[drawn.kind]), ("group", (str,))):
                field = getattr(drawn, part)
                if field and not all(value is None or isinstance(value, kinds) for value in self.column(field)):
                    wanted = "words" if part == "group" else "numbers"
                    raise UsageError(
                        f"the table {self.name} is to be drawn by {field}, which holds other values than {wanted}",
                        hint=f"{part} is of {wanted}",
                    )

    @property
    def spread(self) -> Table:
        """A table that is drawn as a grid as people read it: a row for each word down, a field for each across."""
        grid = next((drawn for drawn in self.drawn if drawn.kind == "grid"), None)
        if grid is None:
            return self
        across = list(dict.fromkeys(map(str, self.column(grid.x))))
        down = list(dict.fromkeys(map(str, self.column(grid.y))))
        cells = zip(*(self.column(name) for name in (grid.y, grid.x, grid.value)), strict=True)
        values = {(str(y), str(x)): value for y, x, value in cells}
        by_name = {field.name: field for field in self.fields}
        head, own = by_name[grid.y], by_name[grid.value]
        return Table(
            name=self.name,
            title=f"{self.title}: {own.title}",
            fields=(head, *(Field(name=f"x {x}", title=x, unit=own.unit) for x in across)),
            rows=tuple((y, *(values.get((y, x)) for x in across)) for y in down),
            notes=self.notes,
        )

    def column(self, name: str) -> tuple[Value, ...]:
        """The values of the field called ``name``, (R,). Raises `KeyError` where there is none."""
        for at, field in enumerate(self.fields):
            if field.name == name:
                return tuple(row[at] for row in self.rows)
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one lens saw: ``sentences``, the finding first, then its tables. ``title`` is the question that it answers.

    ``absent`` says why it saw nothing, None where it did.
    """

    lens: str
    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    absent: str | None = None
