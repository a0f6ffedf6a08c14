"""The exact test at the margin against every outcome of the multinomial, its level, and what it costs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prune_audit.core import Array, Floats
from prune_audit.stats import _margin_test, _tango
from tests.stats.pairs import quick

MARGIN = 0.02


def outcomes(n: int) -> tuple[Array, Array]:
    """Lost and gained of every outcome of ``n`` samples, (K,) each."""
    lost, gained = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    possible = lost + gained <= n
    return lost[possible], gained[possible]


def chances(n: int, gain: float, margin: float = MARGIN) -> Floats:
    """Of every outcome (K,), where the drop is ``margin``."""
    lost, gained = outcomes(n)
    counts = np.stack([lost, gained, n - lost - gained], axis=1)
    return np.asarray(stats.multinomial.pmf(counts, n, [gain + margin, gain, 1 - 2 * gain - margin]))


def scores(n: int, margin: float = MARGIN) -> Floats:
    lost, gained = outcomes(n)
    return _tango.score(lost, gained, np.full_like(lost, n), margin)


def summed(lost: int, gained: int, n: int, gain: float) -> float:
    """The chance of a score as high as that of ``lost`` and ``gained``, over every outcome."""
    all_lost, all_gained = outcomes(n)
    at = float(scores(n)[(all_lost == lost) & (all_gained == gained)][0])
    return float(chances(n, gain)[scores(n) >= at - 1e-9].sum())


def counted(lost: int, gained: int, n: int, gain: float) -> float:
    """The same by the module, where all that may be gained is summed over."""
    of = np.arange(n + 1.0)
    enough = _margin_test._enough(lost, gained, n, MARGIN, of)
    return float(_margin_test._chance(np.array([gain]), MARGIN, n, of, enough)[0])


CASES = [(6, 0, 50), (7, 3, 50), (20, 5, 100), (10, 1, 100), (1, 0, 5), (5, 0, 5), (4, 4, 8), (0, 8, 8), (11, 0, 150)]


@pytest.mark.parametrize(("lost", "gained", "n"), CASES)
@pytest.mark.parametrize("gain", [0.0, 0.004, 0.03, 0.2, 0.49])
def test_the_tail_is_that_of_every_outcome(lost: int, gained: int, n: int, gain: float) -> None:
    """Thousands of chances of 1e-16 precision each are summed, most of them far below 1."""
    expected = summed(lost, gained, n, gain)
    assert counted(lost, gained, n, gain) == pytest.approx(expected, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize(("lost", "gained", "n"), CASES)
def test_p_is_the_largest_tail_over_the_interval_of_what_is_gained(lost: int, gained: int, n: int) -> None:
    """33 values of P(gained) find a maximum over 200 to within a thousandth of it."""
    beta = 5e-5
    low, high = _margin_test._interval(gained, n, MARGIN, beta)
    tails = [summed(lost, gained, n, g) for g in np.linspace(low**0.5, high**0.5, 200) ** 2]
    assert _margin_test.tail(lost, gained, n, MARGIN, beta) == pytest.approx(min(1, max(tails) + beta), rel=1e-3)


@pytest.mark.parametrize(("gained", "n"), [(0, 50), (3, 50), (12, 30), (50, 50)])
def test_the_interval_of_what_is_gained_is_clopper_and_pearsons(gained: int, n: int) -> None:
    beta = 1e-4
    low, high = _margin_test._interval(gained, n, MARGIN, beta)
    exact = stats.binomtest(gained, n).proportion_ci(1 - (beta if gained else 2 * beta), method="exact")
    assert low == pytest.approx(min(exact.low, 0.49))
    assert high == pytest.approx(min(exact.high, 0.49))


@pytest.mark.parametrize("n", [50, 100, 200])
@pytest.mark.parametrize("gain", [0.0, 0.005, 0.03, 0.1])
def test_the_level_holds_where_the_drop_is_the_margin(n: int, gain: float) -> None:
    """At 5 %, and as far out as the first of a hundred and of a thousand classes is convicted."""
    lost, gained = outcomes(n)
    chance = chances(n, gain)
    some = chance > 1e-12  # the others, all together, are far below the levels
    lost, gained, chance = lost[some], gained[some], chance[some]
    for level in (0.05, 5e-4, 5e-5):
        p = _margin_test.p_values(lost, gained, np.full_like(lost, n), MARGIN, level)
        assert chance[p <= level].sum() <= level + 1e-9


@pytest.mark.parametrize(("n", "tango"), [(500, 1.2), (1000, 3.6)])
def test_where_tangos_level_fails_it_holds(n: int, tango: float) -> None:
    """Classes that gained nothing: what was lost is binomial. Scores convict ``tango`` times too often."""
    lost = np.arange(n // 5)
    chance = stats.binom.pmf(lost, n, MARGIN)
    none, of = np.zeros_like(lost), np.full_like(lost, n)
    level = 5e-4 if n == 500 else 5e-5
    by_score = stats.norm.sf(_tango.score(lost, none, of, MARGIN)) <= level
    assert chance[by_score].sum() > tango * level
    assert chance[_margin_test.p_values(lost, none, of, MARGIN, level) <= level].sum() <= level


@quick
@given(st.integers(0, 30), st.integers(0, 10), st.integers(1, 60), st.sampled_from([0.0, 0.02, 0.2]))
def test_p_falls_with_every_sample_lost_and_never_leaves_its_range(lost: int, gained: int, kept: int, m: float) -> None:
    n = lost + gained + kept
    p = _margin_test.p_values(np.array([lost, lost + 1]), np.array([gained] * 2), np.array([n] * 2), m, 0.05)
    assert (p >= 0.05 * _margin_test.OUTSIDE).all()
    assert (p <= 1).all()
    assert p[1] <= p[0] + 1e-9


def test_what_is_not_computed_is_above_a_tenth() -> None:
    """Of outcomes just below the score at which p is computed, up to ten of them gained."""
    for n in (50, 100, 300):
        lost, gained = outcomes(n)
        score = scores(n)
        near = (score > 1.0) & (score <= _margin_test.UNSEEN) & (gained <= 10)
        for a, b in zip(lost[near].tolist(), gained[near].tolist(), strict=True):
            assert _margin_test.tail(a, b, n, MARGIN, 5e-5) > 0.1


@pytest.mark.parametrize("n", [100, 200, 1000])
def test_fractions_have_a_score_without_skewness(n: int) -> None:
    """Its level at 1 in 20,000 is kept, near which the plain score convicts up to 3.7 times too often."""
    lost = np.arange(n // 4) + 0.0
    chance = stats.binom.pmf(lost, n, MARGIN)
    p = stats.norm.sf(_tango.skewness_corrected(lost, np.zeros_like(lost), np.full_like(lost, n), MARGIN))
    assert chance[p <= 5e-5].sum() <= 5e-5
    half = _margin_test.p_values(np.array([12.5]), np.array([0.5]), np.array([90.5]), MARGIN, 0.05)
    corrected = _tango.skewness_corrected(np.array([12.5]), np.array([0.5]), np.array([90.5]), MARGIN)
    assert half[0] == pytest.approx(stats.norm.sf(corrected[0]))


def test_a_thousand_classes_that_all_lost_much_take_two_seconds() -> None:
    """Each with other counts, so that none is found among those kept; a second is what it takes on an idle core."""
    _margin_test.tail.cache_clear()
    rng = np.random.default_rng(0)
    lost, gained = rng.integers(60, 300, 1000), rng.integers(0, 60, 1000)
    started = time.process_time()
    _margin_test.p_values(lost, gained, np.full(1000, 1000), MARGIN, 5e-5)
    assert time.process_time() - started < 2.2
