"""Excess drops: a uniform fall has none, and they sum to nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from prune_audit.choices import Reference
from prune_audit.core import Pair, Settings
from prune_audit.stats import excess_drop
from tests.stats.pairs import measured, pairs, quick


def test_a_drop_that_all_share_is_no_excess() -> None:
    found = measured(Pair.of([(80, 10, 0, 10), (8, 1, 0, 1)]))["excess_drop"]
    assert found.by_stratum == pytest.approx((0, 0), abs=1e-15)


def test_worse_than_the_model_is_positive() -> None:
    found = measured(Pair.of([(50, 50, 0, 0), (100, 0, 0, 0)]))["excess_drop"]
    assert found.by_stratum == (0.25, -0.25)


@quick
@given(pairs(least=1))
def test_weighted_excess_drops_sum_to_nothing(pair: Pair) -> None:
    found = measured(pair, only=excess_drop)["excess_drop"]
    total = sum(int(n) * float(v or 0) for n, v in zip(pair.support, found.by_stratum, strict=True))
    assert total / max(int(pair.support.sum()), 1) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("reference", ["accuracy", "balanced"])
@pytest.mark.parametrize("weighted", [False, True])
def test_excess_is_above_what_the_reference_says(reference: Reference, weighted: bool) -> None:
    """Against drops minus their mean: by size, by weights, or, whatever these are, of classes alike."""
    pair = Pair.of([(80, 15, 5, 0), (8, 2, 0, 0), (20, 1, 3, 6)])
    listed = dict(zip(pair.strata, (0.2, 0.5, 0.3), strict=True)) if weighted else None
    found = measured(pair, Settings(reference=reference, weights=listed))["excess_drop"]
    drop = np.array([0.1, 0.2, -2 / 30])
    shares = np.array([1, 1, 1]) / 3 if reference == "balanced" else [0.2, 0.5, 0.3] if weighted else pair.support / 140
    np.testing.assert_allclose(np.array(found.by_stratum, float), drop - shares @ drop, atol=1e-12)
    assert shares @ np.array(found.by_stratum, float) == pytest.approx(0, abs=1e-12)


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize("reference", ["accuracy", "balanced"])
def test_intervals_cover_and_the_largest_is_bounded_over_all_classes(reference: Reference) -> None:
    """Ten classes of uneven size and uneven drops; coverage of single intervals and of the largest one."""
    rng = np.random.default_rng(12)
    sizes = np.array([20, 30, 50, 100, 100, 200, 200, 300, 500, 1500])
    drops = np.array([0.1, 0.0, 0.05, 0.02, 0.0, 0.1, 0.03, 0.0, 0.04, 0.02])
    cells = np.stack([0.85 - drops, drops + 0.02, np.full(10, 0.02), np.full(10, 0.11)], axis=1)
    truth = drops - (sizes @ drops / sizes.sum() if reference == "accuracy" else drops.mean())
    settings = Settings(reference=reference)
    single, largest = [], []
    for _ in range(400):
        found = measured(Pair.of(rng.multinomial(sizes, cells)), settings, only=excess_drop)
        low, high = (np.array(limits, float) for limits in (found["excess_drop"].low, found["excess_drop"].high))
        single.append((low <= truth) & (truth <= high))
        top = found["largest_excess_drop"]
        largest.append((top.overall_low or 0) <= truth.max() <= (top.overall_high or 0))
    assert np.mean(single) >= 0.94
    assert np.mean(single, axis=0).min() >= 0.925
    assert np.mean(largest) >= 0.95


def test_the_largest_is_the_worst_class() -> None:
    found = measured(Pair.of([(50, 50, 0, 0), (100, 0, 0, 0)]))
    top, column = found["largest_excess_drop"], found["excess_drop"]
    assert top.overall == 0.25
    # Two classes at once: wider than the worst one alone.
    assert (top.overall_low or 0) < (column.low[0] or 0)
    assert (top.overall_high or 0) > (column.high[0] or 0)


def test_one_class_has_no_excess_by_definition() -> None:
    found = measured(Pair.of([(50, 40, 3, 10)]))["excess_drop"]
    assert (found.by_stratum, found.low, found.high) == ((0.0,), (0.0,), (0.0,))
