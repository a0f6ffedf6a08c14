"""The interval of a balance against a numeric likelihood, statsmodels where nothing is skewed, and every outcome."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import confint_proportions_2indep

from prune_audit.core import Floats
from prune_audit.stats import _balance_interval
from tests.stats.pairs import quick


def interval(right: int, n: int, rest_right: int, rest_n: int) -> tuple[Floats, Floats]:
    return _balance_interval.interval(
        np.array([right]), np.array([n]), np.array([rest_right]), np.array([rest_n]), np.array([n / (n + rest_n)]), 0.95
    )


def fitted(counts: tuple[int, int, int, int], ratio: float) -> tuple[float, float]:
    """The likeliest shares of both sides where one is ``ratio`` times the other, by a general optimiser."""
    right, n, rest_right, rest_n = counts

    def minus_log_likelihood(rest: float) -> float:
        own = ratio * rest
        both = (right, own), (n - right, 1 - own), (rest_right, rest), (rest_n - rest_right, 1 - rest)
        return -float(sum(count * np.log(max(share, 1e-300)) for count, share in both))

    ends = (0.0, min(1.0, 1 / ratio))
    rest = optimize.minimize_scalar(minus_log_likelihood, bounds=ends, method="bounded", options={"xatol": 1e-13}).x
    return ratio * float(rest), float(rest)


def corrected(counts: tuple[int, int, int, int], ratio: float) -> float:
    """The score of a ratio without its skewness, as Laud (2017) writes it."""
    right, n, rest_right, rest_n = counts
    own, rest = fitted(counts, ratio)
    variance = own * (1 - own) / n + ratio**2 * rest * (1 - rest) / rest_n
    third = own * (1 - own) * (1 - 2 * own) / n**2 - ratio**3 * rest * (1 - rest) * (1 - 2 * rest) / rest_n**2
    z, g = (right / n - ratio * rest_right / rest_n) / variance**0.5, third / (6 * variance**1.5)
    return float((-1 + max(1 + 4 * g * (g + z), 0.0) ** 0.5) / (2 * g))


@pytest.mark.parametrize("counts", [(8, 20, 170, 200), (1, 9, 50, 90), (45, 50, 400, 500), (300, 500, 40, 60)])
def test_limits_are_where_the_corrected_score_is_the_quantile(counts: tuple[int, int, int, int]) -> None:
    share, z = counts[1] / (counts[1] + counts[3]), stats.norm.isf(0.025)
    low, high = interval(*counts)
    for limit, at in ((low[0], z), (high[0], -z)):
        ratio = (limit + 1) * (1 - share) / (1 - share * (limit + 1))  # of recall to that of the rest
        assert corrected(counts, ratio) == pytest.approx(at, abs=1e-4)


@pytest.mark.parametrize("counts", [(8, 20, 170, 200), (1, 9, 50, 90), (45, 50, 400, 500), (300, 500, 40, 60)])
def test_without_skewness_it_is_the_score_interval_of_the_ratio(
    counts: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_balance_interval, "unskewed", lambda z, third, variance: z)
    right, n, rest_right, rest_n = counts
    low, high = confint_proportions_2indep(
        right, n, rest_right, rest_n, compare="ratio", method="score", correction=False
    )
    share = n / (n + rest_n)
    expected = [ratio / (share * ratio + 1 - share) - 1 for ratio in (low, high)]
    found = interval(*counts)
    np.testing.assert_allclose([found[0][0], found[1][0]], expected, atol=1e-6)


@quick
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 90), st.integers(0, 90))
def test_interval_holds_the_estimate(right: int, wrong: int, rest_right: int, rest_wrong: int) -> None:
    counts = right, right + wrong + 1, rest_right + 1, rest_right + rest_wrong + 1
    low, high = interval(*counts)
    estimate = counts[0] / counts[1] / ((counts[0] + counts[2]) / (counts[1] + counts[3])) - 1
    assert low[0] <= estimate + 1e-12
    assert estimate - 1e-12 <= high[0]


@pytest.mark.parametrize(("n", "rest_n"), [(10, 1000), (30, 1000), (100, 1000)])
@pytest.mark.parametrize("recalls", [(0.986, 0.994), (0.99, 0.99), (0.95, 0.99), (0.9, 0.9), (0.5, 0.5), (0.995, 0.9)])
def test_exact_coverage(n: int, rest_n: int, recalls: tuple[float, float]) -> None:
    """The uncorrected score covers .879 of the truth in the worst of these; a pair all right is no 0 / 0."""
    right, rest_right = (x.ravel() for x in np.meshgrid(np.arange(n + 1), np.arange(rest_n + 1), indexing="ij"))
    chance = stats.binom.pmf(right, n, recalls[0]) * stats.binom.pmf(rest_right, rest_n, recalls[1])
    likely = chance > 1e-7
    right, rest_right, chance = right[likely], rest_right[likely], chance[likely]
    share = n / (n + rest_n)
    truth = recalls[0] / (share * recalls[0] + (1 - share) * recalls[1]) - 1
    sizes = (np.full_like(right, size) for size in (n, rest_n))
    low, high = _balance_interval.interval(
        right, next(sizes), rest_right, next(sizes), np.full(len(right), share), 0.95
    )
    assert chance[(low <= truth + 1e-12) & (truth - 1e-12 <= high)].sum() >= 0.935


def test_a_side_without_right_answers_has_limits_at_the_ends() -> None:
    none_here = interval(0, 10, 40, 50)
    assert none_here[0][0] == -1
    none_there = interval(10, 10, 0, 40)
    assert none_there[1][0] == pytest.approx(4)  # accuracy is then the class's share, a fifth
