"""The rule on calibration: the interval of the change decides; no scores, no check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prune_audit.core import Comparison, Pair, RuleSetting
from prune_audit.core.scores import Calibration, Scored
from prune_audit.rules.calibration import DEFAULT, check
from tests.rules.comparisons import compare, compared


def scored(off: float, n: int = 4000) -> Comparison:
    """A dense model that is right as often as it says, and a pruned one that says ``off`` more than that."""
    rng = np.random.default_rng(0)
    says = rng.uniform(0.5, 0.8, n)
    right = rng.random(n) < says
    row = np.zeros(n, np.int64)
    dense = Scored(row=row, confidence=np.round(10_000 * says).astype(np.int64), right=right)
    pruned = replace(dense, confidence=np.round(10_000 * (says + off)).astype(np.int64))
    pair = Pair.of([(int(right.sum()), 0, 0, int(n - right.sum()))])
    return compared(replace(pair, calibration=Calibration.of(1, dense, pruned)))


@pytest.mark.parametrize(("off", "outcome"), [(0.0, "passed"), (0.05, "inconclusive"), (0.15, "failed")])
def test_fires_on_the_bound_and_not_on_the_estimate(off: float, outcome: str) -> None:
    (found,) = check(scored(off), DEFAULT)
    assert found.outcome == outcome, found.message


def test_the_ends_that_decide() -> None:
    comparison = scored(0.1)
    change = comparison.views[0].measure("calibration_change")
    assert change.overall_low is not None
    assert change.overall_high is not None
    limits = (change.overall_low - 1e-9, change.overall_low + 1e-9, change.overall_high)
    found = [check(comparison, RuleSetting(limit=limit))[0].outcome for limit in limits]
    assert found == ["failed", "inconclusive", "passed"]


def test_without_scores_it_is_skipped() -> None:
    (found,) = check(compare((10, 0, 0, 0)), DEFAULT)
    assert (found.outcome, found.message) == ("skipped", "no scores were kept")
