"""How many classes changed by how much: all of them, where they are too many to be drawn one by one.

A histogram of the change of recall, coloured by verdict, with the margin. It says whether the worst are a tail of many
or a few that stand alone.
"""

from __future__ import annotations

from typing import Any

from prune_audit.charts import Chart
from prune_audit.charts._colors import VERDICTS, color
from prune_audit.charts._picture import WIDTH
from prune_audit.charts.recalls import MOST
from prune_audit.core import Audit, View
from prune_audit.reports import _words as w

RANK = 15

HEIGHT = 200
BARS = 40  # at most


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each variant with more classes than `recalls` draws."""
    made = []
    settings = audit.provenance.settings
    for variant, comparison in enumerate(audit.comparisons):
        view = w.by_class(comparison)
        rows = _rows(view) if view and len(view.strata) > MOST else []
        if view is None or not rows:
            continue
        made.append(
            Chart(
                title=f"Change of all {len(rows):,} classes, {w.printable(comparison.pruned.name)} against dense",
                shows=w.drops(view, settings),
                reading=f"Bar: how many classes changed so much. Dashed line: the margin of {w.loss(settings.margin)}.",
                spec=_spec(rows, settings.margin),
                variant=variant,
            )
        )
    return tuple(made)


def _rows(view: View) -> list[dict[str, Any]]:
    moved = zip(w.column(view, "change"), w.column(view, "verdict"), strict=True)
    return [
        {"change": 100 * change, "verdict": verdict or "not judged"}
        for change, verdict in moved
        if isinstance(change, (int, float))
    ]


def _spec(rows: list[dict[str, Any]], margin: float) -> dict[str, Any]:
    shown = [name for name in VERDICTS if any(row["verdict"] == name for row in rows)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": [
            {
                "data": {"values": rows},
                "mark": {"type": "bar", "aria": False, "binSpacing": 1},
                "encoding": {
                    "x": {"field": "change", "bin": {"maxbins": BARS}, "type": "quantitative",
                          "axis": {"title": "change of recall, points", "grid": False}},
                    "y": {"aggregate": "count", "type": "quantitative", "axis": {"title": "classes", "tickCount": 5}},
                    "color": {"field": "verdict", "type": "nominal", "title": None,
                              "scale": {"domain": shown, "range": [color(VERDICTS[name][0]) for name in shown]}},
                    "order": {"field": "verdict", "type": "nominal", "sort": "descending"},
                },
            },
            {
                "data": {"values": [{"margin": -100 * margin}]},
                "mark": {"type": "rule", "strokeDash": [5, 4], "strokeWidth": 1.5, "color": color("ink"),
                         "aria": False},
                "encoding": {"x": {"field": "margin", "type": "quantitative"}},
            },
        ],
    }  # fmt: skip
