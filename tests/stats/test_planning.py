"""Plans against every outcome of the multinomial as the verdict judges it, and against known sizes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prune_audit.core import Pair, Settings
from prune_audit.stats import _planning, verdict
from tests.stats.pairs import measured
from tests.stats.test_margin_test import outcomes

ALONE = Settings(correction="none")


def chance(answer: str, n: int, lost: float, gained: float) -> float:
    """The probability of a verdict: of every outcome, by what the audit says of it."""
    a, b = outcomes(n)
    neither = n - a - b  # right in both models, so that there is something to lose
    pair = Pair.of(np.stack([neither, a, b, np.zeros_like(a)], axis=1))
    said = np.array(measured(pair, ALONE, verdict)["verdict"].by_stratum, object)
    of = stats.multinomial.pmf(np.stack([a, b, neither], axis=1), n, [lost, gained, 1 - lost - gained])
    return float(of[said == answer].sum())


@pytest.mark.parametrize("n", [20, 60, 100])
@pytest.mark.parametrize(("lost", "gained"), [(0.03, 0.03), (0.01, 0.0), (0.2, 0.02), (0.0, 0.05)])
def test_chances_are_those_of_the_verdict(n: int, lost: float, gained: float) -> None:
    """All gained is no verdict, and has no chance here that counts."""
    assert _planning.chance_fine(n, lost, gained, 0.05) == pytest.approx(chance("fine", n, lost, gained), abs=1e-12)
    found = _planning.chance_regressed(n, lost, gained, 0.02)
    assert found == pytest.approx(chance("regressed", n, lost, gained), abs=1e-12)


@pytest.mark.parametrize(("n", "power"), [(50, 0.12), (100, 0.38), (200, 0.74), (500, 0.99)])
def test_an_unchanged_class_is_fine_as_often_as_the_design_says(n: int, power: float) -> None:
    assert _planning.chance_fine(n, 0.03, 0.03, 0.05) == pytest.approx(power, abs=0.005)


@pytest.mark.parametrize(
    ("limit", "churn", "sizes"),
    [
        (0.05, 0.02, (124, 212, 293)),
        (0.05, 0.06, (232, 436, 623)),
        (0.05, 0.10, (339, 666, 963)),
        (0.02, 0.06, (1231, 2446, 3549)),
    ],
)
def test_sizes_for_one_ten_and_a_hundred_classes(limit: float, churn: float, sizes: tuple[int, int, int]) -> None:
    """Known sizes were sought in steps of a hundredth: the first that will do is at most a tooth of the saw below."""
    for classes, known in zip((1, 10, 100), sizes, strict=True):
        n = _planning.samples_for_fine(limit, churn, classes=classes)
        assert n is not None
        assert known - 1 / limit <= n <= known
        wanted = 0.8 ** (1 / classes)
        assert _planning.chance_fine(n, churn / 2, churn / 2, limit) >= wanted
        assert _planning.chance_fine(n - 1, churn / 2, churn / 2, limit) < wanted


def test_without_churn_it_is_the_size_from_which_no_flips_are_fine() -> None:
    assert _planning.samples_for_fine(0.05, 0.0, classes=100) == 73
    assert _planning.samples_for_fine(0.02, 0.0) == 189


def test_no_plan_where_none_would_do() -> None:
    assert _planning.samples_for_fine(1e-5, 0.5) is None
    assert _planning.smallest_drop_convicted(3, 0.02, 0.02, classes=1000) is None


@pytest.mark.parametrize(("n", "classes"), [(50, 1), (100, 100), (300, 10)])
def test_the_smallest_drop_convicted_has_the_power_and_a_smaller_one_has_not(n: int, classes: int) -> None:
    drop = _planning.smallest_drop_convicted(n, 0.06, 0.02, classes=classes)
    assert drop is not None
    assert _planning.chance_regressed(n, 0.03 + drop, 0.03, 0.02, classes=classes) >= 0.8
    assert _planning.chance_regressed(n, 0.03 + drop - 2e-4, 0.03, 0.02, classes=classes) < 0.8
