"""Controls: which cells they are, and how all others are tested against them, whatever their densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prune_audit.errors import UsageError
from prune_audit.study import _shown, controls
from prune_audit.study.analysis import analyse
from tests.study.frames import drawn

CELLS = [("a", "tuned", 1.0), ("a", "m", 0.5), ("a", "m", 0.1), ("b", "tuned", 1.0), ("b", "m", 0.5)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, [CELLS[0], CELLS[3]]),
        ("tuned", [CELLS[0], CELLS[3]]),
        ("m@0.1", [CELLS[2]]),
        ("m@.5", [CELLS[1], CELLS[4]]),
    ],
)
def test_a_control_is_named_or_is_what_was_not_cut(asked: str | None, found: object) -> None:
    assert controls.choose(CELLS, asked) == found


@pytest.mark.parametrize(
    ("asked", "told", "hint"),
    [
        ("n", "found no cell 'n'", "tuned@1, m@0.5"),
        ("m@0.7", "found no cell 'm@0.7'", "m@0.1"),
        ("m@half", "found no cell", "known"),
        ("@0.5", "found no cell", "known"),
        ("m", "expected one cell, found several of the method 'm'", "m@0.5"),
    ],
)
def test_a_control_that_is_none_is_refused(asked: str, told: str, hint: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        controls.choose(CELLS, asked)
    assert hint in caught.value.hint


def test_every_cell_is_tested_against_the_control_as_scipy_has_it() -> None:
    runs, classes = drawn(densities=(1.0, 0.1), slope=lambda network, method, density: 1.0 if density == 1 else 1.4)
    runs = runs[(runs["method"] == "magnitude") | (runs["density"] < 1)]
    table = analyse("", runs, classes).table("controls")
    rows = _shown.rows(table)
    assert [(row["network"], row["method"], row["density"]) for row in rows] == [
        (network, method, 0.1) for network in ("small", "large") for method in ("magnitude", "surgery")
    ]
    assert {(row["control"], row["control_density"]) for row in rows} == {("magnitude", 1.0)}
    for row in rows:
        own, control = (
            runs[(runs["network"] == row["network"]) & (runs["method"] == method) & (runs["density"] == density)]
            for method, density in ((row["method"], 0.1), ("magnitude", 1.0))
        )
        test = stats.ttest_rel(own["intensification"], control["intensification"])
        assert row["p"] == pytest.approx(test.pvalue)
        assert row["p_adjusted"] == pytest.approx(min(1.0, 2 * test.pvalue))  # two tests against this control
        assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval(0.99)))
        assert row["finding"] == "higher"
        moved = own["accuracy"].to_numpy() - control["accuracy"].to_numpy()
        interval = stats.ttest_1samp(moved, 0).confidence_interval(0.99)
        assert row["accuracy_difference"] == pytest.approx(np.mean(moved))
        assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(tuple(interval))


def test_a_control_of_any_density_may_be_named() -> None:
    of = analyse("", *drawn(), control="surgery@0.5")
    rows = _shown.rows(of.table("controls"))
    assert len(rows) == 2 * 5  # all but itself, at every density, of both networks
    assert {(row["control"], row["control_density"]) for row in rows} == {("surgery", 0.5)}
    assert "controls" not in [table.name for table in analyse("", *drawn()).tables]
    with pytest.raises(UsageError, match="found no cell 'nosuch'"):
        analyse("", *drawn(), control="nosuch")
