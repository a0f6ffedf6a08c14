"""The rule on gaps between groups: just under, just over, between; classes are none of its business."""

from __future__ import annotations

import pytest

from prune_audit.core import Comparison, Pair, RuleSetting
from prune_audit.rules.group_gap import DEFAULT, check
from tests.rules.comparisons import compare, compared

BY_CLASS = Pair.of([(500, 100, 0, 0), (600, 0, 0, 0)])


def groups(*counts: tuple[int, int, int, int]) -> Comparison:
    return compared(BY_CLASS, Pair.of(counts, by="sex", strata=["f", "m", "x"][: len(counts)]))


@pytest.mark.parametrize(("lost", "outcome"), [(10, "passed"), (60, "inconclusive"), (200, "failed")])
def test_fires_on_the_bound_and_not_on_the_estimate(lost: int, outcome: str) -> None:
    (found,) = check(groups((1000 - lost, lost, 0, 0), (1000, 0, 0, 0)), DEFAULT)
    assert (found.outcome, found.subject) == (outcome, "sex")
    assert "widest between f and m" in found.message


def test_the_ends_that_decide() -> None:
    comparison = groups((800, 200, 0, 0), (1000, 0, 0, 0))
    gap = comparison.views[1].measure("group_gap")
    assert gap.overall_low is not None
    assert gap.overall_high is not None
    limits = (gap.overall_low - 1e-9, gap.overall_low + 1e-9, gap.overall_high - 1e-9, gap.overall_high)
    found = [check(comparison, RuleSetting(limit=limit))[0].outcome for limit in limits]
    assert found == ["failed", "inconclusive", "inconclusive", "passed"]


def test_without_groups_it_says_that_it_did_nothing() -> None:
    (found,) = check(compare((500, 100, 0, 0), (600, 0, 0, 0)), DEFAULT)
    assert (found.outcome, found.message) == ("skipped", "no groups: name a column with --by")


def test_one_group_is_skipped() -> None:
    (found,) = check(groups((10, 0, 0, 0), (0, 0, 0, 0)), DEFAULT)
    assert (found.outcome, found.message) == ("skipped", "fewer than two groups have samples")
