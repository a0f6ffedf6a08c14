"""The dumbbells: what stands where, in which order, and on which scale."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from prune_audit.charts import recalls
from prune_audit.charts._rows import MOST
from prune_audit.render.picture import svg
from tests.charts.specs import data
from tests.reports import audits


def test_dense_pruned_and_the_interval_of_the_change_worst_first() -> None:
    (chart,) = recalls.draw(audits.ten())
    rows = data(chart)
    assert [row["name"] for row in rows] == ["7", "8", "5", "3", "1", "2", "4", "6", "0"]  # 9 has no samples
    seven = rows[0]
    assert seven["dense"] == pytest.approx(61 / 90)
    assert seven["pruned"] == pytest.approx(31 / 90)
    # The audit's intervals are 5 points either side of the change, and hang on the dense recall.
    assert (seven["low"], seven["high"]) == pytest.approx((31 / 90 - 0.05, 31 / 90 + 0.05))
    assert (seven["verdict"], seven["change"]) == ("regressed", "-33.3")
    assert seven["said"] == "7: 67.8 to 34.4 %, change -33.3 points (-38.3 to -28.3), regressed"
    assert "2 of 9 classes lost more than 2 points: 7, 8." in chart.shows


def test_what_lies_outside_of_recalls_is_cut() -> None:
    rows = {row["name"]: row for row in data(recalls.draw(audits.ten())[0])}
    assert rows["6"]["high"] == 1  # 89 of 90, and 5 points
    assert all(0 <= row["low"] <= row["high"] <= 1 for row in rows.values())


def test_verdicts_have_a_shape_beside_their_colour_and_only_those_there_are() -> None:
    (chart,) = recalls.draw(audits.audit(audits.TWO))
    encoding = chart.spec["layer"][3]["encoding"]
    assert encoding["color"]["scale"]["domain"] == encoding["shape"]["scale"]["domain"] == ["regressed", "fine"]
    assert encoding["shape"]["scale"]["range"] == ["triangle-down", "circle"]


def test_of_many_classes_the_worst_are_drawn_and_it_says_so() -> None:
    (chart,) = recalls.draw(audits.thousand())
    rows = data(chart)
    assert len(rows) == MOST
    assert [row["verdict"] for row in rows[:30]] == ["regressed"] * 30
    assert chart.title == "Recall of each class, the 40 worst of 1,000"


def test_variants_and_groups_have_a_chart_each_on_one_scale() -> None:
    drawn = recalls.draw(audits.several())
    assert [chart.variant for chart in drawn] == [0, 1, 2]
    groups = recalls.draw(audits.everything())
    assert [(chart.by, chart.title) for chart in groups] == [
        ("class", "Recall of each class"),
        ("place", "Accuracy by place"),
    ]
    domains = [chart.spec["layer"][0]["encoding"]["x"]["scale"]["domain"] for chart in groups]
    assert domains[0] == domains[1]
    assert domains[0][0] == min(row["low"] for chart in groups for row in data(chart))


def test_without_a_change_there_is_nothing_to_draw() -> None:
    audit = audits.ten()
    view = audit.comparisons[0].views[0]
    few = replace(view, measures=tuple(m for m in view.measures if m.name != "change"))
    assert recalls.draw(replace(audit, comparisons=(replace(audit.comparisons[0], views=(few,)),))) == ()


WIDE = 9.0  # pixels of a character of a tick's label, as wide as a sans-serif has them
LONG = ("German shepherd", "golden retriever", "airliner, wide-body", "great white shark, man-eater, Carcharodon")


def ticks(name: str, both: int) -> list[tuple[float, float, str]]:
    """Left, right and text of the labels below the scale, for classes called ``name`` with recalls near ``both`` %."""
    rows: list[audits.Row] = [
        (f"{name} {i}", (10 * both - 9 * i, 8 * i, 2, 998 - 10 * both + i), "fine", "no harm shown") for i in range(3)
    ]
    found = []
    for text in ElementTree.fromstring(svg(recalls.draw(audits.audit(rows)))).iter("{http://www.w3.org/2000/svg}text"):
        if (text.text or "").endswith("%"):
            place = re.match(r"translate\(([\d.]+),", text.get("transform", ""))
            assert place is not None
            wide = WIDE * len(text.text or "")
            shift = {"start": 0.0, "middle": wide / 2, "end": wide}[text.get("text-anchor", "start")]
            found.append((float(place[1]) - shift, float(place[1]) - shift + wide, text.text or ""))
    return sorted(found)


@pytest.mark.parametrize("name", ["7", *LONG])
@pytest.mark.parametrize("both", [30, 75, 92, 96])
def test_labels_of_ticks_stand_apart_whatever_room_the_names_leave(name: str, both: int) -> None:
    labels = ticks(name, both)
    assert len(labels) >= 2
    for (_, right, one), (left, _, other) in pairwise(labels):
        assert right < left, (one, other)


def test_a_long_name_is_cut_on_the_axis_and_whole_where_one_points() -> None:
    rows: list[audits.Row] = [(LONG[-1], (80, 5, 1, 4), "fine", "no harm shown")]
    root = ElementTree.fromstring(svg(recalls.draw(audits.audit(rows))))
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("great white") and text.endswith("…") for text in texts)
    assert any((tip.text or "").startswith(f"{LONG[-1]}: ") for tip in root.iter("{http://www.w3.org/2000/svg}title"))
