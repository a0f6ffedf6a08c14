"""What lenses saw of layers and classes, cell by cell: blue where a class gains, orange where it loses.

The darker, the more. A cell without a colour is one without a value.
"""

from __future__ import annotations

from typing import Any

from prune_audit.charts import _tables
from prune_audit.core import Audit, Drawn, Table
from prune_audit.render.colors import color
from prune_audit.render.picture import WIDTH, Chart

RANK = 100
MOST = 60  # of either axis, so that a word stays legible
CELL = 22  # pixels of a row


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each table that is to be drawn so."""
    return _tables.charts(audit, "grid", _spec)


def _spec(table: Table, drawn: Drawn) -> dict[str, Any] | None:
    cells = [row for row in _tables.rows(table, drawn) if {"x", "y", "value"} <= row.keys()]
    across, down = (list(dict.fromkeys(row[axis] for row in cells)) for axis in ("x", "y"))
    if not cells or max(len(across), len(down)) > MOST:
        return None
    most = max(abs(row["value"]) for row in cells) or 1.0
    for row in cells:
        row["said"] = f"{row['y']}, {row['x']}: {row['value_said']}"
        row["level"] = _level(row["value"] / most * (1 if drawn.worse == "below" else -1))
    looks = {f"level{n}": name for n, name in zip(range(-4, 3), _COLOURS, strict=True)}
    return {
        "width": WIDTH,
        "height": {"step": CELL},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": cells},
        "mark": {"type": "rect", "aria": True, "ariaRoleDescription": "mark", "stroke": color("paper")},
        "encoding": {
            "x": {
                "field": "x", "type": "nominal", "sort": across, "title": None,
                "axis": {"orient": "top", "labelAngle": -45, "ticks": False, "domain": False},
            },
            "y": {
                "field": "y", "type": "nominal", "sort": down, "title": None,
                "axis": {"ticks": False, "domain": False, "labelPadding": 6},
            },
            "color": {
                "field": "level", "type": "nominal", "legend": None,
                "scale": {"domain": list(looks), "range": [color(name) for name in looks.values()]},
            },
            "description": {"field": "said", "type": "nominal"},
        },
    }  # fmt: skip


_COLOURS = ("loss-4", "loss-3", "loss-2", "loss-1", "still", "gain-1", "gain-2")


def _level(share: float) -> str:
    """The step of colour of a number by its ``share`` of the largest; little is none."""
    if abs(share) < 0.05:
        return "level0"
    if share > 0:
        return "level2" if share >= 0.5 else "level1"
    return f"level{-min(4, 1 + int(-share * 4))}"
