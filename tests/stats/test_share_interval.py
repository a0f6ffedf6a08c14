"""Intervals of a share against the corrected score, solved by a root finder, and every outcome of small samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from prune_audit.stats import _share_interval
from tests.stats.pairs import quick


def limit(right: int, n: int, z: float) -> float:
    """The share whose score, corrected for its skewness by solving the quadratic for it, is ``z``."""

    def corrected(p: float) -> float:
        variance, third = p * (1 - p) / n, p * (1 - p) * (1 - 2 * p) / n**2
        g = third / (6 * variance**1.5)
        score = (right / n - p) / variance**0.5
        return float(score if abs(g) < 1e-12 else (-1 + max(1 + 4 * g * (g + score), 0) ** 0.5) / (2 * g))

    inside = right / n
    ends = (1e-9, inside) if z > 0 else (inside, 1 - 1e-9)
    return float(optimize.brentq(lambda p: corrected(p) - z, *ends, xtol=1e-13))


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("right", "n"), [(7, 9), (2, 30), (15, 30), (29, 30), (2900, 3000), (1, 100)])
def test_limits_are_where_the_corrected_score_is_the_quantile(right: int, n: int, confidence: float) -> None:
    low, high = _share_interval.interval(np.array([right]), np.array([n]), confidence)
    z = stats.norm.isf((1 - confidence) / 2)
    assert (low[0], high[0]) == pytest.approx((limit(right, n, z), limit(right, n, -z)), abs=1e-9)


def test_it_is_wilsons_where_there_is_no_skewness() -> None:
    """At a confidence of 68 %, z = 1: the correction vanishes there."""
    right, n, confidence = np.array([1, 7, 29, 2900]), np.array([30, 9, 30, 3000]), 1 - 2 * float(stats.norm.sf(1))
    wilson = proportion_confint(right, n, alpha=1 - confidence, method="wilson")
    np.testing.assert_allclose(_share_interval.interval(right, n, confidence), wilson, atol=1e-12)


@pytest.mark.parametrize(("n", "wilson", "least"), [(11, 0.837, 0.917), (23, 0.85, 0.898), (30, 0.84, 0.92)])
def test_exact_coverage_is_never_far_below_what_it_says(n: int, wilson: float, least: float) -> None:
    """Over shares up to that of a twentieth of a wrong one in n; Wilson's dips to ``wilson``."""
    right = np.arange(n + 1)
    shares = np.append(np.linspace(0.5, 1 - 0.05 / n, 600), 0.995)
    worst = {}
    for name, (low, high) in {
        "wilson": proportion_confint(right, np.full(n + 1, n), 0.05, "wilson"),
        "corrected": _share_interval.interval(right, np.full(n + 1, n), 0.95),
    }.items():
        held = [stats.binom.pmf(right, n, p)[(low <= p) & (p <= high)].sum() for p in shares]
        worst[name] = min(held)
    assert worst["wilson"] <= wilson
    assert worst["corrected"] >= least


@quick
@given(st.floats(0, 40), st.floats(0, 40), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_limits_hold_the_share_and_mirror_each_other(right: float, wrong: float, confidence: float) -> None:
    n = right + wrong + 0.5
    low, high = (x[0] for x in _share_interval.interval(np.array([right]), np.array([n]), confidence))
    assert 0 <= low <= right / n <= high <= 1
    back_low, back_high = (x[0] for x in _share_interval.interval(np.array([n - right]), np.array([n]), confidence))
    assert (1 - back_high, 1 - back_low) == pytest.approx((low, high), abs=1e-9)


def test_all_right_and_all_wrong_are_closed() -> None:
    low, high = _share_interval.interval(np.array([0, 30]), np.array([30, 30]), 0.95)
    assert low[0] == 0
    assert high[1] == 1
    assert 0 < high[0] < 0.2
