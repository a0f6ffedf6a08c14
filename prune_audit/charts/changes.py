"""The change of every class with its interval, worst first: all of them, where they are too many for names.

Where the band lies wholly below the line of the margin, a loss is shown. It says at a glance whether the worst are a
few that stand alone or the end of a long slope.
"""

from __future__ import annotations

import math
from typing import Any

from prune_audit.charts._rows import MOST, level
from prune_audit.core import Audit, View, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.colors import color
from prune_audit.render.picture import WIDTH, Chart

RANK = 15

HEIGHT = 200
DRAWN = 2_000  # classes, which are more than a line has pixels; of more, each so many-th


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each variant with more classes than `recalls` draws."""
    made = []
    settings = audit.provenance.settings
    for variant, comparison in enumerate(audit.comparisons):
        view = lookup.by_class(comparison)
        rows = _rows(view) if view and len(view.strata) > MOST else []
        if view is None or not rows:
            continue
        (one, many), step = lookup.noun(view), math.ceil(len(rows) / DRAWN)
        made.append(
            Chart(
                title=f"Change of all {len(rows):,} {many}",
                of=f"{printable(comparison.pruned.name)} against {printable(comparison.dense.name)}",
                shows=wording.drops(view, settings),
                reading=(
                    f"Line: change of {lookup.rate(view)}, the worst {one} on the left. Band: its "
                    f"{rounded.limit(settings.confidence)} % "
                    f"interval. Dashed: the margin of {rounded.loss(settings.margin)}."
                    + (f" Drawn is one {one} of {step:,}." if step > 1 else "")
                ),
                spec=_spec(rows[::step], len(rows), settings.margin, many, lookup.rate(view)),
                variant=variant,
            )
        )
    return tuple(made)


def _rows(view: View) -> list[dict[str, float]]:
    change = lookup.find(view, "change")
    if change is None or not change.low or not change.high:
        return []
    known = [
        (moved, low, high)
        for moved, low, high in zip(change.by_stratum, change.low, change.high, strict=True)
        if isinstance(moved, (int, float)) and low is not None and high is not None
    ]
    return [{"rank": n, "change": m, "low": low, "high": high} for n, (m, low, high) in enumerate(sorted(known), 1)]


def _spec(rows: list[dict[str, float]], number: int, margin: float, many: str, rate: str) -> dict[str, Any]:
    x = {
        "field": "rank", "type": "quantitative", "scale": {"domain": [1, number], "nice": False},
        "axis": {"title": f"{many}, worst first", "grid": False, "tickCount": 5},
    }  # fmt: skip
    axis = {"title": f"change of {rate}, points", "labelExpr": "format(100 * datum.value, '~f')", "tickCount": 6}

    return {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": [
            {
                "data": {"values": rows},
                "mark": {"type": "area", "opacity": 0.3, "color": color("bad"), "aria": False},
                "encoding": {
                    "x": x,
                    "y": {"field": "low", "type": "quantitative", "axis": axis},
                    "y2": {"field": "high"},
                },
            },
            {
                "data": {"values": rows},
                "mark": {"type": "line", "strokeWidth": 2, "color": color("bad"), "aria": False},
                "encoding": {"x": x, "y": {"field": "change", "type": "quantitative", "axis": axis}},
            },
            level(0.0, {"strokeWidth": 1}),
            level(-margin, {"strokeWidth": 1.5, "strokeDash": [5, 4]}),
        ],
    }
