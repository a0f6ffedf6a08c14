"""The rule on a class's place: which verdicts fail, and which only describe."""

from __future__ import annotations

import pytest

from prune_audit.core import Settings
from prune_audit.rules.harmed import DEFAULT, SETTING, check
from tests.rules.comparisons import compare, outcomes

STILL = (900, 0, 0, 100)


@pytest.mark.parametrize(
    ("counts", "verdict", "outcome"),
    [
        ((400, 300, 0, 300), "intensified", "failed"),
        ((700, 290, 0, 10), "flipped", "failed"),
        ((700, 200, 0, 100), "created", "failed"),
        ((14, 12, 0, 4), "harmed", "failed"),
        ((26, 2, 1, 1), "cannot tell", "inconclusive"),
        ((960, 30, 0, 10), "levelled down", "passed"),
        ((700, 0, 200, 100), "held better", "passed"),
        ((900, 2, 2, 96), "no harm shown", "passed"),
    ],
)
def test_every_verdict(counts: tuple[int, int, int, int], verdict: str, outcome: str) -> None:
    checks = check(compare(counts, *[STILL] * 4), DEFAULT)
    assert checks[0].message.startswith(f"{verdict}: ")
    assert checks[0].outcome == outcome


def test_just_under_and_just_over_the_margin() -> None:
    """Uncorrected, the verdict turns exactly where the margin crosses an end of the interval."""
    counts = [(700, 200, 0, 100), *[STILL] * 4]
    retention = compare(*counts).views[0].measure("retention")
    low, high = retention.low[0] or 0, retention.high[0] or 0

    def outcome(margin: float) -> str:
        settings = Settings(retention_margin=margin, correction="none")
        return check(compare(*counts, settings=settings), DEFAULT)[0].outcome

    margins = (low - 1e-6, low + 1e-6, high - 1e-6, high + 1e-6)
    assert [outcome(m) for m in margins] == ["passed", "inconclusive", "inconclusive", "failed"]


def test_what_cannot_be_compared_is_skipped_with_its_reason() -> None:
    checks = check(compare((5, 0, 0, 5)), DEFAULT)
    assert outcomes(checks) == ["skipped"]
    assert checks[0].message == "there are no other samples to compare with"


def test_the_observed_value_is_the_end_that_decides() -> None:
    comparison = compare((400, 300, 0, 300), *[STILL] * 4)
    checks, retention = check(comparison, DEFAULT), comparison.views[0].measure("retention")
    assert checks[0].observed == retention.high[0]
    assert checks[1].observed == retention.low[1]


def test_its_limit_is_a_setting() -> None:
    assert hasattr(Settings(), SETTING)
