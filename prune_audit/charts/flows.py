"""Where lost samples went: what the dense model recognised, and what the pruned one takes it for.

A band leads from the class of the samples to the class that they were taken for, as thick as they are many. The
largest flows are drawn; a thousand small ones would be a carpet. Where drawing stopped once classes were settled there
is none: what comes from a class is as much as it took to settle it.
"""

from __future__ import annotations

from typing import Any

from prune_audit.core import Audit, Pair, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded
from prune_audit.render.colors import color
from prune_audit.render.picture import WIDTH, Chart

RANK = 30

MOST = 16  # flows
THICK, SAMPLE = 200.0, 8.0  # pixels of all flows together, and of one sample at most
GAP = 16.0  # pixels between classes, so that names do not collide
BEND = (0.0, 0.35, 0.65, 1.0)  # where a band turns, in shares of the width


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each variant that lost samples."""
    made = []
    for variant, comparison in enumerate(audit.comparisons):
        view = lookup.by_class(comparison)
        flows = _flows(view.pair) if view and not view.pair.sequential else []
        if view is None or not flows:
            continue
        names = [printable(name) for name in view.pair.answers]
        things, shown = lookup.things(view), flows[:MOST]
        total = sum(count for _, _, count in flows)
        drawn = sum(count for _, _, count in shown)
        lost = rounded.several(total, *(f"lost {word}" for word in things))
        told = [f"{names[a]} to {names[b]} {count:,}" for a, b, count in shown[:3]]
        left = rounded.several(total - drawn, *things)
        smaller = f" Not drawn: {left} in {rounded.several(len(flows) - MOST, 'smaller flow')}."
        rest = smaller if len(flows) > MOST else ""
        made.append(
            Chart(
                title=f"Where lost {things[1]} went",
                of=f"{printable(comparison.pruned.name)} against {printable(comparison.dense.name)}",
                shows=f"Of {lost}: {'; '.join(told)}.",
                reading=f"Left: what the {things[1]} are and the dense model said. "
                f"Right: what the pruned one says.{rest}",
                spec=_spec(shown, names, things, len(view.pair.classes)),
                variant=variant,
            )
        )
    return tuple(made)


def _flows(pair: Pair) -> list[tuple[int, int, int]]:
    """(class, what it was taken for, samples) of samples that only the dense model got right, the most first."""
    lost = [(a, c, n) for a, b, c, n in pair.moves.tolist() if a == b != c]
    return sorted(lost, key=lambda flow: (-flow[2], flow[0], flow[1]))


def _spec(flows: list[tuple[int, int, int]], names: list[str], things: tuple[str, str], missed: int) -> dict[str, Any]:
    scale = min(SAMPLE, THICK / sum(count for _, _, count in flows))
    left, left_place = _stack([(a, n) for a, _, n in flows], scale)
    right, right_place = _stack([(b, n) for _, b, n in flows], scale)
    height = max(left[-1][2], right[-1][2])
    bands = [
        {
            "flow": i, "x": x, "top": at - n * scale / 2, "bottom": at + n * scale / 2,
            "said": f"{names[a]} {'' if b == missed else 'taken for '}{names[b]}: {rounded.several(n, *things)}",
        }
        for i, (a, b, n) in enumerate(flows)
        for x, at in zip(BEND, (left_place[i], left_place[i], right_place[i], right_place[i]), strict=True)
    ]  # fmt: skip
    ends = [
        {"x": x, "top": top, "bottom": bottom, "middle": (top + bottom) / 2, "name": names[c], "n": f"{n:,}"}
        for x, side in ((0.0, left), (1.0, right))
        for c, top, bottom, n in side
    ]
    x = {"field": "x", "type": "quantitative", "axis": None, "scale": {"domain": [0, 1], "nice": False}}
    y = {"type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False, "zero": False}}

    def text(at: float, field: str, look: dict[str, Any]) -> dict[str, Any]:
        return {
            "data": {"values": ends},
            "transform": [{"filter": f"datum.x == {at}"}],
            "mark": {"type": "text", "limit": 110, "aria": False, **look},
            "encoding": {"x": x, "y": {"field": "middle", **y}, "text": {"field": field, "type": "nominal"}},
        }

    return {
        "width": WIDTH,
        "height": max(round(height), 40),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": [
            {
                "data": {"values": bands},
                "mark": {"type": "area", "interpolate": "monotone", "opacity": 0.45, "color": color("bad"),
                         "aria": True, "ariaRoleDescription": "mark"},
                "encoding": {
                    "x": x,
                    "y": {"field": "top", **y},
                    "y2": {"field": "bottom"},
                    "detail": {"field": "flow", "type": "nominal"},
                    "description": {"field": "said", "type": "nominal"},
                },
            },
            {
                "data": {"values": ends},
                "mark": {"type": "rule", "strokeWidth": 4, "color": color("ink"), "aria": False},
                "encoding": {"x": x, "y": {"field": "top", **y}, "y2": {"field": "bottom"}},
            },
            text(0.0, "name", {"align": "right", "dx": -9}),
            text(0.0, "n", {"align": "left", "dx": 7, "fontSize": 11}),
            text(1.0, "name", {"align": "left", "dx": 9}),
            text(1.0, "n", {"align": "right", "dx": -7, "fontSize": 11}),
        ],
    }  # fmt: skip


def _stack(parts: list[tuple[int, int]], scale: float) -> tuple[list[tuple[int, float, float, int]], list[float]]:
    """Classes below one another, each as tall as its samples: (class, top, bottom, samples), and each part's middle."""
    totals: dict[int, int] = {}
    for key, n in parts:
        totals[key] = totals.get(key, 0) + n
    tops, nodes, y = {}, [], 0.0
    for key, n in sorted(totals.items(), key=lambda item: (-item[1], item[0])):
        nodes.append((key, y, y + n * scale, n))
        tops[key] = y
        y += n * scale + GAP
    middles = []
    for key, n in parts:
        middles.append(tops[key] + n * scale / 2)
        tops[key] += n * scale
    return nodes, middles
