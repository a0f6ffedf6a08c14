"""Tables of lenses that are drawn as lines: their data, and that nothing is drawn where nobody asked."""

from __future__ import annotations

from prune_audit.charts import lines
from prune_audit.render.picture import svg
from tests.lenses.looks import looked
from tests.reports import audits


def test_a_line_for_each_group_in_the_order_of_the_layers() -> None:
    (chart,) = lines.draw(looked("lines"))
    rows = chart.spec["data"]["values"]
    assert [(row["x"], row["group"], row["y"], row["low"]) for row in rows] == [
        ("conv1", "7", -20, -30),
        ("conv1", "=8", 10, 5),
        ("conv2", "7", 0.4, -1),
    ]
    assert chart.spec["layer"][0]["mark"]["type"] == "area"
    assert chart.spec["layer"][1]["encoding"]["x"]["sort"] == ["conv1", "conv2"]
    assert "conv2, 7: change +0.4 (interval -1 to 2)" in svg([chart])


def test_nothing_is_drawn_where_nobody_asked() -> None:
    assert lines.draw(audits.ten()) == ()
