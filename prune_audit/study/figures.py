"""The figures of a study: alpha by density, what that cost, and the classes of every run in small multiples.

They are those of Good et al. 2022 (arXiv 2206.02976). Alpha is drawn only where a rising line describes the classes, so
that the slope of a cloud, which may be anything, does not rule the axis. A method has the same
colour, shape and dash in every figure.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from prune_audit.core import HARMED, Value
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.colors import LINES, color
from prune_audit.render.picture import WIDTH, Chart, svg
from prune_audit.study import _shown as shown
from prune_audit.study.tables import Analysis

if TYPE_CHECKING:
    from pandas import DataFrame

SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
DASHES = ([1, 0], [7, 3], [2, 2], [8, 3, 2, 3], [4, 4], [12, 4], [1, 3])
HEIGHT = 300  # of alpha by density
ACCURACY, HARM = 220, 120  # heights of the panels of what it cost
LABELS = 52  # pixels that the labels of an axis take
LETTER, SYMBOL = 7, 34  # pixels that a letter takes, and the symbol before a name with the gap behind it
PAGE = 1120  # pixels that the small multiples may take before they scroll
LEAST, MOST = 104, 190  # pixels of one of them
DOTS = 4_000  # of a network; with more a page would be too large
REACH = 0.5  # how far an interval may stretch the axis, in spans of the means

_MARK = {"aria": True, "ariaRoleDescription": "mark"}


@dataclass(frozen=True, slots=True)
class _Cell:
    """What is drawn of a cell; ``low`` and ``high`` are alpha itself where there is no interval.

    ``both`` are the limits for new seeds and new samples, where there are such.
    """

    method: str
    density: float
    alpha: float
    low: float
    high: float
    said: str
    both: tuple[float, float] | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """How far its bars go."""
        return min(self.low, *(self.both or (self.low,))), max(self.high, *(self.both or (self.high,)))


# ------------------------------------------------------------------------------------------------ alpha by density


def drawing(analysis: Analysis) -> str | None:
    """`alphas` as an SVG file of its own, those of several networks below one another; None where there is none."""
    charts = alphas(analysis)
    return svg(charts) if charts else None


def alphas(analysis: Analysis) -> tuple[Chart, ...]:
    """For each network alpha by density with its intervals, a line for each method that has one."""
    made = []
    for network, said in shown.sentences(analysis):
        rows = [row for row in shown.rows(analysis.table("cells")) if row["network"] == network]
        cells = [_cell(row) for row in rows if shown.fits(row)]
        if not cells:
            continue
        low, high = _reach(cells)
        cut = sum(cell.ends[0] < low or cell.ends[1] > high for cell in cells)
        bars = "Bars: intervals of the mean over seeds."
        if any(cell.both for cell in cells):
            bars = "Thin bars: intervals for new seeds on these samples; broad ones: for new seeds and new samples."
        notes = [
            f"A line for each method, from dense to sparse. {bars} Above 1 classes that stood low stand lower now, on "
            "average."
        ]
        if cut:
            notes.append(f"{rounded.several(cut, 'interval')} {'goes' if cut == 1 else 'go'} on beyond the picture.")
        if left := len(rows) - len(cells):
            names = rounded.listed(list(dict.fromkeys(str(row["method"]) for row in rows if not shown.fits(row))))
            notes.append(f"Left out, {rounded.several(left, 'cell')} of {names}: {shown.UNFIT}.")
        made.append(
            Chart(
                title="Alpha by density",
                of=printable(network),
                shows=" ".join(said),
                reading=" ".join(notes),
                spec=_alpha_spec(cells, _methods(analysis), (low, high)),
            )
        )
    return tuple(made)


def _cell(row: Mapping[str, Value]) -> _Cell:
    alpha, at = _number(row["alpha"]), _number(row["density"])
    low, high = row["alpha_low"], row["alpha_high"]
    method = printable(str(row["method"]))
    interval = f" ({rounded.ratio(low)} to {rounded.ratio(high)})" if low is not None and high is not None else ""
    both = row["alpha_both_low"], row["alpha_both_high"]
    if both[0] is not None and both[1] is not None:
        interval += f", on new samples {rounded.ratio(both[0])} to {rounded.ratio(both[1])}"
    finding = f", {row['finding']}" if row["finding"] is not None else ""
    fit = f"r^2 {rounded.ratio(row['r_squared'])}"
    said = f"{method} at {shown.density(at)}: alpha {rounded.ratio(alpha)}{interval}, {fit}"
    return _Cell(
        method=method,
        density=at,
        alpha=alpha,
        low=low if isinstance(low, (int, float)) else alpha,
        high=high if isinstance(high, (int, float)) else alpha,
        said=f"{said}{finding}",
        both=None if None in both else (_number(both[0]), _number(both[1])),
    )


def _number(value: Value) -> float:
    return value if isinstance(value, (int, float)) else math.nan


def _methods(analysis: Analysis) -> list[str]:
    return [printable(method) for method in shown.methods(analysis)]


def _reach(cells: Sequence[_Cell]) -> tuple[float, float]:
    """What the axis shows: every mean, and as much of the intervals, huge with two seeds, as leaves the means apart."""
    least, most = (pick(1.0, *(cell.alpha for cell in cells)) for pick in (min, max))
    far = REACH * max(most - least, 0.25)
    low = max(least - far, min(least, *(cell.ends[0] for cell in cells)))
    high = min(most + far, max(most, *(cell.ends[1] for cell in cells)))
    room = 0.04 * (high - low) or 0.1
    return low - room, high + room


def _alpha_spec(cells: Sequence[_Cell], methods: Sequence[str], domain: tuple[float, float]) -> dict[str, Any]:
    drawn = [method for method in methods if any(cell.method == method for cell in cells)]
    dodged = _dodge(drawn, [cell.density for cell in cells])
    rows = [
        {
            "method": cell.method,
            "at": cell.density * dodged[cell.method],
            "alpha": cell.alpha,
            "low": cell.low,
            "high": cell.high,
            "said": cell.said,
            **(dict(zip(("both_low", "both_high"), cell.both, strict=True)) if cell.both else {}),
        }
        for cell in cells
    ]
    y = {
        "type": "quantitative", "scale": {"domain": list(domain), "nice": False, "zero": False},
        "axis": {"title": "alpha", "tickCount": 6, "format": ".2~f"},
    }  # fmt: skip
    x = _by_density([cell.density for cell in cells])
    look = _looks(methods, drawn)
    told = {"description": {"field": "said", "type": "nominal"}}
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": rows},
        "layer": [
            _level("y", 1.0),
            *([_broad(x, y, look["color"])] if any(cell.both for cell in cells) else []),
            {
                "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.7, "clip": True, "aria": False},
                "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}, "color": look["color"]},
            },
            {
                "mark": {"type": "line", "strokeWidth": 1.75, "aria": False},
                "encoding": {
                    "x": x, "y": {"field": "alpha", **y}, "color": look["color"], "strokeDash": look["strokeDash"],
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1, **_MARK},
                "encoding": {
                    "x": x, "y": {"field": "alpha", **y}, "color": look["color"], "shape": look["shape"], **told,
                },
            },
        ],
    }  # fmt: skip


def _broad(x: Mapping[str, Any], y: Mapping[str, Any], shade: Mapping[str, Any]) -> dict[str, Any]:
    """Bars of the intervals for new seeds and new samples, behind the others."""
    return {
        "transform": [{"filter": "isValid(datum.both_low)"}],
        "mark": {"type": "rule", "strokeWidth": 6, "opacity": 0.3, "clip": True, "aria": False},
        "encoding": {"x": x, "y": {"field": "both_low", **y}, "y2": {"field": "both_high"}, "color": shade},
    }


def _level(axis: str, value: float) -> dict[str, Any]:
    return {
        "data": {"values": [{"at": value}]},
        "mark": {"type": "rule", "color": color("muted"), "strokeDash": [5, 4], "strokeWidth": 1.5, "aria": False},
        "encoding": {axis: {"field": "at", "type": "quantitative"}},
    }


def _by_density(densities: Sequence[float]) -> dict[str, Any]:
    """The axis of densities, from dense to sparse, each ratio of two as wide as any other."""
    values = sorted(set(densities), reverse=True)
    room = (values[0] / values[-1]) ** 0.06 if len(values) > 1 else 1.5
    return {
        "field": "at", "type": "quantitative",
        "scale": {"type": "log", "domain": [values[0] * room, values[-1] / room], "nice": False},
        "axis": {
            "title": "weights kept, %", "values": values, "grid": False, "labelOverlap": "greedy",
            "labelExpr": "format(100 * datum.value, '.4~g')", "labelFlush": False,
        },
    }  # fmt: skip


def _dodge(methods: Sequence[str], densities: Sequence[float]) -> dict[str, float]:
    """By what a method's densities are multiplied, so that its marks stand beside those of the others."""
    values = sorted({math.log(density) for density in densities})
    span = (values[-1] - values[0]) or 1.0
    nearest = min((after - before for before, after in pairwise(values)), default=span)
    step = min(0.5 * nearest / len(methods), 0.02 * span)
    return {method: math.exp((len(methods) / 2 - 0.5 - n) * step) for n, method in enumerate(methods)}


