"""The gap between groups: between whom, its limits by hand, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest

from prune_audit.core import Measure, Pair
from prune_audit.stats import _exact, _tango, group_gap
from tests.stats.pairs import measured


def gap(*counts: tuple[int, int, int, int]) -> Measure:
    return measured(Pair.of(counts, by="sex", strata=list("abcdefgh")[: len(counts)]), only=group_gap)["group_gap"]


def test_two_groups_by_hand() -> None:
    found = gap((80, 15, 0, 5), (180, 4, 4, 12))
    assert found.overall == pytest.approx(0.15)
    low, high = _tango.interval(np.array([15, 4]), np.array([0, 4]), np.array([100, 200]), 0.95)
    least, most = _exact.drop(np.array([15, 4]), np.array([0, 4]), np.array([100, 200]), 0.95)
    assert found.overall_low == pytest.approx(0.15 - np.hypot(0.15 - least[0], most[1]))
    assert found.overall_high == pytest.approx(0.15 + np.hypot(high[0] - 0.15, -low[1]))


def test_it_says_between_whom() -> None:
    pair = Pair.of([(90, 5, 5, 0), (0, 0, 0, 0), (80, 10, 0, 10), (70, 30, 0, 0)], by="sex", strata=list("abcd"))
    assert measured(pair)["group_gap_between"].overall == "d and a"


def test_more_pairs_widen_what_is_shown_and_not_what_is_ruled_out() -> None:
    two, many = gap((70, 30, 0, 0), (95, 5, 0, 0)), gap((70, 30, 0, 0), *[(95, 5, 0, 0)] * 6)
    assert (many.overall_low or 0) < (two.overall_low or 0)
    assert many.overall_high == two.overall_high


def test_no_gap_at_the_lower_end_is_zero() -> None:
    assert gap((50, 5, 5, 0), (50, 5, 5, 0)).overall_low == 0


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize("drops", [(0.05, 0.05, 0.05, 0.05), (0.02, 0.05, 0.1, 0.05)])
def test_the_interval_covers(drops: tuple[float, ...]) -> None:
    rng = np.random.default_rng(5)
    cells = np.array([(0.8 - d, 0.02 + d, 0.02, 0.16) for d in drops])
    truth, covered = max(drops) - min(drops), []
    for _ in range(300):
        counts = rng.multinomial([100, 200, 300, 150], cells)
        found = gap(*map(tuple, counts.tolist()))
        covered.append((found.overall_low or 0) <= truth <= (found.overall_high or 0))
    assert np.mean(covered) >= 0.95


def test_classes_have_none() -> None:
    found = measured(Pair.of([(50, 5, 5, 0), (50, 5, 5, 0)]))["group_gap"]
    assert (found.overall, found.overall_absent) == (None, "of groups alone; classes have excess drops")
    assert gap((50, 5, 5, 0), (0, 0, 0, 0)).overall_absent == "fewer than two groups have samples"
