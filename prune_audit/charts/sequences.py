"""Confidence sequences of an audit that ran until classes were settled: all drops that bets have not refuted, by class.

A bar is what the class may have lost, a mark of the verdict's shape the end of it that decides. Two lines are what
settles: beyond the margin a class has regressed, below the assurance limit it is fine.
"""

from __future__ import annotations

from typing import Any

from prune_audit.charts._rows import MARK, MOST, TOLD, by_verdict, frame
from prune_audit.core import REGRESSED, Audit, View, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.colors import color
from prune_audit.render.picture import Chart

RANK = 12


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each variant of a sequential audit."""
    made, settings = [], audit.provenance.settings
    for variant, comparison in enumerate(audit.comparisons):
        view = lookup.by_class(comparison)
        rows = _rows(view) if view and view.pair.sequential else []
        if view is None or not rows:
            continue
        cut = f", the {MOST} worst of {len(view.strata):,}" if len(view.strata) > MOST else ""
        made.append(
            Chart(
                title=f"What each class may have lost{cut}",
                of=f"{printable(comparison.pruned.name)} against {printable(comparison.dense.name)}",
                shows=f"{wording.drops(view, settings)} Worst: {rows[0]['said']}.",
                reading=(
                    f"Bar: {rounded.limit(settings.confidence)} % confidence sequence of the drop, which holds at any "
                    f"time. Mark: the end that decides, its shape the verdict. Dashed: the margin of "
                    f"{rounded.loss(settings.margin)} and the assurance limit of {rounded.loss(settings.assure)}. "
                    "Number: samples run."
                ),
                spec=_spec(rows, (settings.margin, settings.assure)),
                variant=variant,
            )
        )
    return tuple(made)


def _rows(view: View) -> list[dict[str, Any]]:
    """What is drawn of each class, in the order of drawing."""
    change, verdict = lookup.find(view, "change"), lookup.column(view, "verdict")
    rows = []
    for i in lookup.worst_first(view)[:MOST]:
        low, high = (change.low[i], change.high[i]) if change and change.low and change.high else (None, None)
        if low is None or high is None:
            continue
        interval = f"{rounded.points(-high)} to {rounded.points(-low)}"
        rows.append(
            {
                "name": printable(view.strata[i]),
                "low": 0.0 - high,
                "high": 0.0 - low,
                "at": 0.0 - (high if verdict[i] == REGRESSED else low),
                "verdict": verdict[i] or "not judged",
                "n": f"{view.pair.support[i]:,}",
                "said": f"{printable(view.strata[i])}: drop {interval} points after "
                f"{rounded.several(int(view.pair.support[i]), 'sample')}, {verdict[i]}",
            }
        )
    return rows


def _spec(rows: list[dict[str, Any]], limits: tuple[float, float]) -> dict[str, Any]:
    verdict, shape = by_verdict(rows)
    x = {
        "type": "quantitative",
        "axis": {"title": "drop of recall, points", "labelExpr": "format(100 * datum.value, '~f')", "tickCount": 6},
    }
    return {
        **frame(rows),
        "layer": [
            *(
                {
                    "data": {"values": [{"limit": limit}]},
                    "mark": {"type": "rule", "color": color("ink"), "strokeDash": [4, 3], "aria": False},
                    "encoding": {"x": {"field": "limit", **x}, "y": None},
                }
                for limit in limits
            ),
            {
                "mark": {"type": "rule", "strokeWidth": 9, "opacity": 0.25, **MARK},
                "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, "color": verdict, **TOLD},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, **MARK},
                "encoding": {"x": {"field": "at", **x}, "color": verdict, "shape": shape, **TOLD},
            },
            {
                "mark": {"type": "text", "align": "right", "dx": 46, "aria": False},
                "encoding": {"x": {"value": "width"}, "text": {"field": "n", "type": "nominal"}},
            },
        ],
    }  # fmt: skip
