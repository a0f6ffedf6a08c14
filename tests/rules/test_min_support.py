"""The rule on support: a count against a count."""

from __future__ import annotations

from prune_audit.core import Pair, RuleSetting
from prune_audit.rules.min_support import DEFAULT, check
from tests.rules.comparisons import compare, compared


def test_just_under_just_over_and_none() -> None:
    found = check(compare((20, 5, 3, 1), (20, 5, 3, 2), (0, 0, 0, 0)), DEFAULT)
    assert [(c.outcome, c.observed) for c in found] == [("failed", 29), ("passed", 30), ("failed", 0)]
    assert found[0].message == "29 samples, fewer than 30"


def test_the_limit_and_the_groups() -> None:
    comparison = compared(Pair.of([(9, 0, 0, 0)]), Pair.of([(9, 0, 0, 0)], by="sex", strata=["f"]))
    found = check(comparison, RuleSetting(level="warn", limit=9))
    assert [(c.subject, c.outcome, c.level) for c in found] == [("0", "passed", "warn"), ("sex=f", "passed", "warn")]
