"""The spread of true drops: its estimate, the level of its test, the coverage of its interval, the ranking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prune_audit.core import Array, Floats, Pair
from prune_audit.stats import spread
from tests.stats.pairs import measured, same


def audits(sizes: Array, churn: float, drop: Floats, draws: int) -> list[Pair]:
    """Pairs with true drops ``drop`` (C,) at a common churn."""
    rng = np.random.default_rng(11)
    lost = np.maximum(np.maximum((churn + drop) / 2, drop), 0.0)
    gained = lost - drop
    cells = np.stack([0.8 - lost, lost, gained, 0.2 - gained], axis=1)
    return [Pair.of(rng.multinomial(sizes, cells)) for _ in range(draws)]


def true_drops(classes: int, mean: float, sd: float) -> Floats:
    scores = stats.norm.ppf((np.arange(classes) + 0.5) / classes)
    drops: Floats = mean + sd * scores / scores.std(ddof=1)
    return drops


def test_tau_is_the_variance_of_drops_less_the_noise() -> None:
    pair = Pair.of([(80, 10, 2, 8), (70, 25, 1, 4), (90, 2, 3, 5)])
    drops = [
        np.repeat([1.0, -1.0, 0.0], [lost, gained, 100 - lost - gained]) for lost, gained in ((10, 2), (25, 1), (2, 3))
    ]
    noise = np.mean([d.var(ddof=1) / 100 for d in drops])
    expected = np.sqrt(np.var([d.mean() for d in drops], ddof=1) - noise)
    assert measured(pair)["spread"].overall == pytest.approx(expected)


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize(
    "sizes", [np.full(2, 300), np.full(10, 30), np.full(100, 100), np.array([10, 30, 100, 1000] * 10)]
)
def test_level_and_coverage_without_spread(sizes: Array) -> None:
    found = [measured(pair, only=spread) for pair in audits(sizes, 0.08, np.full(len(sizes), 0.02), 600)]
    p = np.array([f["spread_p"].overall for f in found], float)
    low = np.array([f["spread"].overall_low for f in found], float)
    assert (p <= 0.05).mean() <= 0.07
    assert (low == 0).mean() >= 0.93


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize(
    ("sizes", "sd"), [(np.full(10, 200), 0.04), (np.full(100, 100), 0.04), (np.full(1000, 50), 0.02)]
)
def test_spread_is_found_and_its_interval_covers(sizes: Array, sd: float) -> None:
    drops = true_drops(len(sizes), 0.02, sd)
    found = [measured(pair, only=spread) for pair in audits(sizes, 0.06, drops, 200)]
    tau, low, high = np.array(
        [[f["spread"].overall, f["spread"].overall_low, f["spread"].overall_high] for f in found], float
    ).T
    assert np.mean(tau) == pytest.approx(sd, rel=0.08)
    assert ((low <= sd) & (sd <= high)).mean() >= 0.92
    assert (np.array([f["spread_p"].overall for f in found], float) <= 0.05).mean() >= 0.95


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize(
    ("sizes", "kept", "drop"),
    [
        (np.full(10, 100), 0.95, [0.30] + [0.01] * 9),
        (np.full(10, 200), 0.90, [0.20] + [0.0] * 9),
        (np.array([25] + [500] * 9), 0.90, [0.20] + [0.0] * 9),  # the class that stands out is the rare one
        (np.full(10, 1000), 0.95, [0.90] + [0.0] * 9),
    ],
)
def test_the_interval_covers_where_one_class_stands_out(sizes: Array, kept: float, drop: list[float]) -> None:
    """With the mean noise of the classes in place of their own, it covered .63 to .92 of these."""
    true = np.array(drop)
    rng = np.random.default_rng(5)
    lost = true + 0.01
    cells = np.stack([kept - lost, lost, np.full(len(sizes), 0.01), np.full(len(sizes), 0.99 - kept)], axis=1)
    tau, covered = float(true.std(ddof=1)), []
    for _ in range(400):
        found = measured(Pair.of(rng.multinomial(sizes, cells)), only=spread)["spread"]
        assert found.overall_low is not None
        assert found.overall_high is not None
        covered.append(found.overall_low <= tau <= found.overall_high)
    assert np.mean(covered) >= 0.92  # .95 less three standard errors


def test_the_limits_are_where_the_estimate_lies_its_own_standard_deviations_away() -> None:
    rows = [(53, 31, 0, 20), (93, 12, 0, 3), (104, 2, 0, 3), (107, 2, 0, 1), (106, 1, 0, 0), (106, 0, 0, 0)]
    found = measured(Pair.of([*rows, (104, 1, 1, 1), (108, 0, 1, 0), (108, 0, 1, 0), (101, 1, 4, 3)]))["spread"]
    # One noise for all classes gave 8.3 to 11.0.
    assert found.overall == pytest.approx(0.0957, abs=5e-5)
    assert found.overall_low == pytest.approx(0.0721, abs=5e-5)
    assert found.overall_high == pytest.approx(0.1288, abs=5e-5)
    away, noise = np.array([0.01, 0.0, 0.0001]), np.array([0.002, 0.001, 0.0005])
    tau2 = float(away.sum() / 2 - noise.mean())
    fixed = 2 * ((noise**2).sum() / 3 + noise.mean() ** 2) / 4
    slope = 4 * (away @ noise) / away.sum() / 2
    for limit in spread._limits(tau2, away, (noise, noise, noise), 0.95):
        assert (tau2 - limit) ** 2 == pytest.approx(stats.norm.ppf(0.975) ** 2 * (fixed + slope * limit), rel=1e-9)


@pytest.mark.usefixtures("coarse_roots")
def test_shrunken_drops_rank_better_than_raw_ones() -> None:
    """Sizes from 10 to 1,000: raw drops rank the small classes first and last, by noise."""
    sizes = np.array([10, 20, 50, 1000] * 25)
    drops = np.random.default_rng(3).permutation(true_drops(100, 0.03, 0.03))
    gains = []
    for pair in audits(sizes, 0.10, drops, 60):
        found = measured(pair, only=spread)["shrunken_drop"]
        if found.by_stratum[0] is not None:
            raw = (pair.lost - pair.gained) / pair.support
            shrunken = np.array(found.by_stratum, float)
            gains.append(((raw - drops) ** 2).mean() - ((shrunken - drops) ** 2).mean())
    assert len(gains) > 30
    assert min(gains) > 0


def test_ranks_follow_the_shrunken_drops() -> None:
    found = measured(Pair.of([(500, 400, 0, 100), (900, 0, 0, 100), (700, 200, 0, 100), (1, 0, 0, 0)]))
    assert found["drop_rank"].by_stratum == (1, 3, 2, None)
    assert found["shrunken_drop"].absent == {3: "fewer than two samples: their noise cannot be seen"}
    raw, shrunken = 0.4, float(found["shrunken_drop"].by_stratum[0] or 0)
    assert 0.2 < shrunken < raw


def test_no_spread_is_no_ranking() -> None:
    found = measured(Pair.of([(50, 5, 5, 40)] * 4))
    assert found["spread"].overall == 0.0
    assert set(found["drop_rank"].by_stratum) == {None}
    assert found["drop_rank"].absent[0] == "no spread between the drops is seen: a ranking would be chance"


def test_one_file_and_one_class() -> None:
    itself = measured(same(Pair.of([(50, 0, 0, 40)] * 3)))
    assert (itself["spread"].overall, itself["spread"].overall_high, itself["spread_p"].overall) == (0.0, 0.0, 1.0)
    alone = measured(Pair.of([(50, 5, 5, 40)]))["spread"]
    assert alone.overall is None
    assert alone.overall_absent == "fewer than two strata have two samples or more"
