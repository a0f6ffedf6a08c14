"""The scatter of balances: points, the line of identity, the slope alpha, names that do not collide."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from prune_audit.charts import balances
from prune_audit.core import Audit
from prune_audit.render.picture import WIDTH
from tests.charts.specs import data
from tests.reports import audits


def test_points_are_balances_and_say_what_happened() -> None:
    (chart,) = balances.draw(audits.ten())
    points = {point["name"]: point for point in data(chart, 3)}
    n = sum(sum(row[1]) for row in audits.TEN)
    dense = sum(row[1][0] + row[1][1] for row in audits.TEN) / n
    assert points["7"]["dense"] == pytest.approx(61 / 90 / dense - 1)
    assert {name: point["harm"] for name, point in points.items()} == {
        "7": "harmed", "8": "harmed", **dict.fromkeys("0123456", "not harmed"),
    }  # fmt: skip
    assert points["7"]["said"].startswith("7: balance -0.2")
    assert "9" not in points


def test_identity_and_alpha_go_through_the_origin() -> None:
    (chart,) = balances.draw(audits.ten())
    for layer, slope in ((0, 1.0), (1, 1.375)):  # the audit's alpha
        for end in data(chart, layer):
            assert end["pruned"] == pytest.approx(slope * end["dense"])
    assert "Alpha, the slope of the line, is 1.38" in chart.shows


def test_without_alpha_there_is_no_line() -> None:
    groups = audits.everything()
    assert [chart.by for chart in balances.draw(groups)] == ["class"]
    (chart,) = balances.draw(without(audits.ten(), "intensification"))
    assert chart.shows == "No line describes these classes."
    assert "alpha" not in chart.reading
    assert len(chart.spec["layer"]) == len(balances.draw(audits.ten())[0].spec["layer"]) - 1
    assert balances.draw(without(audits.ten(), "dense_balance")) == ()


def with_overall(name: str, **changed: float | None) -> Audit:
    """Ten classes with another overall value of one statistic."""
    audit = audits.ten()
    comparison = audit.comparisons[0]
    view = comparison.views[0]
    measures = tuple(replace(m, **changed) if m.name == name else m for m in view.measures)  # type: ignore[arg-type]  # numbers
    return replace(audit, comparisons=(replace(comparison, views=(replace(view, measures=measures),)),))


@pytest.mark.parametrize(
    "audit",
    [
        with_overall("r_squared", overall=0.49),
        with_overall("alpha_corrected", overall=None, overall_low=None, overall_high=None),
    ],
)
def test_alpha_that_means_nothing_is_no_solid_line(audit: Audit) -> None:
    """As the table says of it."""
    (chart,) = balances.draw(audit)
    assert "means nothing here" in chart.shows
    assert "The dotted line has the slope alpha, which means nothing here" in chart.reading
    assert "solid" not in chart.reading
    assert chart.spec["layer"][1]["mark"]["strokeDash"] != chart.spec["layer"][0]["mark"]["strokeDash"]


def test_alpha_that_describes_the_classes_is_a_solid_line() -> None:
    (chart,) = balances.draw(with_overall("r_squared", overall=0.5))
    assert chart.reading.endswith("The solid line has the slope alpha.")
    assert "strokeDash" not in chart.spec["layer"][1]["mark"]


def test_ticks_can_be_told_apart_where_recalls_lie_close_together() -> None:
    audit = audits.audit([(str(i), (9800 + i, 10, 10, 180 - i), "fine", "no harm shown") for i in range(10)])
    (chart,) = balances.draw(audit)
    for axis in "xy":
        encoding = chart.spec["layer"][0]["encoding"][axis]
        low, high = encoding["scale"]["domain"]
        digits = int(encoding["axis"]["format"].strip(".~f"))
        # An axis of six ticks has steps of a tenth of it or more.
        assert 10**-digits <= (high - low) / 10
    (usual,) = balances.draw(audits.ten())
    assert usual.spec["layer"][0]["encoding"]["x"]["axis"]["format"] == ".2~f"


def test_names_stand_apart() -> None:
    (chart,) = balances.draw(audits.thousand())
    named = [point for layer in chart.spec["layer"][-2:] for point in layer["data"]["values"]]
    assert 0 < len(named) <= balances.NAMED
    assert all(point["harm"] == "harmed" for point in named)
    wide, high = (
        domain[1] - domain[0]
        for domain in (chart.spec["layer"][0]["encoding"][axis]["scale"]["domain"] for axis in "xy")
    )
    for one, other in combinations(named, 2):
        apart = abs(one["dense"] - other["dense"]) >= wide * 2 / 3 or abs(one["pruned"] - other["pruned"]) >= high / 20
        assert apart, (one, other)


def test_of_very_many_classes_those_on_one_pixel_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = balances.draw(audits.thousand())
    monkeypatch.setattr(balances, "CROWDED", 999)
    (chart,) = balances.draw(audits.thousand())
    across, up = (chart.spec["layer"][0]["encoding"][axis]["scale"]["domain"] for axis in "xy")

    def spot(point: dict[str, Any]) -> tuple[object, ...]:
        x, y = (point[of] / (high - low) for of, (low, high) in (("dense", across), ("pruned", up)))
        return round(x * WIDTH), round(y * balances.HEIGHT), point["harm"]

    drawn, before = ([spot(point) for point in data(each, -4)] for each in (chart, whole))
    assert len(set(drawn)) == len(drawn) < len(before)
    assert set(drawn) == set(before)
    assert data(chart, -3) == data(whole, -3)  # the harmed ones, each of which tells its name
    assert chart.reading.endswith("What lies on the same pixel is drawn once, of 1,000.")
    assert "pixel" not in whole.reading


def without(audit: Audit, name: str) -> Audit:
    """``audit`` as if a statistic had not been measured."""
    comparison = audit.comparisons[0]
    view = comparison.views[0]
    few = replace(view, measures=tuple(m for m in view.measures if m.name != name))
    return replace(audit, comparisons=(replace(comparison, views=(few,)),))
