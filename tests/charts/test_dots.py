"""Tables of lenses that are drawn as dots: their data, and that nothing is drawn where nobody asked."""

from __future__ import annotations

from dataclasses import replace

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
    zero, intervals, _ = chart.spec["layer"]
    assert zero["encoding"]["x"]["datum"] == 0
    assert intervals["encoding"]["x"]["field"] == "low"
    assert "conv1, 7: change -20.0 (interval -30 to -10)" in svg([chart])


def test_where_nothing_is_negative_there_is_no_line_at_zero() -> None:
    audit = looked("dots")
    (comparison,) = audit.comparisons
    seen, blind = comparison.looks
    (table,) = seen.tables
    above = replace(table, rows=table.rows[1:2])  # +10, 5 to 15
    shown = replace(comparison, looks=(replace(seen, tables=(above,)), blind))
    (chart,) = dots.draw(replace(audit, comparisons=(shown,)))
    assert [layer["encoding"]["x"].get("field") for layer in chart.spec["layer"]] == ["low", "x"]


def test_nothing_is_drawn_where_nobody_asked() -> None:
    assert dots.draw(audits.ten()) == ()
