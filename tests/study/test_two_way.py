"""Intervals for new seeds and new samples: their mean squares are statsmodels', and they cover what they are of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from prune_audit.study import two_way


def drawn(rng: np.random.Generator, seeds: int, samples: int, moved: float = 0.25) -> tuple[np.ndarray, float]:
    """Changes (S, N) in {-1, 0, 1} and a little of each seed, and the mean over all seeds and samples.

    A share ``moved`` of the samples is one that nearly every pruning flips, which is what seeds have in common.
    """
    item = rng.choice([-1.0, 0.0, 1.0], samples, p=[moved * 0.3, 1 - moved, moved * 0.7])
    noise = rng.choice([-1.0, 0.0, 1.0], (seeds, samples), p=[0.02, 0.96, 0.02])
    own = rng.normal(0, 0.004, seeds)[:, None]
    return np.where(rng.random((seeds, samples)) < 0.8, item, 0.0) + noise + own, 0.8 * moved * 0.4


@pytest.mark.parametrize(("seeds", "samples"), [(3, 7), (8, 20), (2, 2)])
def test_mean_squares_are_those_of_statsmodels(seeds: int, samples: int) -> None:
    values, _ = drawn(np.random.default_rng(seeds), seeds, samples)
    values += np.random.default_rng(1).normal(0, 0.1, values.shape)
    frame = pd.DataFrame(
        {"x": values.ravel(), "s": np.repeat(np.arange(seeds), samples), "i": np.tile(np.arange(samples), seeds)}
    )
    table = anova_lm(ols("x ~ C(s) + C(i)", frame).fit())
    expected = table["sum_sq"] / table["df"]
    found = two_way.mean_squares(values, np.array([samples]))
    # What is left after both is small beside them, so that statsmodels has fewer digits of it.
    assert found.seeds[0] == pytest.approx(expected["C(s)"], rel=1e-9)
    assert found.samples[0] == pytest.approx(expected["C(i)"], rel=1e-9)
    assert found.rest[0] == pytest.approx(expected["Residual"], rel=1e-6)


def brute(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """The interval by loops, as the formula reads."""
    seeds, samples = values.shape
    mean = sum(map(float, values.ravel())) / values.size
    of_seed = [float(np.sum(values[s])) / samples for s in range(seeds)]
    of_sample = [float(np.sum(values[:, i])) / seeds for i in range(samples)]
    ms_s = samples * sum((x - mean) ** 2 for x in of_seed) / (seeds - 1)
    ms_i = seeds * sum((x - mean) ** 2 for x in of_sample) / (samples - 1)
    ms_e = sum((values[s, i] - of_seed[s] - of_sample[i] + mean) ** 2 for s in range(seeds) for i in range(samples)) / (
        (seeds - 1) * (samples - 1)
    )
    variance = max(ms_s + ms_i - ms_e, max(ms_s, ms_i)) / (seeds * samples)
    below = ms_s**2 / (seeds - 1) + ms_i**2 / (samples - 1) + ms_e**2 / ((seeds - 1) * (samples - 1))
    freedom = max(1.0, (ms_s + ms_i - ms_e) ** 2 / below)
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * variance**0.5
    return mean - half, mean + half, freedom


@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize("seeds", [3, 8])
def test_intervals_of_groups_are_those_of_the_formula(seeds: int, confidence: float) -> None:
    sizes = np.array([2, 9, 40])
    values, _ = drawn(np.random.default_rng(seeds), seeds, int(sizes.sum()))
    found = two_way.intervals(values, sizes, confidence)
    for at, own in enumerate(np.split(values, np.cumsum(sizes)[:-1], axis=1)):
        low, high, freedom = brute(own, confidence)
        assert found.mean[at] == pytest.approx(own.mean())
        assert (found.low[at], found.high[at]) == pytest.approx((low, high), rel=1e-9, abs=1e-12)
        assert found.freedom[at] == pytest.approx(freedom, rel=1e-9)


def test_degrees_of_freedom_are_never_below_one() -> None:
    # What is left is all there is: both mean squares of the factors are 0, and their sum less it is negative.
    values = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    found = two_way.intervals(values, np.array([3]), 0.95)
    squares = two_way.mean_squares(values, np.array([3]))
    assert squares.seeds[0] == squares.samples[0] == 0 < squares.rest[0]
    assert np.isnan(found.low[0])
    values += np.array([[3**-0.5], [0.0], [-(3**-0.5)]])  # as much between seeds as is left
    found = two_way.intervals(values, np.array([3]), 0.95)
    assert found.freedom[0] == 1
    assert np.isfinite(found.low[0])


def test_it_is_wider_than_over_seeds_where_samples_matter_and_knows_nothing_of_what_never_varies() -> None:
    values, _ = drawn(np.random.default_rng(0), 8, 500)
    found = two_way.intervals(values, np.array([500]), 0.95)
    by_seed = values.mean(axis=1)
    half = stats.t.ppf(0.975, 7) * by_seed.std(ddof=1) / 8**0.5
    assert found.high[0] - found.low[0] > 4 * half
    for level in (0.0, 1.0):
        still = two_way.intervals(np.full((4, 6), level), np.array([6]), 0.95)
        assert still.mean[0] == level
        assert np.isnan([still.low[0], still.high[0]]).all()


def test_order_of_seeds_and_of_samples_says_nothing() -> None:
    rng = np.random.default_rng(3)
    values, _ = drawn(rng, 5, 60)
    one = two_way.intervals(values, np.array([60]), 0.95)
    other = two_way.intervals(values[rng.permutation(5)][:, rng.permutation(60)], np.array([60]), 0.95)
    assert (one.low[0], one.high[0]) == pytest.approx((other.low[0], other.high[0]), rel=1e-12)
    # Points instead of shares are limits in points; the other sign mirrors them.
    scaled = two_way.intervals(-100 * values, np.array([60]), 0.95)
    assert (scaled.low[0], scaled.high[0]) == pytest.approx((-100 * one.high[0], -100 * one.low[0]), rel=1e-12)


def test_too_little_is_refused() -> None:
    values = np.zeros((3, 4))
    for wrong, sizes in ((values[:2], [4]), (values, [1, 3]), (values, [3]), (values, [4, 0])):
        with pytest.raises(ValueError, match="expected"):
            two_way.intervals(wrong, np.array(sizes), 0.95)
    with pytest.raises(ValueError, match="expected 2 seeds"):
        two_way.mean_squares(values[:1], np.array([4]))


@pytest.mark.parametrize(("moved", "seeds"), [(0.10, 8), (0.25, 8), (0.10, 3), (0.25, 3)])
def test_coverage_of_new_seeds_and_new_samples(moved: float, seeds: int) -> None:
    """Of 600 studies; at the nominal level 3 standard errors are 2.7 points. t over seeds is why this is there."""
    rng = np.random.default_rng(6)
    found = []
    for _ in range(600):
        values, truth = drawn(rng, seeds, 300, moved)
        both = two_way.intervals(values, np.array([300]), 0.95)
        by_seed = values.mean(axis=1)
        half = stats.t.ppf(0.975, seeds - 1) * by_seed.std(ddof=1) / seeds**0.5
        found.append((both.low[0] <= truth <= both.high[0], abs(by_seed.mean() - truth) <= half))
    both_cover, seeds_cover = np.mean(found, axis=0)
    assert 0.92 <= both_cover <= 0.98
    if seeds == 8:
        assert seeds_cover < 0.7
