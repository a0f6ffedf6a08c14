"""Several variants as small multiples: the change of the same classes in each, on one scale and in one order.

What pruning did to a class stands at the same place in every picture, so that a glance tells whether the variants hurt
the same classes, and which of them hurts more. Where drawing stopped once classes were settled there is none: no change
may be told.
"""

from __future__ import annotations

from typing import Any

from prune_audit.charts._rows import MARK, MOST, TOLD, by_verdict, level
from prune_audit.core import Audit, View, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.picture import Chart

RANK = 13

WIDTH, HEIGHT = 230, 120  # pixels, labels included: four beside one another on a page, one on a telephone
VARIANTS = 24  # that are drawn, the densest first


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One small chart for each of several variants, the densest first."""
    drawn = [
        (comparison, view)
        for comparison in lookup.densest_first(audit.comparisons)
        if (view := lookup.by_class(comparison)) and lookup.find(view, "change") and not view.pair.sequential
    ][:VARIANTS]
    if len(drawn) < 2:
        return ()
    order = _order([view for _, view in drawn])
    rows = [_rows(view, order) for _, view in drawn]
    ends = [row[at] for each in rows for row in each for at in ("low", "high")]
    if not ends:
        return ()
    scale = [min(0.0, *ends), max(0.0, *ends)]
    settings = audit.provenance.settings
    view = drawn[0][1]
    cut = f" ({MOST} worst of {len(view.strata):,})" if len(view.strata) > MOST else ""
    reading = (
        f"Each picture is a variant, each line a {lookup.noun(view)[0]} at the same place in all{cut}, the one that "
        f"lost most in any of them on the left. Mark: change of {lookup.rate(view)} in points, its shape the verdict. "
        f"Line: its {rounded.limit(settings.confidence)} % interval. Dashed: the margin of "
        f"{rounded.loss(settings.margin)}."
    )
    return tuple(
        Chart(
            title=printable(comparison.pruned.name),
            of=f"change of each {lookup.noun(view)[0]} against {printable(comparison.dense.name)}",
            shows=wording.drops(view, settings),
            reading=reading,
            spec=_spec(each, scale, settings.margin),
            small=True,
        )
        for (comparison, view), each in zip(drawn, rows, strict=True)
        if each
    )


def _order(views: list[View]) -> list[int]:
    """The classes that lost most in any of ``views``, the worst first."""
    worst = {}
    for i in range(len(views[0].strata)):
        moved = [value for view in views if isinstance(value := lookup.moves(view)[i], (int, float))]
        if moved:
            worst[i] = min(moved)
    return sorted(worst, key=lambda i: worst[i])[:MOST]


def _rows(view: View, order: list[int]) -> list[dict[str, Any]]:
    change, verdict = lookup.find(view, "change"), lookup.column(view, "verdict")
    rows = []
    for at, i in enumerate(order):
        moved = lookup.moves(view)[i]
        if change is None or not isinstance(moved, (int, float)):
            continue
        low, high = (limits[i] if limits else None for limits in (change.low, change.high))
        name, judged = printable(view.strata[i]), verdict[i] or "not judged"
        rows.append(
            {
                "at": at,
                "change": moved,
                "low": moved if low is None else low,
                "high": moved if high is None else high,
                "verdict": judged,
                "said": f"{name}: {rounded.points(moved)} points ({rounded.between(low, high)}), {judged}",
            }
        )
    return rows


def _spec(rows: list[dict[str, Any]], scale: list[float], margin: float) -> dict[str, Any]:
    verdict, shape = ({**channel, "legend": None} for channel in by_verdict(rows))
    x = {"field": "at", "type": "ordinal", "axis": None}
    y = {
        "type": "quantitative", "scale": {"domain": scale, "nice": True},
        "axis": {"title": None, "labelExpr": "format(100 * datum.value, '~f')", "tickCount": 4},
    }  # fmt: skip

    return {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": rows},
        "layer": [
            level(0.0, {"strokeWidth": 1}, y),
            level(-margin, {"strokeWidth": 1, "strokeDash": [4, 4]}, y),
            {
                "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.4, "aria": False},
                "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}, "color": verdict},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 28, "opacity": 1, **MARK},
                "encoding": {"x": x, "y": {"field": "change", **y}, "color": verdict, "shape": shape, **TOLD},
            },
        ],
    }