def _looks(methods: Sequence[str], drawn: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, shape and dash of each method that is drawn; its place among all methods decides them."""
    places = [methods.index(method) for method in drawn]
    side_by_side = _side_by_side(drawn)
    limit = WIDTH - LABELS - SYMBOL
    legend = {"columns": side_by_side, "columnPadding": 20, "labelLimit": limit, "symbolStrokeWidth": 1}
    ranges: dict[str, list[Any]] = {
        "color": [color(LINES[n % len(LINES)]) for n in places],
        "shape": [SHAPES[n % len(SHAPES)] for n in places],
        "strokeDash": [DASHES[n % len(DASHES)] for n in places],
    }
    return {
        channel: {
            "field": "method", "type": "nominal", "title": None,
            "scale": {"domain": list(drawn), "range": values},
            "legend": None if channel == "strokeDash" else legend,
        }
        for channel, values in ranges.items()
    }  # fmt: skip


def _side_by_side(names: Sequence[str], most: int = 3) -> int:
    """How many columns of a legend have room for ``names``, which fill it row by row."""
    for columns in range(most, 1, -1):
        widest = [max(map(len, names[n::columns]), default=0) for n in range(columns)]
        if LETTER * sum(widest) + SYMBOL * columns <= WIDTH:
            return columns
    return 1


# --------------------------------------------------------------------------------------------- accuracy and harm


def costs(analysis: Analysis) -> tuple[Chart, ...]:
    """For each network accuracy, and below it harmed classes, by density."""
    made = []
    for network in shown.networks(analysis.table("cells")):
        cells = [
            row
            for row in shown.rows(analysis.table("cells"))
            if row["network"] == network and isinstance(row["accuracy"], (int, float))
        ]
        if not cells:
            continue
        best = [row for row in cells if row["pareto"] == "yes"]
        names = "; ".join(f"{printable(str(row['method']))} at {shown.density(row['density'])}" for row in best)
        made.append(
            Chart(
                title="What it cost: accuracy and harmed classes",
                of=printable(network),
                shows=f"No other cell is better at once in accuracy, density and harm than {names or 'any'}.",
                reading=(
                    "Above: accuracy, mean over seeds; the level dashed line is that of the dense "
                    "models. Below: classes harmed, mean per "
                    "run. Filled: no other cell is as good in accuracy, density and harmed classes, and better in one."
                ),
                spec=_cost_spec(cells, _methods(analysis)),
            )
        )
    return tuple(made)


def _cost_spec(cells: Sequence[Mapping[str, Value]], methods: Sequence[str]) -> dict[str, Any]:
    names = [printable(str(cell["method"])) for cell in cells]
    drawn = [method for method in methods if method in names]
    densities = [_number(cell["density"]) for cell in cells]
    dodged = _dodge(drawn, densities)
    rows = [
        {
            "method": name,
            "at": at * dodged[name],
            "accuracy": cell["accuracy"],
            "harmed": cell["harmed"],
            "best": cell["pareto"] == "yes",
            "said": (
                f"{name} at {shown.density(at)}: accuracy {rounded.percent_sign(cell['accuracy'])}, "
                f"{rounded.number(cell['harmed'])} classes harmed per run"
            ),
        }
        for cell, name, at in zip(cells, names, densities, strict=True)
    ]
    x, look = _by_density(densities), _looks(methods, drawn)
    dense = [float(cell["dense_accuracy"]) for cell in cells if isinstance(cell["dense_accuracy"], (int, float))]
    most = max([1.0, *(float(cell["harmed"]) for cell in cells if isinstance(cell["harmed"], (int, float)))])
    bare = {**x, "axis": {**x["axis"], "title": None, "labels": False, "ticks": False}}
    level = [_level("y", sum(dense) / len(dense))] if dense else []
    share = {"title": "accuracy, %", "labelExpr": "format(100 * datum.value, '.3~g')", "tickCount": 5}
    count = {"title": "harmed per run", "tickCount": 4, "format": "~f"}
    return {
        "data": {"values": rows},
        "spacing": 14,
        "vconcat": [
            _panel(ACCURACY, bare, _axis("accuracy", share, {"zero": False}), look, level),
            _panel(HARM, x, _axis("harmed", count, {"domain": [0, most]}), look, []),
        ],
    }


def _axis(field: str, axis: Mapping[str, Any], scale: Mapping[str, Any]) -> dict[str, Any]:
    # Both panels leave the same room for their labels, so that one density is one place in both.
    return {
        "field": field, "type": "quantitative", "scale": {**scale, "nice": True},
        "axis": {**axis, "minExtent": LABELS - 20, "maxExtent": LABELS - 20},
    }  # fmt: skip


def _panel(
    height: int, x: Mapping[str, Any], y: Mapping[str, Any], look: Mapping[str, Any], level: list[dict[str, Any]]
) -> dict[str, Any]:
    hollow = {"condition": {"test": "datum.best", "value": 1}, "value": 0}
    place = {"x": x, "y": y, "color": look["color"]}
    return {
        "width": WIDTH - LABELS,
        "height": height,
        "layer": [
            *level,
            {
                "mark": {"type": "line", "strokeWidth": 1.75, "aria": False},
                "encoding": {**place, "strokeDash": look["strokeDash"]},
            },
            {
                "mark": {"type": "point", "filled": False, "size": 55, "opacity": 1, "strokeWidth": 1.5, **_MARK},
                "encoding": {
                    **place, "shape": look["shape"], "fill": look["color"], "fillOpacity": hollow,
                    "description": {"field": "said", "type": "nominal"},
                },
            },
        ],
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- small multiples


def balances(analysis: Analysis, classes: DataFrame) -> tuple[Chart, ...]:
    """For each network the balance of every class before and after: a row per density, a column per method.

    Every seed has a dot of its own, and means over the seeds stand in for them where they are too many for a page.
    """
    made = []
    for network in shown.networks(analysis.table("cells")):
        cells = [row for row in shown.rows(analysis.table("cells")) if row["network"] == network]
        own = classes[classes["network"].astype(str) == network]
        dots, what = _dots(own)
        if not dots:
            continue
        across, up = _window(dots, cells)
        outside = sum(not up[0] <= dot["pruned"] <= up[1] for dot in dots)
        notes = [
            f"Each dot is {what}. Across: its balance in the dense model; upwards: in the pruned one. On the dashed "
            "line nothing changed; the solid line has the slope alpha, over all seeds, where r^2, its mean over "
            f"seeds, is at least {wording.ONE_LINE:g} and more than half of the runs have an alpha."
        ]
        if outside:
            edge = "lies outside and is" if outside == 1 else "lie outside and are"
            notes.append(f"Of {rounded.several(len(dots), 'dot')} {outside:,} {edge} drawn at the edge.")
        made.append(
            Chart(
                title="Balance of every class by method and density",
                of=printable(network),
                shows=_slopes(cells),
                reading=" ".join(notes),
                spec=_grid_spec(dots, cells, across, up),
            )
        )
    return tuple(made)


def _slopes(cells: Sequence[Mapping[str, Value]]) -> str:
    said = [
        f"{printable(str(cell['method']))} at {shown.density(cell['density'])} {rounded.ratio(cell['pooled_alpha'])} "
        f"(r^2 {rounded.ratio(cell['r_squared'])})"
        for cell in cells
    ]
    return f"Slopes: {'; '.join(said)}."


def _dots(classes: DataFrame) -> tuple[list[dict[str, Any]], str]:
    """What is drawn of every class, and what a dot is."""
    known = classes.dropna(subset=["dense_balance", "pruned_balance"])
    known = known.assign(harmed=known["distortion"].isin(HARMED), of="seed " + known["seed"].astype(str))
    what = "a class of one seed"
    if len(known) > DOTS:
        balances = known.groupby(["method", "density", "class"], sort=False)
        means = balances[["dense_balance", "pruned_balance", "harmed"]].mean().reset_index()
        known = means.assign(harmed=means["harmed"] >= 0.5, of="all seeds")
        what = "a class, its mean over the seeds, harmed where it is so in half of the runs"
    if (step := math.ceil(len(known) / DOTS)) > 1:
        known = known[known["class"].isin(known["class"].unique()[::step])]
        what += f"; one class in {step} is drawn"
    columns = ("method", "density", "class", "of", "dense_balance", "pruned_balance", "harmed")
    dots = []
    for method, density, name, of, dense, pruned, harmed in zip(*(known[c] for c in columns), strict=True):
        moved = f"balance {rounded.ratio(float(dense))} to {rounded.ratio(float(pruned))}"
        dots.append(
            {
                "method": printable(str(method)),
                "density": shown.density(float(density)),
                "dense": float(dense),
                "pruned": float(pruned),
                "harm": "harmed" if harmed else "not harmed",
                "said": f"{printable(str(name))}, {of}: {moved}",
            }
        )
    return dots, what


def _window(
    dots: Sequence[Mapping[str, Any]], cells: Sequence[Mapping[str, Value]]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """What the axes show: all of the dense models, and of the pruned ones nearly all of those that a line describes."""
    fitted = {(printable(str(cell["method"])), shown.density(cell["density"])) for cell in cells if shown.fits(cell)}
    of = [dot["pruned"] for dot in dots if (dot["method"], dot["density"]) in fitted]
    tail = 0.002 if of else 0.05
    pruned = sorted(of or (dot["pruned"] for dot in dots))
    dense = sorted(dot["dense"] for dot in dots)
    last = len(pruned) - 1
    ends = pruned[math.floor(tail * last)], pruned[math.ceil((1 - tail) * last)]
    return _wider(dense[0], dense[-1]), _wider(*ends)


def _wider(low: float, high: float) -> tuple[float, float]:
    low, high = min(low, 0.0), max(high, 0.0)
    room = 0.06 * (high - low) or 0.05
    return low - room, high + room


def _wrapped(methods: Sequence[str], side: int) -> dict[str, list[str]]:
    """The names of ``methods`` on as many lines as ``side`` pixels ask for, all on equally many."""
    lines = {method: textwrap.wrap(method, side // LETTER) or [method] for method in methods}
    most = max(map(len, lines.values()))
    return {method: [*[""] * (most - len(said)), *said] for method, said in lines.items()}


def _grid_spec(
    dots: Sequence[Mapping[str, Any]],
    cells: Sequence[Mapping[str, Value]],
    across: tuple[float, float],
    up: tuple[float, float],
) -> dict[str, Any]:
    methods = list(dict.fromkeys(printable(str(cell["method"])) for cell in cells))
    densities = sorted({_number(cell["density"]) for cell in cells}, reverse=True)
    side = max(LEAST, min(MOST, (PAGE - LABELS - 30) // len(methods) - 8))
    rows: list[dict[str, Any]] = [
        {"kind": "dot", **dot, "pruned": min(max(dot["pruned"], up[0]), up[1])} for dot in dots
    ]
    # A place that no cell takes is kept, or those behind it would move up into it.
    rows += [{"kind": "none", "method": name, "density": shown.density(at)} for name in methods for at in densities]
    for cell in cells:
        place = {"method": printable(str(cell["method"])), "density": shown.density(cell["density"])}
        slope = cell["pooled_alpha"]
        for at in across:
            rows.append({"kind": "identity", **place, "dense": at, "pruned": at})
            if isinstance(slope, (int, float)) and shown.fits(cell):
                rows.append({"kind": "slope", **place, "dense": at, "pruned": slope * at})
        if slope is not None:
            said = f"α {rounded.ratio(slope)}  r² {rounded.ratio(cell['r_squared'])}"
            rows.append({"kind": "note", **place, "text": said})
    x, y = (
        {
            "field": which, "type": "quantitative", "scale": {"domain": list(domain), "nice": False},
            "axis": {"title": None, "tickCount": 3, "format": ".2~f", "labelFontSize": 10},
        }
        for which, domain in (("dense", across), ("pruned", up))
    )  # fmt: skip
    harm = {"field": "harm", "type": "nominal", "title": None}
    shades = {"domain": ["harmed", "not harmed"], "range": [color("bad"), color("good")]}
    shapes = {"domain": ["harmed", "not harmed"], "range": ["triangle-down", "circle"]}
    told = {"description": {"field": "said", "type": "nominal"}}

    def layer(kind: str, mark: Mapping[str, Any], encoding: Mapping[str, Any]) -> dict[str, Any]:
        return {"transform": [{"filter": f"datum.kind === '{kind}'"}], "mark": mark, "encoding": encoding}

    dashed = {"color": color("muted"), "strokeDash": [4, 3], "strokeWidth": 1}
    line = {"type": "line", "aria": False, "clip": True}
    note = {"type": "text", "align": "left", "baseline": "top", "fontSize": 10, "aria": False}
    halo = {"stroke": color("paper"), "strokeWidth": 3, "strokeJoin": "round"}  # it may stand on dots
    corner = {"x": {"value": 4}, "y": {"value": 4}, "text": {"field": "text", "type": "nominal"}}
    return {
        "data": {"values": rows},
        "spacing": 8,
        "facet": {
            "row": {
                "field": "density", "type": "nominal", "sort": [shown.density(at) for at in densities],
                "title": None,
                "header": {"labelAngle": 0, "labelAlign": "left", "labelFontSize": 12, "labelColor": color("ink")},
            },
            "column": {
                "field": "method", "type": "nominal", "sort": methods, "title": None,
                "header": {
                    "labelFontSize": 12, "labelLimit": side, "labelColor": color("ink"),
                    "labelExpr": f"{json.dumps(_wrapped(methods, side))}[datum.label]",
                },
            },
        },
        "spec": {
            "width": side,
            "height": side,
            "layer": [
                layer("identity", line | dashed, {"x": x, "y": y}),
                layer(
                    "dot",
                    {"type": "point", "filled": True, "size": 14, "opacity": 0.6, **_MARK},
                    {"x": x, "y": y, "color": harm | {"scale": shades}, "shape": harm | {"scale": shapes}, **told},
                ),
                layer("slope", line | {"color": color("ink"), "strokeWidth": 1.5}, {"x": x, "y": y}),
                *(layer("note", note | look, corner) for look in (halo, {})),
            ],
        },
    }  # fmt: skip
