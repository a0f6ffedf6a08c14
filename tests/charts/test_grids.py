"""Tables of lenses that are drawn as grid: their data, and that nothing is drawn where nobody asked."""

from __future__ import annotations

from dataclasses import replace

from prune_audit.charts import grids
from prune_audit.render.picture import svg
from tests.lenses.looks import looked
from tests.reports import audits


def test_a_cell_for_each_value_coloured_by_its_share_of_the_largest() -> None:
    (chart,) = grids.draw(looked())
    cells = {(row["y"], row["x"]): row for row in chart.spec["data"]["values"]}
    assert set(cells) == {("conv1", "7"), ("conv1", "=8"), ("conv2", "7")}  # one has no value
    assert cells["conv1", "7"]["level"] == "level-4"
    assert cells["conv1", "=8"]["level"] == "level2"
    assert cells["conv2", "7"]["level"] == "level0"
    assert cells["conv1", "7"]["said"] == "conv1, 7: change -20.0"
    assert (chart.look, chart.variant, chart.shows) == ("layers", 0, "conv1 costs 7 most.")
    assert "conv1, 7: change -20.0" in svg([chart])


def test_steps_of_colour() -> None:
    assert [grids._level(share) for share in (-1, -0.75, -0.3, -0.05, -0.04, 0, 0.04, 0.3, 1)] == [
        *("level-4", "level-4", "level-2", "level-1", "level0", "level0", "level0", "level1", "level2")
    ]


def test_what_is_loss_above_nothing_is_orange_there() -> None:
    audit = looked()
    look = audit.comparisons[0].looks[0]
    above = replace(look.tables[0], drawn=(replace(look.tables[0].drawn[0], worse="above"),))
    comparison = replace(audit.comparisons[0], looks=(replace(look, tables=(above,)),))
    (chart,) = grids.draw(replace(audit, comparisons=(comparison,)))
    assert [row["level"] for row in chart.spec["data"]["values"]] == ["level2", "level-3", "level0"]


def test_nothing_is_drawn_where_nobody_asked() -> None:
    assert grids.draw(audits.ten()) == ()
    assert grids.draw(looked("dots")) == ()
