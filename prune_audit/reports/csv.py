"""CSV (.csv): one row per variant, stratification and stratum, every measure a column, nothing rounded.

The leading columns are fixed, so that other programs can rely on them; whatever else is measured follows. Shares are
shares (2 points are 0.02), change is pruned minus dense, and a cell is empty where there is no value. Names are
written as they are, so that a table can be joined by them.
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


def render(audit: Audit) -> str:
    """The table, as RFC 4180 has it."""
    rows = [row for c in audit.comparisons for view in c.views for row in _rows(c, view)]
    further = dict.fromkeys(name for row in rows for name in row if name not in LEADING)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*LEADING, *further], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


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
