"""Tables of lenses that are drawn as lines: their data, and that nothing is drawn where nobody asked."""

from __future__ import annotations

from prune_audit.charts import lines
from prune_audit.charts._tables import groups
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


def test_a_legend_that_one_row_has_no_room_for_gets_columns_that_fit() -> None:
    few, many, long = ([{"group": name} for name in names] for names in (
        ["cat", "dog"], ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        ["a name of so many letters that it is cut off", *"bcdefghij"],
    ))  # fmt: skip
    assert "legend" not in groups(few)[0]
    colored, shaped = groups(many)
    assert colored["legend"] == shaped["legend"] == {"columns": 4, "labelLimit": 160}
    pairs = zip(colored["scale"]["range"], shaped["scale"]["range"], strict=True)
    assert len({*pairs}) == 10  # no two look alike
    assert groups(long)[0]["legend"]["columns"] == 2


def test_nothing_is_drawn_where_nobody_asked() -> None:
    assert lines.draw(audits.ten()) == ()
