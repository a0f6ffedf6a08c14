"""What the table of several labels a sample simulates is what an audit judges, and a small draw of it."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.multi_label import CELLS, Cell, audited, row, scores


def test_a_shift_of_half_a_logit_is_all_that_sets_the_models_apart() -> None:
    labels, (dense, pruned) = scores(CELLS[2], np.random.default_rng(0))
    logit = [np.log(each / (1 - each)) for each in (dense, pruned)]
    for of in (0, 1):
        apart = (logit[0] - logit[1])[labels == of]
        assert abs(apart.mean() - 0.5) < 5 * apart.std() / np.sqrt(len(labels))  # samples, which are independent


def test_a_class_that_lost_is_found_and_others_are_not() -> None:
    cell = Cell(name="few", samples=600, classes=4, lost=3.0)
    found = [audited(cell, seed) for seed in range(4)]
    assert all(each["flagged"][1] for each in found)
    assert sum(each["flagged"][[0, 2, 3]].sum() for each in found) == 0


def test_hardly_any_audit_of_200_samples_flags_anything_where_nothing_changed() -> None:
    """Of 20 audits 7 % at most flag something in truth; more than 5 are beyond three standard errors."""
    assert row(CELLS[0], 20)["any"] <= 25
