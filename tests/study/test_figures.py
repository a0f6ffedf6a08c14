"""The figures of a study: what stands where, on which scale, and what is left out and said."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from prune_audit.render import picture
from prune_audit.render.colors import DARK, LIGHT, LINES
from prune_audit.render.picture import Chart
from prune_audit.study import _shown, figures
from prune_audit.study.tables import Analysis
from tests.render.test_picture import luminance
from tests.reports.golden import same_as_golden
from tests.study import analyses

WHOLE = analyses.study()
FITTED = [method for method in analyses.METHODS if method != "random"]


def values(chart: Chart) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chart.spec["data"]["values"]
    return found


def of(kind: str, chart: Chart) -> list[dict[str, Any]]:
    return [row for row in values(chart) if row["kind"] == kind]


def cells(analysis: Analysis, network: str) -> dict[tuple[str, float], dict[str, Any]]:
    rows: list[dict[str, Any]] = _shown.rows(analysis.table("cells"))
    return {(row["method"], row["density"]): row for row in rows if row["network"] == network}


def drawn(study: analyses.Study) -> list[Chart]:
    return [
        *figures.alphas(study.analysis),
        *figures.costs(study.analysis),
        *figures.balances(study.analysis, study.classes),
    ]


# ------------------------------------------------------------------------------------------------ alpha by density


def test_alpha_with_its_interval_a_line_for_each_method_and_a_chart_for_each_network() -> None:
    charts = figures.alphas(WHOLE.analysis)
    assert [chart.of for chart in charts] == list(analyses.NETWORKS)
    for chart in charts:
        known = cells(WHOLE.analysis, chart.of)
        rows = values(chart)
        assert list(dict.fromkeys(row["method"] for row in rows)) == FITTED
        assert len(rows) == 6 * 5
        for row in rows:
            nearest = min(analyses.DENSITIES, key=lambda density: abs(math.log(density / row["at"])))
            cell = known[row["method"], nearest]
            assert (row["alpha"], row["low"], row["high"]) == (cell["alpha"], cell["alpha_low"], cell["alpha_high"])
            assert f"at {100 * nearest:g} %: alpha {cell['alpha']:.2f}" in row["said"]
        level = chart.spec["layer"][0]
        assert level["data"]["values"] == [{"at": 1.0}]


def test_what_no_line_describes_does_not_rule_the_axis_and_is_named() -> None:
    for chart in figures.alphas(WHOLE.analysis):
        low, high = chart.spec["layer"][2]["encoding"]["y"]["scale"]["domain"]
        assert 0 < low < 1 < high < 3
        assert "Left out, 5 cells of random: no rising line describes the classes" in chart.reading
        assert "beyond the picture" not in chart.reading


def test_a_huge_interval_is_cut_and_counted() -> None:
    few = [figures._Cell("a", 0.5, 1.0, -60.0, 62.0, ""), figures._Cell("a", 0.1, 1.5, 1.4, 1.6, "")]
    assert figures._reach(few) == pytest.approx((0.71, 1.79))  # half the span of the means beyond them, and some room
    narrow = [figures._Cell("a", 0.5, 1.2, 1.1, 1.3, "")]
    assert figures._reach(narrow) == pytest.approx((0.988, 1.312))


def test_marks_of_one_density_stand_beside_one_another_and_nearer_than_to_the_next() -> None:
    dodged = figures._dodge(list("abcdefg"), analyses.DENSITIES)
    logs = [math.log(factor) for factor in dodged.values()]
    assert logs == sorted(logs, reverse=True)  # from left to right, since the axis falls
    assert sum(logs) == pytest.approx(0)
    for one, other in combinations(logs, 2):
        assert abs(one - other) > 0.01
    nearest = min(abs(math.log(one / other)) for one, other in combinations(analyses.DENSITIES, 2))
    assert logs[0] - logs[-1] < nearest / 2
    assert figures._dodge(["a"], [0.1]) == {"a": 1.0}


def test_a_method_looks_the_same_in_every_figure_and_as_no_other() -> None:
    methods = [f"m{n}" for n in range(20)]
    look = figures._looks(methods, methods)
    pairs = list(zip(look["color"]["scale"]["range"], look["strokeDash"]["scale"]["range"], strict=True))
    assert len({str(pair) for pair in pairs}) == 20
    assert len(set(look["shape"]["scale"]["range"][:8])) == 8
    few = figures._looks(methods, methods[3:5])
    for channel in look:
        assert few[channel]["scale"]["range"] == look[channel]["scale"]["range"][3:5]


def test_names_in_a_legend_stand_side_by_side_while_there_is_room() -> None:
    assert figures._side_by_side(FITTED) == 3
    assert figures._side_by_side([f"a-rather-long-method-{n}" for n in range(9)]) == 2
    assert figures._side_by_side(["a" * 60, "b" * 60]) == 1
    assert figures._wrapped(["undecayed-released", "random"], 100) == {
        "undecayed-released": ["undecayed-", "released"], "random": ["", "random"],
    }  # fmt: skip


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_lines_can_be_seen(theme: dict[str, str]) -> None:
    for name in LINES:
        light, dark = sorted((luminance(theme[name]), luminance(theme["paper"])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, name
    assert len({theme[name] for name in LINES}) == len(LINES)


# --------------------------------------------------------------------------------------------- accuracy and harm


def test_accuracy_and_harm_of_every_cell_with_the_best_filled() -> None:
    for chart in figures.costs(WHOLE.analysis):
        known = cells(WHOLE.analysis, chart.of)
        rows = values(chart)
        assert len(rows) == len(known) == 35
        assert [row["accuracy"] for row in rows] == [cell["accuracy"] for cell in known.values()]
        assert [row["harmed"] for row in rows] == [cell["harmed"] for cell in known.values()]
        assert [row["best"] for row in rows] == [cell["pareto"] == "yes" for cell in known.values()]
        above, below = chart.spec["vconcat"]
        assert above["width"] == below["width"]
        assert above["layer"][1]["encoding"]["x"]["scale"] == below["layer"][0]["encoding"]["x"]["scale"]
        (dense,) = above["layer"][0]["data"]["values"]
        assert dense["at"] == pytest.approx(cells(WHOLE.analysis, chart.of)["random", 0.5]["dense_accuracy"])


# ---------------------------------------------------------------------------------------------- small multiples


def test_every_class_of_every_seed_in_its_panel_on_the_same_axes() -> None:
    (chart, _) = figures.balances(WHOLE.analysis, WHOLE.classes)
    own = WHOLE.classes[WHOLE.classes["network"] == chart.of]
    dots = of("dot", chart)
    assert len(dots) == len(own) == 7 * 5 * 5 * 10
    assert [dot["dense"] for dot in dots] == own["dense_balance"].tolist()
    low, high = chart.spec["spec"]["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert [dot["pruned"] for dot in dots] == np.clip(own["pruned_balance"], low, high).tolist()
    assert chart.spec["facet"]["row"]["sort"] == ["50 %", "25 %", "10 %", "5 %", "2 %"]
    assert chart.spec["facet"]["column"]["sort"] == list(analyses.METHODS)
    harmed = own["distortion"].eq("intensified")
    assert [dot["harm"] == "harmed" for dot in dots] == harmed.tolist()


def test_the_window_holds_what_a_line_describes_and_says_what_lies_outside() -> None:
    for chart in figures.balances(WHOLE.analysis, WHOLE.classes):
        own = WHOLE.classes[WHOLE.classes["network"] == chart.of]
        low, high = chart.spec["spec"]["layer"][1]["encoding"]["y"]["scale"]["domain"]
        fitted = own[own["method"] != "random"]["pruned_balance"]
        assert fitted.between(low, high).mean() > 0.99
        assert high - low < 2 * (fitted.max() - fitted.min())
        outside = int((~own["pruned_balance"].between(low, high)).sum())
        assert f"Of 1,750 dots {outside} lie outside and are drawn at the edge." in chart.reading


def test_slope_and_fit_are_written_into_each_panel_and_told() -> None:
    (chart, _) = figures.balances(WHOLE.analysis, WHOLE.classes)
    known = cells(WHOLE.analysis, chart.of)
    notes = {(note["method"], note["density"]): note["text"] for note in of("note", chart)}
    assert len(notes) == 35
    cell = known["surgery", 0.05]
    assert notes["surgery", "5 %"] == f"α {cell['pooled_alpha']:.2f}  r² {cell['r_squared']:.2f}"
    assert f"surgery at 5 % {cell['pooled_alpha']:.2f} (r^2 {cell['r_squared']:.2f})" in chart.shows
    ends = [row for row in of("slope", chart) if (row["method"], row["density"]) == ("surgery", "5 %")]
    assert [row["pruned"] / row["dense"] for row in ends] == pytest.approx([cell["pooled_alpha"]] * 2)


def test_too_many_dots_are_means_over_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "DOTS", 1000)
    (chart, _) = figures.balances(WHOLE.analysis, WHOLE.classes)
    dots = of("dot", chart)
    assert len(dots) == 7 * 5 * 10
    own = WHOLE.classes.query(f"network == {chart.of!r} and method == 'surgery' and density == 0.1")
    means = own.groupby("class")["dense_balance"].mean()
    found = [dot["dense"] for dot in dots if (dot["method"], dot["density"]) == ("surgery", "10 %")]
    assert sorted(found) == pytest.approx(sorted(means))
    assert "Each dot is a class, its mean over the seeds, harmed where" in chart.reading
    often = own["distortion"].eq("intensified").groupby(own["class"]).mean() >= 0.5
    assert sum(d["harm"] == "harmed" for d in dots if (d["method"], d["density"]) == ("surgery", "10 %")) == often.sum()
    monkeypatch.setattr(figures, "DOTS", 120)  # of 350 means
    (chart, _) = figures.balances(WHOLE.analysis, WHOLE.classes)
    assert len(of("dot", chart)) == 7 * 5 * 4
    assert "; one class in 3 is drawn. " in chart.reading


# ----------------------------------------------------------------------------------------------------- any study


@pytest.mark.parametrize(
    "study",
    [
        analyses.small(),
        analyses.bitten(),
        analyses.study(seeds=1),
        analyses.study(methods=("surgery",), seeds=2),
        analyses.study(densities=(0.1,), methods=("surgery", "random"), seeds=2),
        analyses.study(networks=("resnet-20",), methods=("surgery",), densities=(0.1,), seeds=1),
    ],
    ids=["small", "bitten", "one seed", "one method", "one density", "one cell"],
)
def test_every_figure_becomes_the_same_drawing_twice(study: analyses.Study) -> None:
    for chart in drawn(study):
        once = picture.inline(chart, "a")
        assert once == picture.inline(chart, "a")
        assert "NaN" not in once
        assert "<script" not in once
        root = ElementTree.fromstring(once)
        assert root.findtext(f"{{{picture._SVG}}}desc") == chart.shows
        used = set(re.findall(r'(?:fill|stroke)="([^"]+)"', once)) - {"none", "transparent"}
        assert all(name.startswith("var(--") and name[6:-1] in LIGHT for name in used)


def test_what_failed_or_collapsed_is_not_drawn() -> None:
    study = analyses.study(methods=("surgery",), seeds=2)
    classes = study.classes.assign(
        pruned_balance=study.classes["pruned_balance"].where(study.classes["density"] > 0.02)
    )
    (chart, _) = figures.balances(study.analysis, classes)
    assert {dot["density"] for dot in of("dot", chart)} == {"50 %", "25 %", "10 %", "5 %"}
    assert figures.balances(study.analysis, classes.assign(pruned_balance=np.nan)) == ()
    none = analyses.study(methods=("random",), seeds=2).analysis
    assert figures.alphas(none) == ()
    assert len(figures.costs(none)) == 2


def test_what_the_figures_say_is_kept() -> None:
    from tests.study.test_writing import GOLDEN

    charts = drawn(analyses.small())
    told = "\n\n".join(f"{c.title}, {c.of}\n{c.shows}\n{c.reading}" for c in charts) + "\n"
    same_as_golden("figures.txt", told.encode(), GOLDEN)


def test_small_multiples_keep_the_place_of_a_cell_that_is_not_there() -> None:
    """A control has one density; without its empty places the others would move up into rows that are not theirs."""
    study = analyses.study(networks=("resnet-20",), methods=("undecayed", "surgery"), densities=(0.5, 0.1), seeds=2)
    cells = study.analysis.table("cells")
    there = [at for at, row in enumerate(_shown.rows(cells)) if (row["method"], row["density"]) != ("undecayed", 0.1)]
    analysis = replace(study.analysis, tables=(replace(cells, rows=tuple(cells.rows[at] for at in there)),))
    classes = study.classes[(study.classes["method"] == "surgery") | (study.classes["density"] == 0.5)]
    (chart,) = figures.balances(analysis, classes)
    assert {(row["method"], row["density"]) for row in values(chart)} == {
        (method, density) for method in ("undecayed", "surgery") for density in ("50 %", "10 %")
    }
    assert {row["kind"] for row in values(chart) if (row["method"], row["density"]) == ("undecayed", "10 %")} == {
        "none"
    }
