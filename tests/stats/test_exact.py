"""Exact limits: of shares as statsmodels has them, of drops no narrower than Tango's and true to their level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from prune_audit.stats import _exact, _tango


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99995])
def test_shares_are_those_of_clopper_and_pearson(confidence: float) -> None:
    right, n = np.array([0, 1, 12, 49, 50]), np.full(5, 50)
    low, high = _exact.share(right, n, confidence)
    expected = proportion_confint(right, n, 1 - confidence, "beta")
    np.testing.assert_allclose(low, expected[0], atol=1e-12)
    np.testing.assert_allclose(high, expected[1], atol=1e-12)


def test_a_drop_has_the_wider_of_both_limits_and_mirrors() -> None:
    lost, gained, n = np.array([50, 0, 4, 40]), np.array([0, 0, 4, 30]), np.array([1000, 50, 80, 90])
    low, high = _exact.drop(lost, gained, n, 0.999)
    wide_low, wide_high = _tango.interval(lost, gained, n, 0.999)
    assert (low <= wide_low).all()
    np.testing.assert_allclose(high, wide_high)
    assert low[0] == pytest.approx(proportion_confint(50, 1000, 0.001, "beta")[0])
    mirrored = _exact.drop(gained, lost, n, 0.999)
    np.testing.assert_allclose(mirrored, (-high, -low), atol=1e-9)


@pytest.mark.parametrize("gained", [0.0, 0.003, 0.01])
@pytest.mark.parametrize(("drop", "n"), [(0.02, 1000), (0.05, 300), (0.05, 1000), (0.1, 300)])
def test_far_out_a_true_drop_is_denied_at_most_twice_as_often_as_said(drop: float, n: int, gained: float) -> None:
    """All outcomes enumerated, at one class of a thousand; Tango's limit alone denies it up to seven times as often."""
    tail = 2.5e-5
    win = np.arange(int(binom.isf(1e-9, n, gained)) + 1)
    lose = np.arange(int(binom.isf(1e-10, n, drop + gained)) + 2)
    lost, won = (grid.ravel() for grid in np.meshgrid(lose, win))
    chance = binom.pmf(won, n, gained) * binom.pmf(lost, n - won, (drop + gained) / (1 - gained))
    low, _ = _exact.drop(lost, won, np.full(len(lost), n), 1 - 2 * tail)
    assert chance[low > drop].sum() <= 2 * tail
