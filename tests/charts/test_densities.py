"""The heat map: classes by variant."""

from __future__ import annotations

from prune_audit.charts import densities
from prune_audit.charts._colors import LIGHT
from tests.charts.specs import data
from tests.reports import audits


def test_variants_densest_first_and_classes_worst_first() -> None:
    (chart,) = densities.draw(audits.several())
    cells = data(chart)
    assert list(dict.fromkeys(cell["variant"] for cell in cells)) == [
        "pruned-50 (50 %)", "pruned-90 (10 %)", "int8 (-)",
    ]  # fmt: skip
    assert [cell["class"] for cell in cells[:3]] == ["7", "8", "5"]
    assert chart.variant is None


def test_a_cell_tells_in_words_and_shape_what_its_shade_tells() -> None:
    cell = data(densities.draw(audits.several())[0])[0]
    assert cell["text"] == "-33.3 ▼"
    assert cell["said"] == "7, pruned-50 (50 %): -33.3 points, regressed"
    assert cell["regressed"]


def test_one_variant_has_no_heat_map() -> None:
    assert densities.draw(audits.ten()) == ()


def test_a_shade_for_every_step() -> None:
    assert len(densities.SHADES) == len(densities.STEPS) + 1
    assert set(densities.SHADES) <= set(LIGHT)
    assert list(densities.STEPS) == sorted(densities.STEPS)
