"""The mid-p against worked values, statsmodels and scipy; q against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from prune_audit.core import Pair
from prune_audit.stats._mcnemar import mid_p
from tests.stats.pairs import measured


@pytest.mark.parametrize(
    ("counts", "p"),
    [((36, 12, 2, 0), 0.00739), ((40, 7, 3, 0), 0.22656), ((900, 30, 18, 52), 0.0854)],
)
def test_worked_values(counts: tuple[int, int, int, int], p: float) -> None:
    assert measured(Pair.of([counts]))["p_value"].by_stratum[0] == pytest.approx(p, abs=6e-6 if p < 0.05 else 5e-5)


def test_mid_p_is_the_exact_p_less_the_point_probability() -> None:
    for lost, gained in [(0, 1), (1, 0), (2, 9), (9, 2), (30, 18), (0, 200), (700, 500), (4000, 3000)]:
        exact = mcnemar([[5, lost], [gained, 3]], exact=True).pvalue
        expected = exact - stats.binom.pmf(lost, lost + gained, 0.5)
        assert mid_p(np.array([lost]), np.array([gained]))[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("flips", [0, 1, 7, 500])
def test_as_many_gained_as_lost_is_no_evidence(flips: int) -> None:
    assert mid_p(np.array([flips]), np.array([flips]))[0] == 1


@pytest.mark.parametrize("n", [10, 30, 100])
def test_exact_size_is_at_most_nominal(n: int) -> None:
    """Over every outcome of n samples whose recalls are equal, from hardly any churn to much."""
    lost, gained = (a.ravel() for a in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    lost, gained = lost[lost + gained <= n], gained[lost + gained <= n]
    rejected = mid_p(lost, gained) <= 0.05
    outcomes = np.stack([lost, gained, n - lost - gained], axis=1)[rejected]
    for half in (0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4):
        assert stats.multinomial.pmf(outcomes, n, [half, half, 1 - 2 * half]).sum() <= 0.0525, half


def test_q_is_corrected_over_the_classes_that_have_samples() -> None:
    found = measured(Pair.of([(36, 12, 2, 0), (0, 0, 0, 0), (40, 7, 3, 0), (9, 0, 0, 1)]))
    p, q = found["p_value"].by_stratum, found["q_value"].by_stratum
    assert p[1] is None
    assert q[1] is None
    there = [0, 2, 3]
    expected = multipletests([p[i] for i in there], method="fdr_bh")[1]
    assert [q[i] for i in there] == pytest.approx(list(expected), rel=1e-12)


def test_overall_p_is_that_of_all_flips_together() -> None:
    found = measured(Pair.of([(36, 12, 2, 0), (40, 7, 3, 0)]))["p_value"].overall
    assert found == mid_p(np.array([19]), np.array([5]))[0]
