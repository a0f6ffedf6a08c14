"""Tables of a study as people read them, in a terminal, in Markdown and on the page: rounded cells, intervals, words.

A finding says which way a mean points and is sure of no more than that. Whether gaps grew is said by the ratio of
spreads alone. Where one line describes too few of the classes, or where it falls, alpha is no slope of anything, and no
sentence here rests on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prune_audit.core import Value
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.study.tables import Analysis, Column, Kind, Table

KEYS = ("network", "larger", "method", "other", "density", "sparser", "control", "control_density", "class")
"""What names a row."""
DENSITIES = ("density", "sparser", "control_density")
ABSENT = "absent"
MORE = "more than by exchange"  # exemplars
UNFIT = (
    f"no rising line describes the classes (mean r^2 below {wording.ONE_LINE:g}, or alpha below 0), or at most half of "
    "the runs have an alpha"
)

_BY_KIND: Mapping[Kind, Callable[[Value], str]] = {
    "label": rounded.label,
    "count": rounded.count,
    "share": rounded.percent,
    "points": rounded.points,
    "ratio": rounded.ratio,
    "p": rounded.probability,
    "number": rounded.number,
}
_UNITS: Mapping[Kind, str] = {"share": "%", "points": "points"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A column as it is read. ``name`` is that of the column of the table, the lower end's where it is an interval."""

    name: str
    title: str
    cells: tuple[str, ...]
    number: bool
    wide: bool


def row(table: Table, at: int) -> dict[str, Value]:
    """The row at ``at`` by the names of its columns."""
    return {column.name: value for column, value in zip(table.columns, table.rows[at], strict=True)}


def rows(table: Table) -> list[dict[str, Value]]:
    """Every row by the names of its columns."""
    return [row(table, at) for at in range(len(table.rows))]


def columns(table: Table, at: Sequence[int]) -> tuple[Shown, ...]:
    """The columns that have something for the rows at ``at``, without reasons; both ends of an interval are one."""
    return tuple(_columns(table, at))


def _columns(table: Table, at: Sequence[int]) -> Iterator[Shown]:
    names = {column.name for column in table.columns}
    for column in table.columns:
        values = _values(table, column.name, at)
        if column.name == ABSENT or all(value is None for value in values):
            continue
        title, cells = _title(column), [_cell(column, value) for value in values]
        low, high = _ends(column.name)
        if low in names and high in names:
            if column.name == high:
                continue
            highs = _values(table, high, at)
            title = "interval" if column.title == "low" else column.title
            cells = [_between(column, *ends) for ends in zip(values, highs, strict=True)]
        number = column.kind != "label"
        yield Shown(name=column.name, title=title, cells=tuple(cells), number=number, wide=column.wide)


def _values(table: Table, name: str, at: Sequence[int]) -> list[Value]:
    values = table.column(name)
    return [values[i] for i in at]


def _ends(name: str) -> tuple[str, str]:
    """The names of both ends of an interval, of which ``name`` may be one; for other names, such as are not there."""
    stem = name.removesuffix("low").removesuffix("high")
    return f"{stem}low", f"{stem}high"


def _between(column: Column, low: Value, high: Value) -> str:
    return rounded.DASH if low is None or high is None else f"{_cell(column, low)} to {_cell(column, high)}"


def _cell(column: Column, value: Value) -> str:
    if column.name in DENSITIES and isinstance(value, (int, float)):
        return rounded.limit(value)
    return _BY_KIND[column.kind](value)


def _title(column: Column) -> str:
    unit = _UNITS.get(column.kind)
    title = printable(column.title)
    return title if unit is None or unit in title else f"{title}, {unit}"


def name(table: Table, at: int) -> str:
    """What the row at ``at`` is of, in short: ``magnitude, 5 %``."""
    found = row(table, at)
    said = [printable(str(found[key])) for key in KEYS if key not in DENSITIES and found.get(key) is not None]
    return ", ".join([*said, *(density(found[key]) for key in DENSITIES if found.get(key) is not None)])


def density(share: Value) -> str:
    """A density with its sign."""
    return f"{rounded.limit(share)} %" if isinstance(share, (int, float)) else rounded.DASH


def reasons(table: Table) -> list[tuple[str, str]]:
    """Why values are absent, and in which rows; what stands behind the colon of a reason is left out where rows
    differ in it."""
    if ABSENT not in (column.name for column in table.columns):
        return []
    found: dict[str, list[str]] = {}
    told: dict[str, set[str]] = {}
    for at, reason in enumerate(table.column(ABSENT)):
        if reason is not None:
            short = str(reason).partition(":")[0]
            found.setdefault(short, []).append(name(table, at))
            told.setdefault(short, set()).add(str(reason))
    return [
        (printable(told[short].pop() if len(told[short]) == 1 else short), _listed(names))
        for short, names in found.items()
    ]


