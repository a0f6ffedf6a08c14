"""The floor of recall: just under, just over, between; and which limits decide."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from prune_audit.core import Pair, RuleSetting
from prune_audit.errors import UsageError
from prune_audit.rules.worst_class_recall import check
from prune_audit.stats import _share_interval
from tests.rules.comparisons import compare, compared, outcomes

FLOOR = RuleSetting(level="error", limit=0.7)


@pytest.mark.parametrize(("right", "outcome"), [(175, "passed"), (140, "inconclusive"), (100, "failed")])
def test_fires_on_the_bound_and_not_on_the_estimate(right: int, outcome: str) -> None:
    """Of 200 samples; what the dense model got right is of no account."""
    assert outcomes(check(compare((right, 0, 0, 200 - right)), FLOOR)) == [outcome]
    assert outcomes(check(compare((0, 0, right, 200 - right)), FLOOR)) == [outcome]


def test_just_over_and_just_under() -> None:
    low = _share_interval.interval(np.array([140]), np.array([200]), 0.95)[0][0]
    high = proportion_confint(140, 200, 0.05, "beta")[1]
    limits = (low - 1e-6, low + 1e-6, high - 1e-6, high + 1e-6)
    found = [check(compare((140, 0, 0, 60)), RuleSetting(limit=limit)) for limit in limits]
    assert [one[0].outcome for one in found] == ["passed", "inconclusive", "inconclusive", "failed"]
    assert found[0][0].observed == pytest.approx(low)
    assert found[3][0].observed == pytest.approx(high)


def test_among_many_classes_more_is_asked_to_convict_and_not_to_acquit() -> None:
    bad, good = (123, 0, 0, 77), (200, 0, 0, 0)
    assert outcomes(check(compare(bad), FLOOR)) == ["failed"]
    assert outcomes(check(compare(bad, *[good] * 50), FLOOR)) == ["inconclusive", *["passed"] * 50]


def test_classes_and_groups_are_named_and_the_empty_skipped() -> None:
    checks = check(
        compared(
            Pair.of([(90, 0, 0, 0), (0, 0, 0, 0)], strata=["cat", "dog"]),
            Pair.of([(40, 0, 0, 50)], by="sex", strata=["female"]),
        ),
        FLOOR,
    )
    assert [(c.subject, c.outcome) for c in checks] == [
        ("cat", "passed"),
        ("dog", "skipped"),
        ("sex=female", "failed"),
    ]
    assert checks[2].message == "accuracy 44.4%, at least 34.5% and at most 55.3%; below the floor of 70 %"


def test_it_has_no_floor_of_its_own() -> None:
    with pytest.raises(UsageError, match="worst-class-recall needs a limit"):
        check(compare((1, 0, 0, 0)), RuleSetting())
