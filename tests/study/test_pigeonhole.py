"""The pigeonhole bootstrap of alpha: its draws are those of brute force, and its intervals hold what they are of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from prune_audit.core import Array, Floats
from prune_audit.study import pigeonhole, student
from prune_audit.study.samples import Bits, Right

SIZES = np.array([30, 0, 50, 20])


def rights(rng: np.random.Generator, sizes: Array, seeds: int, cells: int = 2) -> list[Right]:
    made = []
    for _ in range(seeds):
        level = np.repeat(rng.uniform(0.4, 0.9, len(sizes)), sizes)
        dense = rng.random(len(level)) < level
        made += [Right(dense=dense, pruned=rng.random(len(level)) < level**2) for _ in range(cells)]
    return made


def slope(dense: Bits, pruned: Bits, sizes: Array) -> float:
    """Alpha as its definition reads."""
    classes = np.split(np.arange(sizes.sum()), np.cumsum(sizes)[:-1])
    x, y = ([right[own].mean() / right.mean() - 1 for own in classes if len(own)] for right in (dense, pruned))
    return float(np.dot(x, y) / np.dot(x, x))


def test_draws_are_those_of_brute_force_and_the_same_for_all_runs() -> None:
    """The samples that the same generator picks, class by class, and alpha of them by its definition."""
    runs = rights(np.random.default_rng(0), SIZES, 3)
    found = pigeonhole.alphas(runs, SIZES, draws=25)
    rng = np.random.default_rng(pigeonhole.SEED)
    picks = []
    for n, stop in zip(SIZES, np.cumsum(SIZES), strict=True):
        picks += [rng.integers(n, size=(25, n)) + stop - n] if n else []
    for draw, rows in enumerate(np.concatenate(picks, axis=1)):
        for at, run in enumerate(runs):
            # Sums over classes are multiplied out: about 1e-16 of numbers near 1, over a sum of squares near .1.
            assert found[draw, at] == pytest.approx(slope(run.dense[rows], run.pruned[rows], SIZES), rel=1e-10)


def test_a_network_that_was_not_pruned_has_an_alpha_of_one_in_every_draw() -> None:
    runs = [Right(dense=run.dense, pruned=run.dense) for run in rights(np.random.default_rng(1), SIZES, 2, cells=1)]
    np.testing.assert_allclose(pigeonhole.alphas(runs, SIZES, draws=300), 1.0, rtol=1e-10)


def test_other_runs_change_no_draw() -> None:
    runs = rights(np.random.default_rng(2), SIZES, 3)
    whole = pigeonhole.alphas(runs, SIZES, draws=40)
    np.testing.assert_allclose(pigeonhole.alphas(runs[2:3], SIZES, draws=40)[:, 0], whole[:, 2], rtol=1e-10)
    np.testing.assert_array_equal(pigeonhole.alphas(runs, SIZES, draws=40), whole)


def test_a_draw_without_an_alpha_is_none() -> None:
    level = Right(dense=np.ones(6, bool), pruned=np.ones(6, bool))  # all classes at the accuracy
    never = Right(dense=np.array([1, 1, 1, 1, 1, 0], bool), pruned=np.zeros(6, bool))
    assert np.isnan(pigeonhole.alphas([level], np.array([3, 3]), draws=5)).all()
    assert np.isnan(pigeonhole.alphas([never], np.array([3, 3]), draws=5)).all()


def test_means_are_of_seeds_drawn_anew() -> None:
    values = np.tile(np.arange(6.0), (20_000, 1))
    means = pigeonhole.means(values)
    # Of 6 values drawn with replacement: their mean, and their variance over 6. Errors of 20,000 draws: .005 and 1 %.
    assert means.mean() == pytest.approx(2.5, abs=0.02)
    assert means.var() == pytest.approx(np.arange(6.0).var() / 6, rel=0.04)
    np.testing.assert_array_equal(means, pigeonhole.means(values))
    np.testing.assert_allclose(means + 1, pigeonhole.means(values + 1), rtol=1e-14)  # the same seeds of as many
    other = pigeonhole.means(values, stream=1)
    assert abs(np.corrcoef(means, other)[0, 1]) < 0.03
    with pytest.raises(ValueError, match="expected 5 seeds, found 4"):
        pigeonhole.means(values[:, :4])


def test_intervals_are_percentiles_about_the_estimate_and_no_narrower_than_over_seeds() -> None:
    drawn = np.random.default_rng(0).exponential(1.0, 4_000)
    low, high = pigeonhole.interval(drawn, 2.0, None, 0.95)
    below, middle, above = np.quantile(drawn, [0.025, 0.5, 0.975])
    assert (low, high) == pytest.approx((2 + below - middle, 2 + above - middle))
    assert pigeonhole.interval(drawn, 2.0, (1.9, 2.1), 0.95) == (low, high)
    assert pigeonhole.interval(drawn, 2.0, (0.0, 2.1), 0.95) == (0.0, high)
    assert pigeonhole.interval(drawn, 2.0, (0.0, 9.0), 0.95) == (0.0, 9.0)


def study(rng: np.random.Generator, seeds: int, classes: int, n: int, scatter: float) -> list[Right]:
    """Runs whose slopes lie about 1.3 by ``scatter``, on ``n`` samples a class that are hard or easy for all seeds."""
    item = rng.normal(size=classes * n)
    made = []
    for _ in range(seeds):
        x = 0.12 * np.linspace(-1.5, 1.5, classes) + rng.normal(0, 0.01, classes)
        y = (1.3 + rng.normal(0, scatter)) * x + rng.normal(0, 0.01, classes)
        own = rng.normal(size=item.shape)
        hard = [0.5**0.5 * item + 0.5 * own + 0.5 * rng.normal(size=item.shape) for _ in range(2)]
        levels = (np.repeat(np.clip(level * (1 + z), 0.01, 0.99), n) for level, z in ((0.75, x), (0.68, y)))
        dense, pruned = (norm.cdf(h) < level for h, level in zip(hard, levels, strict=True))
        made.append(Right(dense=dense, pruned=pruned))
    return made


def covered(
    rng: np.random.Generator, *, seeds: int, classes: int, n: int, scatter: float, studies: int, confidence: float
) -> tuple[float, float]:
    """How often the interval holds the mean alpha of new seeds on new sets of as many samples; and t over seeds."""
    sizes = np.full(classes, n)

    def alphas(runs: list[Right]) -> Floats:
        return np.array([slope(run.dense, run.pruned, sizes) for run in runs])

    truth = np.mean([alphas(study(rng, 1, classes, n, scatter)) for _ in range(1_500)])
    held = []
    for _ in range(studies):
        runs = study(rng, seeds, classes, n, scatter)
        own = alphas(runs)
        over = student.interval(own, confidence)
        assert over[0] is not None
        drawn = pigeonhole.means(pigeonhole.alphas(runs, sizes, draws=400))
        low, high = pigeonhole.interval(drawn, float(own.mean()), over, confidence)
        held.append((low <= truth <= high, over[0] <= truth <= over[1]))
    both, alone = np.mean(held, axis=0)
    return float(both), float(alone)


@pytest.mark.parametrize("classes", [10, 60])
def test_intervals_hold_the_alpha_of_new_seeds_and_new_samples(classes: int) -> None:
    """Also of many classes with few samples, where plain percentiles hold it hardly ever. 3 errors of 120 are .06."""
    rng = np.random.default_rng(5)
    both, alone = covered(rng, seeds=8, classes=classes, n=40, scatter=0.05, studies=120, confidence=0.95)
    assert both >= 0.92
    assert both >= alone
