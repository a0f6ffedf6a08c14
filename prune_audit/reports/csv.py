"""CSV (.csv): one row per variant, stratification and stratum, every measure a column, nothing rounded.

The leading columns are fixed, so that other programs can rely on them; whatever else is measured follows. Shares are
shares (2 points are 0.02), change is pruned minus dense, and a cell is empty where there is no value. Names are
written as they are, so that a table can be joined by them.

A spreadsheet runs text that looks like a formula, so `--csv-dialect excel` puts an apostrophe before such text, never
before a number, and a mark at the start of the file from which Excel knows that it is UTF-8.
"""

from __future__ import annotations

import csv
import io

from prune_audit.core import Audit, Comparison, Value, View

SUFFIXES = (".csv",)
COUNTS = ("support", "both", "lost", "gained", "neither")
LEADING = (
    *("variant", "by", "stratum", *COUNTS, "dense_recall", "pruned_recall", "change", "change_low", "change_high"),
    *("p_value", "q_value", "dense_balance", "pruned_balance", "intensification", "excess_drop", "detectable_drop"),
    *("verdict", "distortion"),
)


# What may start a formula; a tab or a line break too, because Excel drops them and looks at what follows (OWASP, CSV
# injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def render(audit: Audit) -> str:
    """The table, as RFC 4180 has it."""
    return _text(*rows_of(audit))


def excel(audit: Audit) -> str:
    """The table for a spreadsheet: no cell is run, and names beyond ASCII arrive whole."""
    names, rows = rows_of(audit)
    return "\ufeff" + _text(names, [{name: _safe(cell) for name, cell in row.items()} for row in rows])


DIALECTS = {"excel": excel}


def rows_of(audit: Audit) -> tuple[list[str], list[dict[str, Value]]]:
    """The names of the columns, and the rows; a row lacks the columns that its view has no measure for."""
    rows = [row for c in audit.comparisons for view in c.views for row in _rows(c, view)]
    return [*LEADING, *dict.fromkeys(name for row in rows for name in row if name not in LEADING)], rows


def _text(names: list[str], rows: list[dict[str, Value]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _safe(cell: Value) -> Value:
    """``cell`` as a spreadsheet shows it rather than runs it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _rows(comparison: Comparison, view: View) -> list[dict[str, Value]]:
    pair = view.pair
    columns: dict[str, tuple[Value, ...]] = {
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
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
