"""The interval of a balance against statsmodels' score interval for a ratio of two independent shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from prune_audit.core import Floats
from prune_audit.stats import _balance_interval
from tests.stats.pairs import quick


def interval(right: int, n: int, rest_right: int, rest_n: int) -> tuple[Floats, Floats]:
    return _balance_interval.interval(
        np.array([right]), np.array([n]), np.array([rest_right]), np.array([rest_n]), np.array([n / (n + rest_n)]), 0.95
    )


@pytest.mark.parametrize("counts", [(8, 20, 170, 200), (1, 9, 50, 90), (45, 50, 400, 500), (300, 500, 40, 60)])
def test_interval_is_the_score_interval_of_the_ratio(counts: tuple[int, int, int, int]) -> None:
    right, n, rest_right, rest_n = counts
    low, high = confint_proportions_2indep(
        right, n, rest_right, rest_n, compare="ratio", method="score", correction=False
    )
    share = n / (n + rest_n)
    expected = [ratio / (share * ratio + 1 - share) - 1 for ratio in (low, high)]
    found = interval(*counts)
    np.testing.assert_allclose([found[0][0], found[1][0]], expected, atol=1e-6)


@quick
@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 90), st.integers(1, 90))
def test_interval_holds_the_estimate_and_agrees_with_the_pooled_test(r: int, w: int, rr: int, rw: int) -> None:
    """A class is shown to be weak or strong exactly where the pooled two-sample z-test rejects equality."""
    right, n, rest_right, rest_n = np.array([r + 1]), np.array([r + w + 1]), np.array([rr + 1]), np.array([rr + rw + 1])
    low, high = _balance_interval.interval(right, n, rest_right, rest_n, n / (n + rest_n), 0.95)
    estimate = right / n / ((right + rest_right) / (n + rest_n)) - 1
    assert low[0] <= estimate[0] <= high[0]
    z = proportions_ztest([right[0], rest_right[0]], [n[0], rest_n[0]])[0]
    assert ((low[0] > 0) or (high[0] < 0)) == (abs(z) > stats.norm.isf(0.025))


def test_a_side_without_right_answers_has_limits_at_the_ends() -> None:
    none_here = interval(0, 10, 40, 50)
    assert none_here[0][0] == -1
    none_there = interval(10, 10, 0, 40)
    assert none_there[1][0] == pytest.approx(4)  # accuracy is then the class's share, a fifth
