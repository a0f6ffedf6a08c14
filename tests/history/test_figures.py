"""What the figures draw, by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from prune_audit.history import figures, overview
from prune_audit.render.picture import svg
from tests.charts.specs import data
from tests.history.audits import stream

ALONE = overview.rows(stream()[:4])
SEVERAL = overview.rows(stream())


def test_the_change_of_accuracy_and_of_the_worst_class() -> None:
    accuracy, worst = figures.charts(ALONE)
    assert [point["place"] for point in data(accuracy)] == [1, 2, 3, 4]
    assert [point["change"] for point in data(accuracy)] == pytest.approx([0, -0.05, -0.185, 0])
    assert [point["change"] for point in data(worst)] == pytest.approx([0, -0.1, -0.37, 0])
    for row, one, other in zip(ALONE, data(accuracy), data(worst), strict=True):
        assert (one["low"], one["high"]) == (row.variant.low, row.variant.high)
        assert row.worst is not None
        assert other["low"] == row.variant.classes.low[row.worst]
    assert "release 3, 2026-04-30, v2a: 1 -37.0 points (" in data(worst)[2]["said"]
    assert worst.shows.startswith("4 values; the last: release 4, ")


def test_one_variant_a_release_is_one_line_and_several_are_told_apart() -> None:
    for chart in figures.charts(ALONE):
        assert {point["series"] for point in data(chart)} == {""}
    for chart in figures.charts(SEVERAL):
        assert [point["series"] for point in data(chart)] == [0, 1, 2, 3, 4, 5]
        assert "v4b" in svg([chart])


def test_the_margin_and_where_the_data_change_are_lines() -> None:
    accuracy, worst = figures.charts(ALONE)
    assert data(accuracy, 1) == [{"place": 4}]
    assert data(worst, 1) == [{"change": -0.02}]
    assert data(worst, 2) == [{"place": 4}]
    assert "Dotted" in worst.reading
    assert "Dotted" not in figures.charts(ALONE[:3])[0].reading


def test_the_last_are_drawn_where_there_are_too_many() -> None:
    many = overview.rows([stream()[0]] * (figures.MOST + 5))
    assert [point["place"] for point in data(figures.charts(many)[0])] == list(range(6, figures.MOST + 6))


def test_what_is_not_known_is_not_drawn() -> None:
    row = ALONE[0]
    blind = replace(row.variant, change=None)
    [worst] = figures.charts([replace(row, variant=blind)])
    assert worst.title == "Change of the worst class"


def test_names_that_bite_a_legend_stay_text() -> None:
    release = stream()[4]
    first, other = release.variants
    name = "'];\"]</svg><script>x</script>"
    bitten = replace(release, variants=(replace(first, name=name), replace(other, name="b")))
    drawn = svg(figures.charts(overview.rows([bitten])))
    assert "<script>" not in drawn
    assert "&lt;/svg&gt;&lt;script&gt;" in drawn


def test_of_more_variants_than_can_be_told_apart_the_worst_of_each_release_is_drawn() -> None:
    release = stream()[4]
    first, other = release.variants
    many = [
        replace(release, variants=(replace(first, name=f"a{n}"), replace(other, name=f"b{n}")))
        for n in range(figures.NAMES // 2 + 1)
    ]
    for chart in figures.charts(overview.rows(many)):
        assert [point["place"] for point in data(chart)] == list(range(1, len(many) + 1))
        assert [re.findall(r", (b\d): ", point["said"]) for point in data(chart)] == [
            [f"b{n}"] for n in range(len(many))
        ]
        assert "Of several variants" in chart.reading
    assert "Of several variants" not in figures.charts(overview.rows(many[:-1]))[0].reading
