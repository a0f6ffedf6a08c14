"""The heat map: classes by variant."""

from __future__ import annotations

from prune_audit.charts import densities
from prune_audit.render import picture
from prune_audit.render.colors import LIGHT
from tests.charts.specs import data
from tests.reports import audits


def test_variants_densest_first_and_classes_worst_first() -> None:
    (chart,) = densities.draw(audits.several())
    cells = data(chart)
    assert list(dict.fromkeys(cell["variant"] for cell in cells)) == [
        "pruned-50 (50 %)", "pruned-90 (10 %)", "int8",
    ]  # fmt: skip
    assert [cell["class"] for cell in cells[:3]] == ["7", "8", "5"]
    assert chart.variant is None


def test_a_cell_tells_in_words_and_shape_what_its_shade_tells() -> None:
    cell = data(densities.draw(audits.several())[0])[0]
    assert cell["text"] == "-33.3 ▼"
    assert cell["said"] == "7, pruned-50 (50 %): -33.3 points, regressed, intensified"
    assert cell["broken"]


def test_a_class_that_is_harmed_alone_breaks_here_as_in_the_table() -> None:
    rows = [("a", (50, 5, 0, 0), "fine", "harmed"), ("b", (50, 1, 0, 0), "cannot tell", "no harm shown")]
    audit = audits.audit(rows, pruned=[audits.card("x", 0.5), audits.card("y", 0.1)])
    (chart,) = densities.draw(audit)
    assert [cell["text"] for cell in data(chart)[:2]] == ["-9.1 ▼", "-2.0"]
    assert data(chart)[0]["said"].endswith("points, harmed")
    assert data(chart)[1]["said"].endswith("points, cannot tell")
    assert "1 class drawn regressed or harmed" in chart.shows


def test_names_of_many_variants_do_not_run_into_one_another() -> None:
    (chart,) = densities.draw(audits.audit(pruned=[audits.card(f"resnet50-pruned-{i}0", 1 - i / 10) for i in range(8)]))
    axis = chart.spec["encoding"]["x"]["axis"]
    assert 8 * axis["labelLimit"] < chart.spec["width"]
    assert ">80 %<" in picture.svg([chart])  # on a line of its own


def test_one_variant_has_no_heat_map() -> None:
    assert densities.draw(audits.ten()) == ()


def test_a_shade_for_every_step() -> None:
    assert len(densities.SHADES) == len(densities.STEPS) + 1
    assert set(densities.SHADES) <= set(LIGHT)
    assert list(densities.STEPS) == sorted(densities.STEPS)
