"""Two figures of a history: the change of accuracy, and that of the worst class, release after release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from prune_audit.history.overview import Row
from prune_audit.printable import printable
from prune_audit.render import rounded
from prune_audit.render.colors import LINES, color
from prune_audit.render.picture import WIDTH, Chart

HEIGHT = 220
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
MOST = 60  # releases that are drawn, the last ones
NAMES = len(LINES)  # of variants that can be told apart


def charts(rows: Sequence[Row]) -> tuple[Chart, ...]:
    """Both figures of the last releases in ``rows``; one for which no number is known is left out."""
    last = rows[-1].place
    here = [row for row in rows if row.place > last - MOST]
    names = list(dict.fromkeys(row.variant.name for row in here))
    several = len({row.place for row in here}) < len(here)  # one variant a release is one line, whatever its name
    told = names if several and len(names) <= NAMES else []
    made = []
    for title, found, of_class in (
        ("Change of accuracy", [_accuracy(row) for row in here], False),
        ("Change of the worst class", [_worst(row) for row in here], True),
    ):
        points = [
            {**point, "series": names.index(row.variant.name) if told else "", "place": row.place}
            for row, point in zip(here, found, strict=True)
            if point is not None
        ]
        worst = several and not told
        if worst:  # of each release
            least = {point["place"]: point for point in sorted(points, key=lambda p: -p["change"])}
            points = [least[place] for place in sorted(least)]
        if points:
            made.append(_chart(title, here, points, told, of_class=of_class, worst=worst))
    return tuple(made)


def _accuracy(row: Row) -> dict[str, Any] | None:
    variant = row.variant
    if variant.change is None or variant.low is None or variant.high is None:
        return None
    return _point(row, "accuracy", variant.change, variant.low, variant.high)


def _worst(row: Row) -> dict[str, Any] | None:
    view, worst = row.variant.classes, row.worst
    if worst is None or (low := view.low[worst]) is None or (high := view.high[worst]) is None:
        return None
    change = view.change[worst]
    return _point(row, printable(view.strata[worst]), high if change is None else change, low, high)


def _point(row: Row, what: str, change: float, low: float, high: float) -> dict[str, Any]:
    interval = rounded.between(low, high)
    said = (
        f"release {row.place}, {row.release.day}, {printable(row.variant.name)}: {what} "
        f"{rounded.points(change)} points ({interval}), gate {row.variant.outcome}"
    )
    return {"change": change, "low": low, "high": high, "said": said}


def _chart(
    title: str, rows: Sequence[Row], points: list[dict[str, Any]], names: Sequence[str], *, of_class: bool, worst: bool
) -> Chart:
    release = rows[-1].release
    fresh = [after.place for before, after in pairwise(rows) if before.release.data_digest != after.release.data_digest]
    reading = [f"Bar: {rounded.limit(release.confidence)} % interval of each."]
    if worst:
        reading.append("Of several variants the one that changed most for the worse.")
    if of_class:
        reading.append(f"Dashed: the margin of {rounded.loss(release.margin)}. Which class is worst may differ.")
    if fresh:
        reading.append("Dotted: from here on other data.")
    return Chart(
        title=title,
        of=f"against {printable(release.dense)}",
        shows=f"{rounded.several(len(points), 'value')}; the last: {points[-1]['said']}.",
        reading=" ".join(reading),
        spec=_spec(rows, points, names, fresh, release.margin if of_class else None),
    )


def _spec(
    rows: Sequence[Row], points: list[dict[str, Any]], names: Sequence[str], fresh: Sequence[int], margin: float | None
) -> dict[str, Any]:
    first, last = rows[0].release.day, rows[-1].release.day
    when = first if first == last else f"{first} to {last}"
    x = {
        "field": "place", "type": "ordinal",
        "scale": {"domain": list(range(rows[0].place, rows[-1].place + 1))},
        "axis": {"title": f"release, {when}", "labelAngle": 0, "labelOverlap": True, "grid": False},
    }  # fmt: skip
    axis = {"title": "points", "labelExpr": "format(100 * datum.value, '~f')", "tickCount": 6}
    domain: list[int | str] = [*range(len(names))] or [""]
    series = {
        "field": "series", "type": "nominal",
        "legend": {
            "title": None, "labelExpr": f"{json.dumps([*map(printable, names)])}[datum.value]", "labelLimit": 300,
            "columns": 1,
        } if names else None,
    }  # fmt: skip
    by_color = series | {
        "scale": {"domain": domain, "range": [color(LINES[n % len(LINES)]) for n in range(len(domain))]}
    }
    by_shape = series | {"scale": {"domain": domain, "range": [SHAPES[n % len(SHAPES)] for n in range(len(domain))]}}
    y = {"field": "change", "type": "quantitative", "axis": axis}
    aside = {"xOffset": {"field": "series", "type": "nominal", "scale": {"domain": domain}}} if names else {}

    def level(value: float, dash: list[int]) -> dict[str, Any]:
        return {
            "data": {"values": [{"change": value}]},
            "mark": {"type": "rule", "color": color("ink"), "strokeDash": dash, "aria": False},
            "encoding": {"y": y},
        }

    told = {"aria": True, "ariaRoleDescription": "mark"}
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": points},
        "layer": [
            level(0.0, [1, 0]),
            *([] if margin is None else [level(-margin, [5, 4])]),
            *(
                {
                    "data": {"values": [{"place": place}]},
                    "mark": {"type": "rule", "color": color("muted"), "strokeDash": [1, 3], "aria": False},
                    "encoding": {"x": x},
                }
                for place in fresh
            ),
            {
                "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.6, "aria": False},
                "encoding": {"x": x, "y": y, "color": by_color, **aside},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 5, "opacity": 0.35, "aria": False},
                "encoding": {
                    "x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": by_color, **aside,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1, **told},
                "encoding": {
                    "x": x, "y": y, "color": by_color, "shape": by_shape,
                    "description": {"field": "said", "type": "nominal"}, **aside,
                },
            },
        ],
    }  # fmt: skip
