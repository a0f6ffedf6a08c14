"""Likeness against closed forms, brute force over pairs of samples, and what is known of chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from prune_audit.core import Floats
from prune_audit.lenses import _similarity as similarity


def normal(seed: int, n: int, d: int) -> Floats:
    return np.random.default_rng(seed).standard_normal((n, d))


def rotation(seed: int, d: int) -> Floats:
    return np.linalg.qr(normal(seed, d, d))[0]


def test_unbiased_hsic_is_the_mean_over_all_quadruples() -> None:
    """Song et al. 2012: the U-statistic of K_ij L_ij + K_ij L_qr - 2 K_ij L_iq, over i, j, q, r all different."""
    x, y = normal(0, 7, 3), normal(1, 7, 2) + 0.5
    k, m = x @ x.T, y @ y.T
    every = [
        k[i, j] * m[i, j] + k[i, j] * m[q, r] - 2 * k[i, j] * m[i, q]
        for i, j, q, r in itertools.permutations(range(7), 4)
    ]
    found = similarity._hsic(x - x.mean(0), y - y.mean(0)) / (7 * 4)
    assert found == pytest.approx(np.mean(every), rel=1e-9)


def test_shifts_scales_and_rotations_change_nothing_and_other_maps_do() -> None:
    x = normal(2, 200, 6) * np.arange(1, 7)
    assert similarity.cka(x, x) == pytest.approx(1, abs=1e-12)
    assert similarity.cka(x, -3 * x @ rotation(3, 6) + 5) == pytest.approx(1, abs=1e-12)
    bent = similarity.cka(x, x @ normal(4, 6, 6))
    assert bent < 0.98
    y = normal(5, 200, 4) + x[:, :4]
    assert similarity.cka(x, y) == pytest.approx(similarity.cka(y * 1e9, x * 1e-9), rel=1e-9)


def test_half_of_equal_directions_is_one_over_the_root_of_two() -> None:
    """|XX'Y|: keeping 4 of 8 directions of equal variance gives sqrt(4 / 8); n = 20,000 leaves an error near .003."""
    x = normal(6, 20_000, 8)
    assert similarity.cka(x, x[:, :4]) == pytest.approx(0.5**0.5, abs=0.01)


def test_without_anything_in_common_it_is_zero_on_average_however_few_samples() -> None:
    for n in (10, 50):
        found = [similarity.cka(normal(10 * s, n, 8), normal(10 * s + 1, n, 8)) for s in range(200)]
        assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / 200**0.5)


def test_what_does_not_vary_is_like_nothing() -> None:
    x = normal(7, 30, 3)
    assert similarity.cka(x, np.ones((30, 2))) == 0
    assert similarity.svcca(x, np.ones((30, 2))) == (0.0, 3, 0)
    assert similarity.dead(np.hstack([x, np.ones((30, 2))])) == 2
    with pytest.raises(ValueError, match="expected 4 samples"):
        similarity.cka(x[:3], x[:3])


def test_svcca_sees_through_every_map_that_can_be_undone() -> None:
    x = normal(8, 500, 8)
    score, left, right = similarity.svcca(x, x @ rotation(9, 8) + 2) or (0.0, 0, 0)
    assert score == pytest.approx(1, abs=1e-9)
    assert (left, right) == (8, 8)
    shared = np.hstack([x[:, :4], normal(10, 500, 4)])
    found, *_ = similarity.svcca(x, shared) or (0.0,)
    # Four correlations of 1 and four of chance, whose largest is near sqrt(8 / 500) + ...: at most .25 here.
    assert 0.5 < found < 0.5 + 0.5 * 0.25


def test_chance_of_svcca_and_its_floor() -> None:
    x, y = normal(11, 500, 8), normal(12, 500, 8)
    found, *_ = similarity.svcca(x, y) or (0.0,)
    assert found == pytest.approx(0.105, abs=0.03)  # of 8 directions in 500 samples
    assert similarity.svcca(x[:79], y[:79]) is None
    assert similarity.svcca(x[:80], y[:80]) is not None


def test_directions_hold_so_much_of_the_variance() -> None:
    x = normal(13, 5000, 3) * np.array([10, 1, 0.1])  # shares .99001, .0099, .0001
    x -= x.mean(0)
    q, _ = np.linalg.qr(x)
    exact = q * np.array([99.0, 0.9, 0.1]) ** 0.5  # 99 %, .9 %, .1 %
    _, kept, _ = similarity.svcca(exact, exact) or (0.0, 0, 0)
    assert kept == 1
    _, kept, _ = similarity.svcca(q * np.array([98.9, 1.0, 0.1]) ** 0.5, exact) or (0.0, 0, 0)
    assert kept == 2


def test_chance_is_that_of_other_orders() -> None:
    x = normal(14, 300, 6)
    near = similarity.by_chance(x, x, 0.95)
    assert near.low is not None
    assert near.high is not None
    assert near.low < 0 < near.high < 0.1
    assert near == similarity.by_chance(x, x, 0.95)
    assert near != similarity.by_chance(x, x, 0.95, seed=1)


def test_the_interval_covers() -> None:
    """.95 of 200 draws lie in it, with a standard error of .015, and so may a jackknife of 20 groups."""
    mix = normal(15, 8, 8)

    def draw(seed: int, n: int) -> tuple[Floats, Floats]:
        x = normal(seed, n, 8)
        return x, x @ mix + 2 * normal(seed + 10**6, n, 8)

    truth = similarity.cka(*draw(0, 200_000))
    held = 0
    for seed in range(1, 201):
        found = similarity.interval(*draw(seed, 200), 0.95)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert 0.90 <= held / 200 <= 0.99


def test_there_is_no_interval_of_equals_or_of_few() -> None:
    x = normal(16, 100, 4)
    assert similarity.interval(x, x @ rotation(17, 4), 0.95).low is None
    assert similarity.interval(x[:39], x[:39] + normal(18, 39, 4), 0.95).low is None