def _listed(names: Sequence[str], most: int = 4) -> str:
    """``a; b and 7 more``: the names of rows hold commas."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more


def networks(table: Table) -> list[str]:
    """The networks of a table, in its order."""
    return list(dict.fromkeys(str(value) for value in table.column("network")))


def methods(analysis: Analysis) -> list[str]:
    """Every method of the study, in its order."""
    return list(dict.fromkeys(str(value) for value in analysis.table("cells").column("method")))


def enough(cell: Mapping[str, Value]) -> bool:
    """Whether more than half of the finished runs of a cell have an alpha: the others collapsed, as those may yet."""
    left, finished = cell["seeds"], cell["finished"]
    return isinstance(left, int) and isinstance(finished, int) and 2 * left > finished


def fits(cell: Mapping[str, Value]) -> bool:
    """Whether one rising line describes the classes of a cell, so that alpha is a slope of something.

    The mean r^2 over seeds says so, and nothing else does, that over all classes of all seeds least of all: a cell has
    one answer wherever it is asked.
    """
    alpha, fit = cell["alpha"], cell["r_squared"]
    lines = isinstance(alpha, (int, float)) and alpha > 0 and isinstance(fit, (int, float)) and fit >= wording.ONE_LINE
    return lines and enough(cell)


def sentences(analysis: Analysis) -> list[tuple[str, tuple[str, ...]]]:
    """For each network what was found, the most important first."""
    cells = rows(analysis.table("cells"))
    return [
        (network, tuple(_sentences(analysis, [cell for cell in cells if cell["network"] == network])))
        for network in networks(analysis.table("cells"))
    ]


def _sentences(analysis: Analysis, cells: Sequence[Mapping[str, Value]]) -> Iterator[str]:
    known = [cell for cell in cells if cell["gaps"] is not None]
    grew, shrank = ([cell for cell in known if cell["gaps"] == way] for way in (wording.GREW, wording.SHRANK))
    if grew:
        yield f"Gaps between classes grew in {len(grew):,} of {rounded.several(len(known), 'cell')}: {_where(grew)}."
    elif known:
        yield f"In no cell gaps between classes are shown to have grown, of {rounded.several(len(known), 'cell')}."
    if shrank:
        yield f"They shrank in {len(shrank):,}: {_where(shrank)}."
    fitted = [cell for cell in cells if fits(cell)]
    for side, finding in (("above", "intensified"), ("below", "de-intensified")):
        if here := [cell for cell in fitted if cell["finding"] == finding]:
            yield f"Alpha lies {side} 1 in {len(here):,} of {rounded.several(len(fitted), 'cell')}: {_where(here)}."
        asked = [cell for cell in fitted if cell["finding_both"] is not None]
        if here and asked:
            both = [cell for cell in asked if cell["finding_both"] == finding]
            where = f": {_where(both)}" if both else ""
            yield f"For new seeds and new samples it lies {side} 1 in {len(both):,} of {len(asked):,}{where}."
    if lowest := _lowest(analysis, fitted):
        yield f"Lowest alpha, shown to lie below that of all other methods: {lowest}."
    yield from _exemplars(analysis, cells)
    if failed := [cell for cell in cells if cell["accuracy"] is None]:
        yield f"Every run failed of {_where(failed)}."
    if unfitted := [cell for cell in cells if not fits(cell) and cell not in failed]:
        yield f"Nothing is said here of alpha of {_where(unfitted)}: {UNFIT}."


def _exemplars(analysis: Analysis, cells: Sequence[Mapping[str, Value]]) -> Iterator[str]:
    """Whether more samples changed sides than exchanged networks would have."""
    network = cells[0]["network"]
    own = [row for made in analysis.tables if made.name == "exemplars" for row in rows(made)]
    tested = [row for row in own if row["network"] == network and row["q"] is not None]
    if tested:
        more = [row for row in tested if row["finding"] == MORE]
        where = f": {_where(more)}" if more else ""
        yield (
            f"Exemplars, which most pruned networks call otherwise than most dense ones, are more than by exchange in "
            f"{len(more):,} of {rounded.several(len(tested), 'cell')}{where}."
        )


def _where(cells: Sequence[Mapping[str, Value]]) -> str:
    """``one at 5 and 2 %; another at 2 %``, of methods."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        at = cell["density"]
        found.setdefault(printable(str(cell["method"])), []).append(
            rounded.limit(at) if isinstance(at, (int, float)) else rounded.DASH
        )
    return "; ".join(f"{method} at {_and(at)} %" for method, at in found.items())


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _lowest(analysis: Analysis, fitted: Sequence[Mapping[str, Value]]) -> str:
    """At each density the methods each of which is shown to lie below every other one; empty where there are none.

    They are at most half of all, rounded up: that all but one do better than the worst tells nobody which to take.
    """
    below = set()
    for pair in (pair for made in analysis.tables if made.name == "methods" for pair in rows(made)):
        network, at, method, other = (pair[key] for key in ("network", "density", "method", "other"))
        if pair["finding"] in ("lower", "higher"):
            low, high = (other, method) if pair["finding"] == "lower" else (method, other)
            below.add((network, at, low, high))
    found: dict[str, list[str]] = {}
    for at in dict.fromkeys(cell["density"] for cell in fitted):
        here = sorted((cell for cell in fitted if cell["density"] == at), key=_alpha)
        for few in range(1, min(len(here) - 1, (len(here) + 1) // 2) + 1):
            split = ((low, high) for low in here[:few] for high in here[few:])
            if all((low["network"], at, low["method"], high["method"]) in below for low, high in split):
                names = _and([printable(str(cell["method"])) for cell in here[:few]])
                found.setdefault(names, []).append(rounded.limit(at) if isinstance(at, (int, float)) else rounded.DASH)
                break
    return "; ".join(f"{names} at {_and(at)} %" for names, at in found.items())


def _alpha(cell: Mapping[str, Value]) -> float:
    alpha = cell["alpha"]
    return alpha if isinstance(alpha, (int, float)) else 0.0
