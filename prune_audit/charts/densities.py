"""Change of every class in every variant, the densest first: where a class breaks as weights go.

Drawn where there are several variants. A cell's shade is the change of recall in points, a triangle in it says that the
class breaks there, regressed or harmed, so that nothing hangs on colour alone.
"""

from __future__ import annotations

from typing import Any

from prune_audit.core import HARMED, REGRESSED, Audit, Comparison, View, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.colors import LOSSES, color
from prune_audit.render.picture import WIDTH, Chart

RANK = 20

MOST = 40  # classes, the worst of any variant
ROW = 22  # pixels for each
NAMES = 60  # pixels that their names take at least
LINE = 17  # pixels of a line of a variant's name, and a gap
STEPS = (-0.2, -0.1, -0.05, -0.02, 0.02, 0.05)  # changes at which the shade changes, in shares
SHADES = (*LOSSES, "still", "gain-1", "gain-2")


def draw(audit: Audit) -> tuple[Chart, ...]:
    """One chart of all variants, none where there is only one."""
    variants = [
        (c, view)
        for c in lookup.densest_first(audit.comparisons)
        if (view := lookup.by_class(c)) and any(moved is not None for moved in lookup.column(view, "change"))
    ]
    if len(variants) < 2:
        return ()
    classes = _worst(variants)
    (one, many), rate = lookup.noun(variants[0][1]), lookup.rate(variants[0][1])
    rows = [row for c, view in variants for row in _cells(c, view, classes)]
    broken = sum(any(row["broken"] for row in rows if row["class"] == name) for name in classes)
    cut = f", the {len(classes)} worst of {len(variants[0][1].strata):,}" if len(variants[0][1].strata) > MOST else ""
    return (
        Chart(
            title=f"Change of each {one} by variant{cut}",
            of=f"against {printable(variants[0][0].dense.name)}",
            shows=f"{rounded.several(broken, one, many)} drawn regressed or harmed in some variant.",
            reading=(
                f"Columns: variants, {wording.order(audit)}. Number: change of {rate} in points. Triangle: the {one} "
                "regressed or is harmed there."
            ),
            spec=_spec(rows, len(variants)),
        ),
    )


def _worst(variants: list[tuple[Comparison, View]]) -> list[str]:
    """Names of the classes that fell furthest in any variant, the worst first."""
    worst: dict[str, float] = {}
    for _, view in variants:
        for name, moved in zip(view.strata, lookup.column(view, "change"), strict=True):
            if isinstance(moved, (int, float)):
                worst[name] = min(moved, worst.get(name, moved))
    return sorted(worst, key=lambda name: worst[name])[:MOST]


def _cells(comparison: Comparison, view: View, classes: list[str]) -> list[dict[str, Any]]:
    variant = printable(comparison.pruned.name)
    if comparison.kept is not None:
        variant += f" ({wording.kept(comparison)})"
    change, verdict, distortion = (lookup.column(view, name) for name in ("change", "verdict", "distortion"))
    at = {name: i for i, name in enumerate(view.strata)}
    cells = []
    for name in classes:
        i = at.get(name)
        moved = None if i is None else change[i]
        if i is None or not isinstance(moved, (int, float)):
            continue
        found = [str(said[i]) for said in (verdict, distortion) if said[i] in (REGRESSED, *HARMED)]
        shown = printable(name)
        cells.append(
            {
                "class": shown,
                "variant": variant,
                "change": moved,
                "text": rounded.points(moved) + (" ▼" if found else ""),
                "dark": moved < STEPS[0],
                "broken": bool(found),
                "said": f"{shown}, {variant}: {rounded.points(moved)} points, "
                f"{', '.join(found) or rounded.label(verdict[i])}",
            }
        )
    return cells


def _spec(rows: list[dict[str, Any]], variants: int) -> dict[str, Any]:
    place = {
        "x": {"field": "variant", "type": "nominal", "sort": None, "title": None,
              "axis": {"orient": "top", "labelAngle": 0, "labelLimit": (WIDTH - NAMES) // variants, "ticks": False,
                       "labelPadding": LINE,  # the second line of a name hangs below the first
                       "domain": False, "labelExpr": "split(replace(datum.label, / \\(([^(]*)\\)$/, '\\n$1'), '\\n')"}},
        "y": {"field": "class", "type": "nominal", "sort": None, "title": None,
              "axis": {"ticks": False, "domain": False, "labelPadding": 8}},
    }  # fmt: skip
    shade = {
        "field": "change", "type": "quantitative", "legend": None,
        "scale": {"type": "threshold", "domain": list(STEPS), "range": [color(name) for name in SHADES]},
    }  # fmt: skip
    ink = {"condition": {"test": "datum.dark", "value": color("on-dark")}, "value": color("ink")}
    return {
        "width": WIDTH,
        "height": {"step": ROW},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": rows},
        "encoding": place,
        "layer": [
            {
                "mark": {"type": "rect", "stroke": color("paper"), "strokeWidth": 2, "aria": True,
                         "ariaRoleDescription": "mark"},
                "encoding": {"color": shade, "description": {"field": "said", "type": "nominal"}},
            },
            {
                "mark": {"type": "text", "aria": False},
                "encoding": {"text": {"field": "text", "type": "nominal"}, "color": ink},
            },
        ],
    }  # fmt: skip
