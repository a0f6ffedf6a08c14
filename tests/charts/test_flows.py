"""Where lost samples went: bands as thick as the samples are many, none of them more than once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prune_audit.charts import flows
from prune_audit.core import Audit
from tests.charts.specs import data
from tests.reports import audits


def moved(rows: list[tuple[int, int, int, int]]) -> Audit:
    """Ten classes with the given (label, dense, pruned, count)."""
    audit = audits.ten()
    comparison = audit.comparisons[0]
    view = comparison.views[0]
    pair = replace(view.pair, moves=np.array(rows, np.int64).reshape(-1, 4))
    return replace(audit, comparisons=(replace(comparison, views=(replace(view, pair=pair),)),))


def test_only_what_the_dense_model_knew_and_the_pruned_one_does_not() -> None:
    # gained (3 was 5, is 3) and wrong either way (4 was 1, is 2) are no losses
    (chart,) = flows.draw(moved([(7, 7, 1, 30), (8, 8, 3, 10), (3, 5, 3, 9), (4, 1, 2, 9)]))
    assert chart.shows == "Of 40 lost samples: 7 to 1 30; 8 to 3 10."
    bands = data(chart, 0)
    assert {band["said"] for band in bands} == {"7 taken for 1: 30 samples", "8 taken for 3: 10 samples"}


def test_bands_are_as_thick_as_they_are_many_and_fill_both_ends() -> None:
    (chart,) = flows.draw(moved([(7, 7, 1, 30), (7, 7, 2, 10), (8, 8, 1, 10)]))
    thick = {band["flow"]: band["bottom"] - band["top"] for band in data(chart, 0)}
    assert thick[0] == pytest.approx(3 * thick[1])
    assert thick[1] == pytest.approx(thick[2])
    ends = data(chart, 1)
    assert [(end["x"], end["name"], end["n"]) for end in ends] == [
        (0.0, "7", "40"), (0.0, "8", "10"), (1.0, "1", "40"), (1.0, "2", "10"),
    ]  # fmt: skip
    for end in ends:
        touching = [b for b in data(chart, 0) if b["x"] == end["x"] and end["top"] - 1e-9 <= b["top"] < end["bottom"]]
        assert sum(b["bottom"] - b["top"] for b in touching) == pytest.approx(end["bottom"] - end["top"])


def test_small_flows_are_counted_where_they_are_not_drawn() -> None:
    many = [(a, a, b, 1 + (a == 0)) for a in range(10) for b in range(10) if a != b]
    (chart,) = flows.draw(moved(many))
    assert len({band["flow"] for band in data(chart, 0)}) == flows.MOST
    assert "Of 99 lost samples: 0 to 1 2; 0 to 2 2; 0 to 3 2." in chart.shows
    # nine of two samples and seven of one are drawn
    assert chart.reading.endswith("Not drawn: 74 samples in 74 smaller flows.")


def test_one_lost_sample_is_no_flood() -> None:
    (chart,) = flows.draw(moved([(7, 7, 1, 1)]))
    band = data(chart, 0)[0]
    assert band["bottom"] - band["top"] == flows.SAMPLE


def test_nothing_lost_nothing_drawn() -> None:
    assert flows.draw(moved([(3, 5, 3, 9)])) == ()
    assert flows.draw(moved([])) == ()
