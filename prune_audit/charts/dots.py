"""What lenses measured, a row for each class or layer: the point is the number, the bar is its interval."""

from __future__ import annotations

from typing import Any

from prune_audit.charts import _tables
from prune_audit.charts._rows import MARK, MOST, TOLD, frame
from prune_audit.core import Audit, Drawn, Table
from prune_audit.render.colors import color
from prune_audit.render.picture import Chart

RANK = 120


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each table that is to be drawn so."""
    return _tables.charts(audit, "dots", _spec)


def _spec(table: Table, drawn: Drawn) -> dict[str, Any] | None:
    found = [row for row in _tables.rows(table, drawn) if "x" in row and "y" in row]
    shown = list(dict.fromkeys(row["y"] for row in found))[:MOST]
    rows = [row | {"name": row["y"]} for row in found if row["y"] in shown]
    if not rows:
        return None
    for row in rows:
        limits = f" (interval {row['low']:.3g} to {row['high']:.3g})" if {"low", "high"} <= row.keys() else ""
        row["said"] = f"{row['y']}{', ' + row['group'] if 'group' in row else ''}: {row['x_said']}{limits}"
    colored, shaped = _tables.groups(rows)
    x = {"type": "quantitative", "axis": {"title": _tables.axis(table, drawn.x), "tickCount": 6}}
    shift = {"yOffset": {"field": "group", "type": "nominal"}} if len({row.get("group") for row in rows}) > 1 else {}
    layers: list[dict[str, Any]] = []
    if any(row[name] < 0 for row in rows for name in ("x", "low") if name in row):  # it tells gains from losses
        zero = {"type": "rule", "strokeWidth": 1.5, "color": color("muted"), "aria": False}
        layers.append({"mark": zero, "encoding": {"x": {"datum": 0, **x}, "y": None}})
    if any({"low", "high"} <= row.keys() for row in rows):
        layers.append(
            {
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.45, "aria": False},
                "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, "color": colored, **shift},
            }
        )
    layers.append(
        {
            "mark": {"type": "point", "filled": True, "size": 70, **MARK},
            "encoding": {"x": {"field": "x", **x}, "color": colored, "shape": shaped, **shift, **TOLD},
        }
    )
    return {**frame(rows), "layer": layers}
