"""The rule on accuracy: just under, just over, between, and collapse."""

from __future__ import annotations

import pytest

from prune_audit.core import RuleSetting
from prune_audit.rules.accuracy_drop import DEFAULT, check
from tests.rules.comparisons import compare, outcomes


@pytest.mark.parametrize(("lost", "outcome"), [(5, "passed"), (20, "inconclusive"), (60, "failed")])
def test_judges_on_the_bound(lost: int, outcome: str) -> None:
    """Of 1,000: 2 points lost are not shown to be beyond 2 points."""
    assert outcomes(check(compare((980 - lost, lost, 0, 20), (0, 0, 0, 0)), DEFAULT)) == [outcome]


def test_just_under_and_just_over() -> None:
    comparison = compare((900, 60, 0, 40), (900, 60, 0, 40))
    change = comparison.views[0].measure("change")
    low, high = -(change.overall_high or 0), -(change.overall_low or 0)
    limits = (low - 1e-4, low + 1e-4, high - 1e-4, high + 1e-4)
    found = [check(comparison, RuleSetting(limit=limit))[0] for limit in limits]
    assert [f.outcome for f in found] == ["failed", "inconclusive", "inconclusive", "passed"]
    assert [f.observed for f in found] == [low, high, high, high]


def test_collapse_fails_by_itself() -> None:
    (found,) = check(compare(*[(10, 80, 0, 10)] * 10), RuleSetting(limit=0.99))
    assert found.outcome == "failed"
    assert found.message.startswith("the pruned model has collapsed")


def test_without_a_limit_the_rules_own_holds() -> None:
    (found,) = check(compare((900, 60, 0, 40)), RuleSetting())
    assert found.limit == DEFAULT.limit == 0.02


def test_one_file_passes_and_nothing_seen_is_skipped() -> None:
    assert outcomes(check(compare((1, 0, 0, 1), same=True), DEFAULT)) == ["passed"]
    assert outcomes(check(compare((0, 0, 0, 0)), DEFAULT)) == ["skipped"]
