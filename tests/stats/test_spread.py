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


@pytest.mark.parametrize(
    "sizes", [np.full(2, 300), np.full(10, 30), np.full(100, 100), np.array([10, 30, 100, 1000] * 10)]
)
def test_level_and_coverage_without_spread(sizes: Array) -> None:
    found = [measured(pair, only=spread) for pair in audits(sizes, 0.08, np.full(len(sizes), 0.02), 600)]
    p = np.array([f["spread_p"].overall for f in found], float)
    low = np.array([f["spread"].overall_low for f in found], float)
    assert (p <= 0.05).mean() <= 0.07
    assert (low == 0).mean() >= 0.93


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
