"""Where every class stands in its model, before against after: a weak class below the dashed line fell further behind.

The scatter of Good et al. 2022 (arXiv 2206.02976): normalised recall balance, recall over accuracy less 1, in the dense
model across and in the pruned one upwards. The slope of the line through the origin is alpha; where that means nothing
the line is faint, and the words below say so.
"""

from __future__ import annotations

import math
from typing import Any

from prune_audit.core import CANNOT_TELL, HARMED, Audit, View, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.colors import color
from prune_audit.render.picture import WIDTH, Chart

RANK = 40

NAMED = 8  # classes that have their name beside them: the harmed ones, the worst first
FEW = 100  # classes up to which each tells its name when pointed at; above, the harmed ones do
CROWDED = 5_000  # classes above which those that would lie on one another are drawn once, so that a page stays small
HEIGHT = 360
LOOKS = {  # what a class looks like by what happened to it: colour and shape
    "harmed": ("bad", "triangle-down"),
    CANNOT_TELL: ("unsure", "diamond"),
    "not harmed": ("good", "circle"),
}


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart for each variant, of its classes."""
    made = []
    settings = audit.provenance.settings
    for variant, comparison in enumerate(audit.comparisons):
        view = lookup.by_class(comparison)
        points = _points(view) if view else []
        if view is None or not points:
            continue
        alpha = lookup.find(view, "intensification")
        slope = alpha.overall if alpha and isinstance(alpha.overall, (int, float)) else None
        one, fits = lookup.noun(view)[0], _fits(view)
        crowd = f" What lies on the same pixel is drawn once, of {len(points):,}." if len(points) > CROWDED else ""
        shows, line = f"No line describes these {lookup.noun(view)[1]}.", ""
        if slope is not None:
            shows = f"Alpha, the slope of the line, is {rounded.ratio(slope)} {wording.slope(view, settings)}."
            if grown := wording.gaps(view, settings):
                shows += f" Gaps: {grown}."
            line = " The solid line has the slope alpha."
            if not fits:
                line = " The dotted line has the slope alpha, which means nothing here."
        made.append(
            Chart(
                title=f"Balance of each {one}",
                of=f"{printable(comparison.pruned.name)} against {printable(comparison.dense.name)}",
                shows=shows,
                reading=(
                    f"On a {one} at 0 a model is right as often as on all {lookup.things(view)[1]}. On the dashed "
                    f"line nothing changed; a weak {one} below it fell further behind.{line}{crowd}"
                ),
                spec=_spec(points, slope, fits),
                variant=variant,
            )
        )
    return tuple(made)


def _fits(view: View) -> bool:
    """Whether alpha describes the classes: there is one without noise, and one line describes enough of them."""
    fit, corrected = lookup.find(view, "r_squared"), lookup.find(view, "alpha_corrected")
    if corrected and (corrected.overall is None or corrected.overall_low is None):
        return False
    return not fit or not isinstance(fit.overall, (int, float)) or fit.overall >= wording.ONE_LINE


def _points(view: View) -> list[dict[str, Any]]:
    dense, pruned, distortion = (
        lookup.column(view, name) for name in ("dense_balance", "pruned_balance", "distortion")
    )
    points: list[dict[str, Any]] = []
    for i in lookup.worst_first(view):
        before, after = dense[i], pruned[i]
        if isinstance(before, (int, float)) and isinstance(after, (int, float)):
            name = printable(view.strata[i])
            points.append(
                {
                    "dense": before,
                    "pruned": after,
                    "harm": "harmed"
                    if distortion[i] in HARMED
                    else CANNOT_TELL
                    if distortion[i] == CANNOT_TELL
                    else "not harmed",
                    "name": name,
                    "said": f"{name}: balance {rounded.ratio(before)} to {rounded.ratio(after)}, "
                    f"{rounded.label(distortion[i])}",
                }
            )
    return points


def _range(points: list[dict[str, Any]], at: str) -> tuple[float, float]:
    """What an axis shows: every point and 0, with some room."""
    low, high = (pick(0.0, *(point[at] for point in points)) for pick in (min, max))
    room = 0.06 * (high - low) or 0.05
    return low - room, high + room


def _labels(points: list[dict[str, Any]], wide: float, high: float) -> list[dict[str, Any]]:
    """The harmed points that get their name, none so near to another that their names would collide."""
    chosen: list[dict[str, Any]] = []
    for point in points:
        near = (
            abs(point["dense"] - other["dense"]) < wide * 2 / 3 and abs(point["pruned"] - other["pruned"]) < high / 20
            for other in chosen
        )
        if point["harm"] == "harmed" and len(chosen) < NAMED and not any(near):
            chosen.append(point)
    return chosen


def _apart(points: list[dict[str, Any]], wide: float, high: float) -> list[dict[str, Any]]:
    """The first of those ``points`` that look alike and lie on one pixel of a picture so ``wide`` and ``high``."""

    def pixel(point: dict[str, Any]) -> tuple[int, int, str]:
        return round(point["dense"] / wide * WIDTH), round(point["pruned"] / high * HEIGHT), point["harm"]

    return list({pixel(point): point for point in reversed(points)}.values())[::-1]


def _spec(points: list[dict[str, Any]], slope: float | None, fits: bool) -> dict[str, Any]:
    across, up = _range(points, "dense"), _range(points, "pruned")
    middle = sum(across) / 2
    named = _labels(points, across[1] - across[0], up[1] - up[0])
    shown = [name for name in LOOKS if any(point["harm"] == name for point in points)]
    harm = {
        "field": "harm", "type": "nominal", "title": None,
        "scale": {"domain": shown, "range": [color(LOOKS[name][0]) for name in shown]},
    }  # fmt: skip
    shape = harm | {"scale": {"domain": shown, "range": [LOOKS[name][1] for name in shown]}}
    # Where recalls lie close together, two digits would write one number at every tick.
    digits = max(2, 1 - math.floor(math.log10(min(high - low for low, high in (across, up)))))
    ticks = {"format": f".{digits}~f", "tickCount": 6}
    x, y = (
        {
            "field": which, "type": "quantitative", "scale": {"domain": list(domain), "nice": False},
            "axis": {"title": f"balance in the {which} model", **ticks},
        }
        for which, domain in (("dense", across), ("pruned", up))
    )  # fmt: skip
    few = len(points) <= FEW

    def telling(point: dict[str, Any]) -> bool:
        return few or bool(point["harm"] == "harmed")

    def dots(some: list[dict[str, Any]], *, told: bool) -> dict[str, Any]:
        tip = {"description": {"field": "said", "type": "nominal"}} if told else {}
        look = {"size": 80 if few else 30, "opacity": 0.85 if few else 0.6}
        return {
            "data": {"values": some},
            "mark": {"type": "point", "filled": True, **look, "aria": told, "ariaRoleDescription": "mark"},
            "encoding": {"x": x, "y": y, "color": harm, "shape": shape, **tip},
        }

    def line(slope: float, look: dict[str, Any]) -> dict[str, Any]:
        """The line y = ``slope`` x, cut where it leaves the picture."""
        return {
            "data": {"values": [{"dense": at, "pruned": slope * at} for at in across]},
            "mark": {"type": "line", "aria": False, "clip": True, **look},
            "encoding": {"x": x, "y": y},
        }

    def names(side: list[dict[str, Any]], look: dict[str, Any]) -> dict[str, Any]:
        return {
            "data": {"values": side},
            "mark": {"type": "text", "dy": 1, "limit": 150, "aria": False, **look},
            "encoding": {"x": x, "y": y, "text": {"field": "name", "type": "nominal"}},
        }

    quiet = [point for point in points if not telling(point)]
    if len(points) > CROWDED:
        quiet = _apart(quiet, across[1] - across[0], up[1] - up[0])
    solid = {"color": color("ink"), "strokeWidth": 2}
    faint = {"color": color("muted"), "strokeWidth": 1.5, "strokeDash": [1, 4], "opacity": 0.7}
    alpha = [line(slope, solid if fits else faint)] if slope is not None else []
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": [
            line(1.0, {"color": color("muted"), "strokeDash": [5, 4], "strokeWidth": 1.5}),
            *alpha,
            dots(quiet, told=False),
            dots([point for point in points if telling(point)], told=True),
            names([p for p in named if p["dense"] <= middle], {"align": "left", "dx": 9}),
            names([p for p in named if p["dense"] > middle], {"align": "right", "dx": -9}),
        ],
    }  # fmt: skip
