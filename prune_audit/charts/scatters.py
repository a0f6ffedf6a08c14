"""What lenses predicted against what happened: each point a class.

On the dashed line both are equal, where they are of one unit.
"""

from __future__ import annotations

from typing import Any

from prune_audit.charts import _tables
from prune_audit.core import Audit, Drawn, Table
from prune_audit.render.colors import color
from prune_audit.render.picture import WIDTH, Chart

RANK = 110
NAMED = 12  # points up to which each bears its name
HEIGHT = 300


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each table that is to be drawn so."""
    return _tables.charts(audit, "scatter", _spec)


def _spec(table: Table, drawn: Drawn) -> dict[str, Any] | None:
    points = [
        row for row in _tables.rows(table, drawn) if isinstance(row.get("x"), float | int) and row.get("y") is not None
    ]
    if not points:
        return None
    for row in points:
        row["said"] = f"{row.get('group', '')}: {row['x_said']}, {row['y_said']}".removeprefix(": ")
    x, y = (
        {"field": axis, "type": "quantitative", "axis": {"title": _tables.axis(table, name), "tickCount": 6}}
        for axis, name in (("x", drawn.x), ("y", drawn.y))
    )
    layers: list[dict[str, Any]] = []
    if _tables.field(table, drawn.x).unit == _tables.field(table, drawn.y).unit:
        ends = [pick(row[axis] for row in points for axis in ("x", "y")) for pick in (min, max)]
        layers.append(
            {
                "data": {"values": [{"x": end, "y": end} for end in ends]},
                "mark": {"type": "line", "aria": False, "color": color("muted"), "strokeDash": [5, 4]},
                "encoding": {"x": x, "y": y},
            }
        )
    layers.append(
        {
            "data": {"values": points},
            "mark": {
                "type": "point", "filled": True, "size": 70, "color": color("accent"), "opacity": 0.85,
                "aria": True, "ariaRoleDescription": "mark",
            },
            "encoding": {"x": x, "y": y, "description": {"field": "said", "type": "nominal"}},
        }
    )  # fmt: skip
    if len(points) <= NAMED and all("group" in row for row in points):
        middle = (min(row["x"] for row in points) + max(row["x"] for row in points)) / 2
        named = _apart(points)
        for align, shift, side in (
            ("left", 8, [row for row in named if row["x"] <= middle]),
            ("right", -8, [row for row in named if row["x"] > middle]),
        ):
            layers.append(
                {
                    "data": {"values": side},
                    "mark": {"type": "text", "align": align, "dx": shift, "dy": 1, "limit": 120, "aria": False},
                    "encoding": {"x": x, "y": y, "text": {"field": "group", "type": "nominal"}},
                }
            )
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": layers,
    }


def _apart(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points that get their name, the highest first, none at the height of another one."""
    room = (max(row["y"] for row in points) - min(row["y"] for row in points)) * 16 / HEIGHT
    chosen: list[dict[str, Any]] = []
    for row in sorted(points, key=lambda row: -row["y"]):
        if all(abs(row["y"] - other["y"]) >= room for other in chosen):
            chosen.append(row)
    return chosen
