"""The rule on single drops: just under, just over, between, and what it says of each class."""

from __future__ import annotations

import pytest

from prune_audit.core import Pair, RuleSetting, Settings
from prune_audit.rules.recall_drop import DEFAULT, SETTING, check
from tests.rules.comparisons import compare, compared, outcomes


def test_one_check_per_class_what_passed_too() -> None:
    checks = check(compare((36, 12, 2, 0), (40, 7, 3, 0), (900, 30, 18, 52), (0, 0, 0, 0)), DEFAULT)
    assert outcomes(checks) == ["failed", "inconclusive", "passed", "skipped"]
    assert [c.subject for c in checks] == ["0", "1", "2", "3"]
    assert {c.rule for c in checks} == {"recall-drop"}
    assert checks[3].message == "no samples"
    assert checks[3].observed is None
    assert checks[0].message.startswith("regressed: 95 % interval of the drop 6.1 to 34.5 points")


@pytest.mark.parametrize(("lost", "outcome"), [(1, "passed"), (6, "inconclusive"), (30, "failed")])
def test_fires_on_the_bound_and_not_on_the_estimate(lost: int, outcome: str) -> None:
    """Of 200 samples: half a point is below 5 for certain, 3 points are not beyond 2 for certain, 15 are."""
    assert outcomes(check(compare((200 - lost, lost, 0, 0)), DEFAULT)) == [outcome]


def test_just_under_and_just_over_the_margin() -> None:
    """The interval of 30 lost in 1,000 begins at 2.1 points."""
    comparisons = [compare((970, 30, 0, 0), settings=Settings(margin=m, assure=0.045)) for m in (0.020, 0.022)]
    assert [outcomes(check(c, DEFAULT)) for c in comparisons] == [["failed"], ["passed"]]


def test_the_observed_value_is_the_end_that_decides() -> None:
    comparison = compare((36, 12, 2, 0), (900, 30, 18, 52))
    failed, passed = check(comparison, RuleSetting(level="warn", limit=0.02))
    change = comparison.views[0].measure("change")
    assert failed.observed == -(change.high[0] or 0)
    assert passed.observed == -(change.low[1] or 0)
    assert (failed.level, failed.limit) == ("warn", 0.02)


def test_a_class_that_was_never_right_is_skipped() -> None:
    (_, found) = check(compare((900, 30, 18, 52), (0, 0, 5, 495)), DEFAULT)
    assert (found.outcome, found.observed) == ("skipped", None)
    assert found.message == "dense recall is 0: nothing to lose"


def test_every_view_is_judged_and_named() -> None:
    by_group = Pair.of([(36, 12, 2, 0)], by="sex", strata=["female"])
    checks = check(compared(Pair.of([(36, 12, 2, 0)], strata=["cat"]), by_group), DEFAULT)
    assert [c.subject for c in checks] == ["cat", "sex=female"]


def test_one_file_passes_whatever_its_size() -> None:
    (found,) = check(compare((3, 0, 0, 1), same=True), DEFAULT)
    assert (found.outcome, found.observed) == ("passed", 0.0)


def test_its_limit_is_a_setting() -> None:
    assert hasattr(Settings(), SETTING)
