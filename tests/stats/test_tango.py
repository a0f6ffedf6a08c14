"""Tango's score statistic against worked values, a numeric likelihood, and every outcome of small samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from prune_audit.core import Array
from prune_audit.stats import _tango


def arrays(lost: float, gained: float, n: float) -> tuple[Array, Array, Array]:
    return np.array([lost]), np.array([gained]), np.array([n])


def outcomes(n: int) -> tuple[Array, Array]:
    lost, gained = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    possible = lost + gained <= n
    return lost[possible], gained[possible]


def likeliest_gain(lost: int, gained: int, n: int, drop: float) -> float:
    """P(gained) of the fit with P(lost) = P(gained) + ``drop``, found by a general optimiser."""

    def minus_log_likelihood(gain: float) -> float:
        p = np.array([gain + drop, gain, 1 - 2 * gain - drop])
        return -float(np.sum(np.array([lost, gained, n - lost - gained]) * np.log(np.maximum(p, 1e-300))))

    bounds = (max(0.0, -drop), (1 - drop) / 2)
    found = optimize.minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    return float(found.x)


def numeric_score(lost: int, gained: int, n: int, drop: float) -> float:
    """The same statistic with the restricted fit of the optimiser."""
    gain = likeliest_gain(lost, gained, n, drop)
    return float((lost - gained - n * drop) / np.sqrt(n * (2 * gain + drop * (1 - drop))))


@pytest.mark.parametrize(
    ("n", "lost", "gained", "low", "high"),
    [(50, 12, 2, 0.0611, 0.3447), (50, 7, 3, -0.0502, 0.2159), (1000, 30, 18, -0.0016, 0.0264)],
)
def test_interval_has_the_worked_values(n: int, lost: int, gained: int, low: float, high: float) -> None:
    found = _tango.interval(*arrays(lost, gained, n), 0.95)
    assert (round(found[0][0], 4), round(found[1][0], 4)) == (low, high)


@pytest.mark.parametrize("drop", [-0.4, -0.05, 0.02, 0.05, 0.3])
@pytest.mark.parametrize(("lost", "gained", "n"), [(12, 2, 50), (3, 7, 20), (1, 1, 5), (5, 1, 9), (40, 60, 1000)])
def test_score_uses_the_likeliest_fit_under_the_drop(lost: int, gained: int, n: int, drop: float) -> None:
    found = _tango.score(*arrays(lost, gained, n), drop)[0]
    assert found == pytest.approx(numeric_score(lost, gained, n, drop), rel=1e-5)


@pytest.mark.parametrize("drop", [-0.05, 0.0, 0.02, 0.3])
@pytest.mark.parametrize(("lost", "gained", "n"), [(12, 2, 50), (3, 7, 20), (9, 1, 30), (40, 60, 1000), (60, 20, 400)])
def test_the_corrected_score_is_without_the_skewness_of_the_fit(lost: int, gained: int, n: int, drop: float) -> None:
    """The root of z = s + g (s^2 - 1), g a sixth of the skewness of the mean of samples of that fit."""
    gain = likeliest_gain(lost, gained, n, drop)
    p, x = np.array([gain + drop, gain, 1 - 2 * gain - drop]), np.array([1.0, -1.0, 0.0]) - drop
    variance, third = p @ x**2, p @ x**3
    g = third / variance**1.5 / np.sqrt(n) / 6
    plain, corrected = (float(each[0]) for each in _tango.with_corrected(*arrays(lost, gained, n), drop))
    assert plain == pytest.approx(numeric_score(lost, gained, n, drop), rel=1e-5, abs=1e-9)
    assert corrected + g * (corrected**2 - 1) == pytest.approx(plain if lost - gained != n * drop else -g, rel=1e-4)
    assert corrected == _tango.skewness_corrected(*arrays(lost, gained, n), drop)[0]


def test_score_at_no_drop_is_mcnemars() -> None:
    lost, gained = outcomes(12)
    flips = lost + gained
    expected = np.where(flips > 0, (lost - gained) / np.sqrt(np.maximum(flips, 1)), 0)
    np.testing.assert_allclose(_tango.score(lost, gained, np.full_like(lost, 12), 0.0), expected, atol=1e-12)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("lost", "gained", "n"), [(12, 2, 50), (1, 0, 1), (0, 3, 7), (5, 5, 20), (1, 9, 10)])
def test_interval_inverts_the_test(lost: int, gained: int, n: int, confidence: float) -> None:
    """Every drop on a fine grid is within the interval exactly where the test accepts it."""
    grid = np.linspace(-0.9995, 0.9995, 2000)
    low, high = _tango.interval(*arrays(lost, gained, n), confidence)
    accepted = np.abs(_tango.score(*arrays(lost, gained, n), grid)) <= stats.norm.isf((1 - confidence) / 2)
    np.testing.assert_array_equal(accepted, (grid >= low) & (grid <= high))


@pytest.mark.parametrize("n", [1, 2, 30, 1000])
def test_no_flips_give_the_closed_corner(n: int) -> None:
    z2 = stats.norm.isf(0.025) ** 2
    low, high = _tango.interval(*arrays(0, 0, n), 0.95)
    assert high[0] == pytest.approx(z2 / (n + z2), rel=1e-12)
    assert low[0] == pytest.approx(-z2 / (n + z2), rel=1e-12)


@pytest.mark.parametrize(("assure", "least"), [(0.02, 189), (0.05, 73)])
def test_no_flips_are_fine_from_the_stated_size(assure: float, least: int) -> None:
    upper = _tango.interval(np.zeros(2), np.zeros(2), np.array([least - 1, least]), 0.95)[1]
    assert upper[0] >= assure > upper[1]


def test_all_lost_reaches_one() -> None:
    low, high = _tango.interval(*arrays(8, 0, 8), 0.95)
    assert high[0] == 1
    assert 0 < low[0] < 1


def test_swapping_the_models_negates_everything() -> None:
    lost, gained = outcomes(9)
    n = np.full_like(lost, 9)
    low, high = _tango.interval(lost, gained, n, 0.95)
    back_low, back_high = _tango.interval(gained, lost, n, 0.95)
    np.testing.assert_allclose(low, -back_high, atol=1e-12)
    np.testing.assert_allclose(high, -back_low, atol=1e-12)


def test_duplicating_every_sample_grows_the_score_by_root_two() -> None:
    lost, gained = outcomes(9)
    n = np.full_like(lost, 9)
    once, twice = _tango.score(lost, gained, n, 0.02), _tango.score(2 * lost, 2 * gained, 2 * n, 0.02)
    np.testing.assert_allclose(twice, np.sqrt(2) * once, rtol=1e-12)


def chance_of(event: Array, lost: Array, gained: Array, n: int, p_lost: float, p_gained: float) -> float:
    """The exact probability that ``event`` (one truth per outcome) holds."""
    counts = np.stack([lost, gained, n - lost - gained], axis=1)
    return float(stats.multinomial.pmf(counts[event], n, [p_lost, p_gained, 1 - p_lost - p_gained]).sum())


@pytest.mark.parametrize(("n", "most"), [(10, 0.08), (30, 0.08), (100, 0.08)])
def test_exact_size_at_the_margin(n: int, most: float) -> None:
    """One-sided 5 % at a true drop of exactly 2 points, over the churn that can go with it."""
    lost, gained = outcomes(n)
    rejected = _tango.score(lost, gained, np.full_like(lost, n), 0.02) > stats.norm.isf(0.05)
    sizes = [chance_of(rejected, lost, gained, n, g + 0.02, g) for g in np.linspace(0.0, 0.25, 26)]
    assert max(sizes) <= most
    assert max(sizes) >= 0.03  # it is a test, not a refusal


@pytest.mark.parametrize(("n", "least"), [(10, 0.947), (30, 0.941), (100, 0.934)])
def test_exact_coverage(n: int, least: float) -> None:
    lost, gained = outcomes(n)
    low, high = _tango.interval(lost, gained, np.full_like(lost, n), 0.95)
    for drop in (0.0, 0.02, 0.05, 0.1, 0.2):
        holds = (low <= drop) & (drop <= high)
        for gain in (0.01, 0.03, 0.06, 0.1, 0.2, 0.3):
            assert chance_of(holds, lost, gained, n, gain + drop, gain) >= least, (drop, gain)


@pytest.mark.parametrize("drop", [0.001, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("z", [-1.96, -1.0, 0.0, 1.0, 4.5])
def test_the_boundary_is_where_the_score_is_z(drop: float, z: float) -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(1, 5000, 500).astype(np.float64)
    gained = np.floor(n * rng.random(500) ** 3)
    lost = _tango.boundary(gained, n, drop, z)
    possible = (lost >= 0) & (lost <= n - gained)
    assert possible.sum() > 100
    np.testing.assert_allclose(_tango.score(lost, gained, n, drop)[possible], z, atol=1e-11)
