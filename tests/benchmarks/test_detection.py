"""What the table of detectors simulates is what an audit judges, and a small draw of it."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.detection import CELLS, Cell, audited, predictions_of, row


def test_models_make_as_many_false_detections_as_the_cell_says() -> None:
    for cell in CELLS[:3]:
        made = predictions_of(cell, np.random.default_rng(0), asked=True)
        assert [len(each.labels) for each in made.false.values()] == [cell.false, cell.false]


def test_a_class_that_lost_is_found_and_others_are_not() -> None:
    cell = Cell(name="few", images=200, boxes=6, classes=4, false=300, lost=3.0)
    found = [audited(cell, seed) for seed in range(4)]
    assert all(each["flagged"][0] for each in found)
    assert sum(each["flagged"][1:].sum() for each in found) == 0


def test_hardly_any_audit_of_300_boxes_flags_anything_where_nothing_changed() -> None:
    """Of 20 audits 7 % at most flag something in truth; more than 5 are beyond three standard errors."""
    assert row(CELLS[0], 20)["any flag"] <= 25
