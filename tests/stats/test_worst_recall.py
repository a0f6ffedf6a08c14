"""The worst recall: which class it is, and an interval that allows for its having been picked."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from prune_audit.core import Pair
from prune_audit.stats import _share_interval, worst_recall
from tests.stats.pairs import measured


def test_the_worst_class_and_its_limits() -> None:
    found = measured(Pair.of([(40, 5, 5, 0), (10, 30, 2, 8), (0, 0, 0, 0)], strata=["a", "b", "c"]))
    assert found["worst_class"].overall == "b"
    worst = found["worst_recall"]
    assert worst.overall == 12 / 50
    assert worst.overall_low == _share_interval.interval(np.array([12]), np.array([50]), 0.95)[0][0]
    # Two classes have samples, so each has half of the 5 %.
    assert worst.overall_high == pytest.approx(proportion_confint(12, 50, 0.025, "beta")[1])
    assert found["recall_at_most"].by_stratum[1] == worst.overall_high
    assert found["recall_at_most"].absent == {2: "no samples"}


def test_the_interval_covers_the_worst_although_it_was_picked() -> None:
    """Twenty classes alike: the worst of the sample is far below the truth, the interval is not."""
    rng = np.random.default_rng(3)
    seen: list[float] = []
    covered: list[bool] = []
    for _ in range(400):
        right = rng.binomial(60, 0.8, 20)
        found = measured(Pair.of([(r, 0, 0, 60 - r) for r in right.tolist()]), only=worst_recall)["worst_recall"]
        seen.append(float(found.overall or 0))
        covered.append((found.overall_low or 0) <= 0.8 <= (found.overall_high or 0))
    assert np.mean(seen) < 0.72
    assert np.mean(covered) >= 0.95


def test_nothing_seen_is_absent() -> None:
    found = measured(Pair.of([(0, 0, 0, 0)]))
    assert (found["worst_recall"].overall, found["worst_recall"].overall_absent) == (None, "no samples")
    assert found["worst_class"].overall_absent == "no samples"


@pytest.mark.parametrize(("classes", "samples", "recall"), [(100, 50, 0.99), (10, 30, 0.95), (1, 2, 0.91)])
def test_few_audits_show_any_class_below_what_it_is(classes: int, samples: int, recall: float) -> None:
    """Wilson's limits did so in 73, 13 and 15 % of them."""
    rng = np.random.default_rng(4)
    wrong = []
    for _ in range(400):
        right = rng.binomial(samples, recall, classes)
        pair = Pair.of([(r, 0, 0, samples - r) for r in right.tolist()])
        wrong.append((measured(pair, only=worst_recall)["worst_recall"].overall_high or 0) < recall)
    assert np.mean(wrong) <= 0.04
