"""The rule on collapse."""

from __future__ import annotations

from prune_audit.rules.collapsed import DEFAULT, check
from tests.rules.comparisons import compare


def test_a_collapsed_model_fails_and_says_what_guessing_gets() -> None:
    (found,) = check(compare(*[(10, 80, 0, 10)] * 10), DEFAULT)
    assert (found.outcome, found.subject, found.observed, found.limit) == ("failed", "model", 0.1, 0.1)
    assert found.message == "the pruned model has collapsed: accuracy 10.0%, where guessing gets 10.0%"


def test_a_poor_model_above_guessing_passes() -> None:
    (found,) = check(compare(*[(20, 70, 0, 10)] * 10), DEFAULT)
    assert found.outcome == "passed"


def test_nothing_seen_is_skipped() -> None:
    (found,) = check(compare((0, 0, 0, 0)), DEFAULT)
    assert (found.outcome, found.message) == ("skipped", "no samples")
