"""Where a quantity is shown to exceed its limit, where that is ruled out, and where neither is so."""

from __future__ import annotations

import pytest

from prune_audit.rules._bounds import at_most, points


@pytest.mark.parametrize(
    ("interval", "outcome", "observed"),
    [
        ((0.0, 0.04), "passed", 0.04),
        ((0.0, 0.05), "passed", 0.05),  # a limit that is reached is not exceeded
        ((0.0, 0.06), "inconclusive", 0.06),
        ((0.05, 0.06), "inconclusive", 0.06),  # what is shown is only that it is reached
        ((0.06, 0.07), "failed", 0.06),
        ((0.06, None), "failed", 0.06),
        ((0.05, None), "inconclusive", None),
    ],
)
def test_what_reaches_its_limit_does_not_exceed_it(
    interval: tuple[float, float | None], outcome: str, observed: float | None
) -> None:
    check = at_most("excess-drop", "cat", "error", 0.05, interval, what="excess drop", shown=points)
    assert (check.outcome, check.observed, check.limit) == (outcome, observed, 0.05)
