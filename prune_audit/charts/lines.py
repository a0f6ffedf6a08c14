"""What lenses measured along the layers of a network: the line is the number, the band is its interval."""

from __future__ import annotations

from typing import Any

from prune_audit.charts import _tables
from prune_audit.core import Audit, Drawn, Table
from prune_audit.render.picture import WIDTH, Chart

RANK = 130
HEIGHT = 260


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each table that is to be drawn so."""
    return _tables.charts(audit, "lines", _spec)


def _spec(table: Table, drawn: Drawn) -> dict[str, Any] | None:
    rows = [row for row in _tables.rows(table, drawn) if "x" in row and "y" in row]
    if not rows:
        return None
    for row in rows:
        limits = f" (interval {row['low']:.3g} to {row['high']:.3g})" if {"low", "high"} <= row.keys() else ""
        row["said"] = f"{row['x']}{', ' + row['group'] if 'group' in row else ''}: {row['y_said']}{limits}"
    colored, shaped = _tables.groups(rows)
    x = {
        "field": "x", "type": "nominal", "sort": list(dict.fromkeys(row["x"] for row in rows)), "title": None,
        "axis": {"labelAngle": -45, "labelOverlap": True},
    }  # fmt: skip
    y = {"type": "quantitative", "axis": {"title": _tables.axis(table, drawn.y), "tickCount": 6}}
    layers: list[dict[str, Any]] = []
    if any({"low", "high"} <= row.keys() for row in rows):
        layers.append(
            {
                "mark": {"type": "area", "opacity": 0.2, "aria": False},
                "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}, "color": colored},
            }
        )
    layers.append(
        {
            "mark": {"type": "line", "strokeWidth": 2, "aria": False},
            "encoding": {"x": x, "y": {"field": "y", **y}, "color": colored},
        }
    )
    layers.append(
        {
            "mark": {"type": "point", "filled": True, "size": 45, "aria": True, "ariaRoleDescription": "mark"},
            "encoding": {
                "x": x, "y": {"field": "y", **y}, "color": colored, "shape": shaped,
                "description": {"field": "said", "type": "nominal"},
            },
        }
    )  # fmt: skip
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": rows},
        "layer": layers,
    }
