"""Recall of every class before and after pruning, with the interval of the change, worst first.

A tick is the dense model, a mark of the verdict's shape the pruned one, and the band what the samples allow for it:
the dense recall plus the interval of the change. Of many classes the worst are drawn; `changes` shows them all.
"""

from __future__ import annotations

from typing import Any

from prune_audit.charts._rows import MARK, MOST, TOLD, by_verdict, frame
from prune_audit.core import Audit, View, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.colors import color
from prune_audit.render.picture import Chart

RANK = 10

LONG = 12  # characters of a name that leave little room for the scale


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each variant and view, all on one scale, so that variants can be compared by eye."""
    made = []
    drawn = [[(view, _rows(view)) for view in comparison.views] for comparison in audit.comparisons]
    every = [row for views in drawn for _, rows in views for row in rows]
    floor = min((row[at] for row in every for at in ("low", "pruned", "dense")), default=0.0)
    for variant, comparison in enumerate(audit.comparisons):
        for view, rows in drawn[variant]:
            if rows:
                of = f"of each {lookup.noun(view)[0]}" if view.by == "class" else f"by {printable(view.by)}"
                what = f"{lookup.rate(view).capitalize()} {of}"
                cut = f", the {MOST} worst of {len(view.strata):,}" if len(view.strata) > MOST else ""
                reading = (
                    "Tick: dense model. Mark: pruned model, its shape the verdict. Band: where the pruned model may "
                    f"lie ({rounded.limit(audit.provenance.settings.confidence)} % interval of the change). "
                    "Number: change in points."
                )
                made.append(
                    Chart(
                        title=f"{what}{cut}",
                        of=f"{printable(comparison.pruned.name)} against {printable(comparison.dense.name)}",
                        shows=f"{wording.drops(view, audit.provenance.settings)} Worst: {rows[0]['said']}.",
                        reading=reading,
                        spec=_spec(rows, floor),
                        variant=variant,
                        by=view.by,
                    )
                )
    return tuple(made)


def _rows(view: View) -> list[dict[str, Any]]:
    """What is drawn of each class, in the order of drawing."""
    change = lookup.find(view, "change")
    if change is None:
        return []
    dense, pruned, verdict = (lookup.column(view, name) for name in ("dense_recall", "pruned_recall", "verdict"))
    low, high = change.low or (None,) * len(dense), change.high or (None,) * len(dense)
    rows = []
    for i in lookup.worst_first(view)[:MOST]:
        before, after, moved = dense[i], pruned[i], change.by_stratum[i]
        if not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
            continue
        said = f"{rounded.percent(before)} to {rounded.percent_sign(after)}, change {rounded.points(moved)} points"
        least, most = low[i], high[i]
        rows.append(
            {
                "name": printable(view.strata[i]),
                "dense": before,
                "pruned": after,
                "low": max(0.0, before + least) if least is not None else after,
                "high": min(1.0, before + most) if most is not None else after,
                "verdict": verdict[i] or "not judged",
                "change": rounded.points(moved),
                "said": f"{printable(view.strata[i])}: {said} ({rounded.between(least, most)}), {verdict[i]}",
            }
        )
    return rows


def _spec(rows: list[dict[str, Any]], floor: float) -> dict[str, Any]:
    verdict, shape = by_verdict(rows)
    long = max(len(row["name"]) for row in rows) > LONG
    x = {
        "type": "quantitative", "scale": {"domain": [floor, 1], "nice": True, "zero": False},
        # Moved inwards (flush), the label at an end would run into its neighbour.
        "axis": {"format": ".0%", "title": None, "tickCount": 3 if long else 5, "labelFlush": False,
                 "labelSeparation": 6},
    }  # fmt: skip
    return {
        **frame(rows),
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 9, "opacity": 0.25, **MARK},
                "encoding": {
                    "x": {"field": "low", **x}, "x2": {"field": "high"}, "color": verdict, **TOLD,
                },
            },
            {
                "mark": {"type": "rule", "strokeWidth": 2, **MARK},
                "encoding": {
                    "x": {"field": "dense", **x}, "x2": {"field": "pruned"},
                    "color": verdict, **TOLD,
                },
            },
            {
                "mark": {"type": "tick", "thickness": 2.5, "size": 14, "opacity": 1, "color": color("ink"), **MARK},
                "encoding": {"x": {"field": "dense", **x}, **TOLD},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, **MARK},
                "encoding": {"x": {"field": "pruned", **x}, "color": verdict, "shape": shape, **TOLD},
            },
            {
                "mark": {"type": "text", "align": "right", "dx": 46, "aria": False},
                "encoding": {"x": {"value": "width"}, "text": {"field": "change", "type": "nominal"}},
            },
        ],
    }  # fmt: skip
