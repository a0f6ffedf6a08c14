"""Tables of lenses that are drawn as dots: their data, and that nothing is drawn where nobody asked."""

from __future__ import annotations

from prune_audit.charts import dots
from prune_audit.render.picture import svg
from tests.lenses.looks import looked
from tests.reports import audits


def test_a_row_for_each_layer_with_its_interval() -> None:
    (chart,) = dots.draw(looked("dots"))
    rows = chart.spec["data"]["values"]
    assert [(row["name"], row["group"], row["x"], row["low"], row["high"]) for row in rows] == [
        ("conv1", "7", -20, -30, -10),
        ("conv1", "=8", 10, 5, 15),
        ("conv2", "7", 0.4, -1, 2),
    ]
    assert rows[0]["said"] == "conv1, 7: change -20.0 (interval -30 to -10)"
    assert chart.spec["layer"][0]["mark"]["type"] == "rule"
    assert "conv1, 7: change -20.0 (interval -30 to -10)" in svg([chart])


def test_nothing_is_drawn_where_nobody_asked() -> None:
    assert dots.draw(audits.ten()) == ()
