"""The change of every class, for those who have too many for names."""

from __future__ import annotations

from prune_audit.charts import changes
from tests.charts.specs import data
from tests.reports import audits


def test_every_class_from_the_worst_to_the_best_with_its_interval() -> None:
    (chart,) = changes.draw(audits.thousand())
    rows = data(chart, 0)
    assert [row["rank"] for row in rows] == list(range(1, 1001))
    moved = [row["change"] for row in rows]
    assert moved == sorted(moved)
    assert moved[0] == -0.5  # 25 of 50
    assert all(row["low"] < row["change"] < row["high"] for row in rows)
    assert chart.title == "Change of all 1,000 classes"


def test_of_very_many_classes_one_of_several_is_drawn_which_the_reading_says() -> None:
    many = audits.audit([(f"class {i}", (50 - i % 50, i % 50, 0, 0), "cannot tell", None) for i in range(4_500)])
    (chart,) = changes.draw(many)
    rows = data(chart, 0)
    assert [row["rank"] for row in rows] == list(range(1, 4_501, 3))
    assert rows[0]["change"] == -0.98
    assert chart.reading.endswith("Drawn is one class of 3.")
    assert "Drawn is" not in changes.draw(audits.thousand())[0].reading


def test_the_margin_is_drawn_where_it_was_set() -> None:
    (chart,) = changes.draw(audits.thousand())
    assert data(chart, 3) == [{"at": -0.02}]
    assert "the margin of 2 points" in chart.reading


def test_few_classes_have_names_and_need_it_not() -> None:
    assert changes.draw(audits.ten()) == ()
