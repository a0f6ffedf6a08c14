"""The rule on doubts about the dense model."""

from __future__ import annotations

from dataclasses import replace

from prune_audit.core import RuleSetting
from prune_audit.rules import preset
from prune_audit.rules.plausible import DEFAULT, check
from tests.rules.comparisons import compare


def test_a_doubt_fails_and_is_told() -> None:
    doubted = replace(compare((9, 0, 0, 1)), doubts=("is odd", "and another"))
    (found,) = check(doubted, RuleSetting(level="error"))
    assert (found.outcome, found.level, found.observed) == ("failed", "error", 2)
    assert found.message == "the dense model: is odd; the dense model: and another"


def test_no_doubt_passes() -> None:
    (found,) = check(compare((9, 0, 0, 1)), DEFAULT)
    assert (found.outcome, found.level, found.observed) == ("passed", "warn", 0)


def test_only_the_strict_policy_fails_for_it() -> None:
    assert [preset(name).rules["plausible"].level for name in ("report-only", "default", "strict")] == [
        "warn",
        "warn",
        "error",
    ]
