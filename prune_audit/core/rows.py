"""An audit as rows: one per variant, stratification and stratum, every measure a column, nothing rounded.

What tables share that machines read: CSV, Parquet, a data frame, a log of metrics. Shares are shares (2 points are
0.02), change is pruned minus dense, and a row lacks the columns that its view has no measure for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from prune_audit.core import lookup
from prune_audit.core.findings import Comparison, View
from prune_audit.core.types import CANNOT_TELL, HARMED, REGRESSED, Outcome, Value

if TYPE_CHECKING:
    import pandas


Row: TypeAlias = dict[str, Value]
Columns: TypeAlias = dict[str, tuple[Value, ...]]
Kind = Literal["count", "number", "label"]

COUNTS = ("support", "both", "lost", "gained", "neither")
LEADING = (
    *("variant", "by", "stratum", *COUNTS, "dense_recall", "pruned_recall", "change", "change_low", "change_high"),
    *("p_value", "q_value", "dense_balance", "pruned_balance", "intensification", "excess_drop", "detectable_drop"),
    *("verdict", "distortion"),
)
SIZES = ("nonzero", "parameters", "macs", "size", "compressed")  # of a model's card
VERDICTS = ("regressed", "harmed", "cannot_tell")  # how many strata each was found of
_WHOLE = {"dense_recall": "dense_accuracy", "pruned_recall": "accuracy"}  # what the recall of all samples is called
_LABELS = ("variant", "by", "stratum", "verdict", "distortion", "outcome")


def columns_of(comparisons: Sequence[Comparison]) -> tuple[list[str], list[Columns]]:
    """The names of the columns, `LEADING` first, and of each variant and stratification those that it has."""
    parts = [_columns(c, view) for c in comparisons for view in c.views if view.strata]
    return [*LEADING, *dict.fromkeys(name for part in parts for name in part if name not in LEADING)], parts


def rows_of(comparisons: Sequence[Comparison]) -> tuple[list[str], list[Row]]:
    """The names of the columns, `LEADING` first, and a row per variant, stratification and stratum."""
    names, parts = columns_of(comparisons)
    return names, [dict(zip(part, row, strict=True)) for part in parts for row in zip(*part.values(), strict=True)]


def overall_of(comparisons: Sequence[Comparison], outcomes: Sequence[Outcome]) -> list[Row]:
    """A row per variant and stratification: the model, and what was measured of it as a whole.

    ``density`` is the nonzero share of its own weights, ``kept`` that of the dense model's; `SIZES` are those of its
    card, None where they are unknown; `VERDICTS` count strata. ``outcome`` is what the gate says of
    this variant alone, one of ``outcomes`` per comparison (`Audit.outcomes`).
    """
    both = zip(comparisons, outcomes, strict=True)
    return [_overall(c, outcome, view) for c, outcome in both for view in c.views]


def kinds(comparisons: Sequence[Comparison], names: Sequence[str]) -> dict[str, Kind]:
    """Column -> what it holds, which follows from the measure and never from what happens to stand in the column."""
    units: dict[str, str] = {m.name: m.unit for c in comparisons for view in c.views for m in view.measures}
    units |= dict.fromkeys((*COUNTS, *SIZES, *VERDICTS), "count") | dict.fromkeys(_LABELS, "label")
    known: Mapping[str, Kind] = {"count": "count", "label": "label"}
    return {name: known.get(units.get(name, ""), "number") for name in names}


def frame(comparisons: Sequence[Comparison], outcomes: Sequence[Outcome], *, overall: bool = False) -> pandas.DataFrame:
    """The rows as a data frame; see `prune_audit.core.Audit.to_frame`."""
    import pandas

    if overall:
        rows = overall_of(comparisons, outcomes)
        names, index = list(dict.fromkeys(name for row in rows for name in row)), ["variant", "by"]
    else:
        names, rows = rows_of(comparisons)
        models = {c.pruned.name: {"density": c.pruned.density, "kept": c.kept} for c in comparisons}
        rows = [{**row, **models[str(row["variant"])]} for row in rows]
        index = ["variant", "by", "stratum"]
        names = [*index, "density", "kept", *(name for name in names if name not in index)]
    types = {"count": "Int64", "number": "float64", "label": "object"}
    columns = {
        name: pandas.Series([row.get(name) for row in rows], dtype=types[kind])
        for name, kind in kinds(comparisons, names).items()
    }
    return pandas.DataFrame(columns).set_index(index)


def _columns(comparison: Comparison, view: View) -> Columns:
    pair = view.pair
    columns: Columns = {
        "variant": (comparison.pruned.name,) * len(view.strata),
        "by": (view.by,) * len(view.strata),
        "stratum": view.strata,
        **{name: tuple(getattr(pair, name).tolist()) for name in COUNTS},
    }
    for measure in view.measures:
        if not measure.by_stratum or measure.name in columns:  # of the model alone, or a count
            continue
        columns[measure.name] = measure.by_stratum
        if measure.low:
            columns[f"{measure.name}_low"] = measure.low
        if measure.high:
            columns[f"{measure.name}_high"] = measure.high
    return columns


def _overall(comparison: Comparison, outcome: Outcome, view: View) -> Row:
    card = comparison.pruned
    row: Row = {"variant": card.name, "by": view.by, "outcome": outcome}
    row |= {"density": card.density, "kept": comparison.kept, **{name: getattr(card, name) or None for name in SIZES}}
    # Those of a sequential audit are mixed as its classes happened to stop.
    summed = ("support",) if view.pair.sequential else COUNTS
    row |= {name: int(getattr(view.pair, name).sum()) if name in summed else None for name in COUNTS}
    found = (("verdict", (REGRESSED,)), ("distortion", HARMED), ("verdict", (CANNOT_TELL,)))
    for name, (measure, verdicts) in zip(VERDICTS, found, strict=True):
        row[name] = len(lookup.those(view, measure, verdicts)) if lookup.find(view, measure) else None
    for m in view.measures:
        name = _WHOLE.get(m.name, m.name)
        if name not in row and (m.overall is not None or m.overall_absent is not None):
            row[name] = m.overall
            if m.overall_low is not None or m.overall_high is not None:
                row |= {f"{name}_low": m.overall_low, f"{name}_high": m.overall_high}
    return row
