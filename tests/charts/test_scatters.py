"""Tables of lenses that are drawn as scatter: their data, and that nothing is drawn where nobody asked."""

from __future__ import annotations

from prune_audit.charts import scatters
from prune_audit.render.picture import svg
from tests.lenses.looks import looked
from tests.reports import audits


def test_a_point_for_each_class_with_its_name() -> None:
    (chart,) = scatters.draw(looked("scatter"))
    points = chart.spec["layer"][0]["data"]["values"]
    assert [(row["x"], row["y"], row["group"]) for row in points] == [
        (-20, 1.5, "7"),
        (10, 0.25, "=8"),
        (0.4, 0.125, "7"),
    ]
    assert points[0]["said"] == "7: change -20.0, loss 1.500"
    assert "7: change -20.0, loss 1.500" in svg([chart])


def test_nothing_is_drawn_where_nobody_asked() -> None:
    assert scatters.draw(audits.ten()) == ()


def test_of_names_that_would_collide_the_higher_one_is_shown() -> None:
    points = [
        {"x": 0.0, "y": 0.0, "group": "a"},
        {"x": 0.1, "y": 0.01, "group": "b"},
        {"x": 1.0, "y": 1.0, "group": "c"},
    ]
    assert [row["group"] for row in scatters._apart(points)] == ["c", "b"]
