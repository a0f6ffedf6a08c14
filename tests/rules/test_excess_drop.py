"""The rule on excess drops: just under, just over, between; uniform falls never fail."""

from __future__ import annotations

import pytest

from prune_audit.core import RuleSetting
from prune_audit.rules.excess_drop import DEFAULT, check
from tests.rules.comparisons import compare, outcomes

GOOD = (1000, 0, 0, 0)


@pytest.mark.parametrize(("lost", "outcome"), [(10, "passed"), (100, "inconclusive"), (250, "failed")])
def test_fires_on_the_bound_and_not_on_the_estimate(lost: int, outcome: str) -> None:
    """Two classes share the model's drop, so the excess is half of what the class lost."""
    first, _ = check(compare((1000 - lost, lost, 0, 0), GOOD), DEFAULT)
    assert first.outcome == outcome


def test_the_ends_that_decide() -> None:
    comparison = compare((750, 250, 0, 0), GOOD)
    view = comparison.views[0]
    low, high = view.measure("least_excess_drop").by_stratum[0], view.measure("excess_drop").high[0]
    assert isinstance(low, float)
    assert high is not None
    found = [check(comparison, RuleSetting(limit=limit))[0] for limit in (low - 1e-9, low + 1e-9, high - 1e-9, high)]
    assert [one.outcome for one in found] == ["failed", "inconclusive", "inconclusive", "passed"]
    assert (found[0].observed, found[3].observed) == (low, high)


def test_a_fall_that_all_share_passes() -> None:
    assert outcomes(check(compare(*[(800, 200, 0, 0)] * 3), DEFAULT)) == ["passed"] * 3


def test_no_samples_are_skipped() -> None:
    _, empty = check(compare(GOOD, (0, 0, 0, 0)), DEFAULT)
    assert (empty.outcome, empty.message) == ("skipped", "no samples")
