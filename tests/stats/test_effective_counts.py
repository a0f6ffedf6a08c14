"""Weighted wholes: against plain sums, an even mix, and coverage by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from prune_audit.core import Array, Pair, Settings
from prune_audit.stats import _effective_counts, _tango
from prune_audit.stats import recall as recalls
from prune_audit.stats._clusters import CHANGE, DENSE, PRUNED, alike, effects
from tests.stats.pairs import measured, pairs, quick
from tests.stats.test_clusters import drawn, pair_of

PAIR = Pair.of([(80, 10, 2, 8), (40, 1, 1, 8), (18, 2, 0, 0), (0, 0, 0, 0)])
SHARES = Settings(weights={"0": 1, "1": 1, "2": 2, "3": 0})
EVEN = Settings(reference="balanced")


def test_accuracy_is_weighted_and_recalls_are_not() -> None:
    plain, weighted = measured(PAIR), measured(PAIR, SHARES)
    assert weighted["dense_recall"].by_stratum == plain["dense_recall"].by_stratum
    assert weighted["change"].by_stratum == plain["change"].by_stratum
    assert weighted["change"].low == plain["change"].low
    assert weighted["dense_recall"].overall == pytest.approx(0.25 * 0.9 + 0.25 * 0.82 + 0.5 * 1)
    assert weighted["change"].overall == pytest.approx(0.25 * -0.08 + 0.5 * -0.1)
    accuracy = weighted["dense_recall"].overall
    assert isinstance(accuracy, float)
    assert weighted["dense_balance"].by_stratum[:3] == pytest.approx(
        (0.9 / accuracy - 1, 0.82 / accuracy - 1, 1 / accuracy - 1)
    )
    assert weighted["excess_drop"].by_stratum[:3] == pytest.approx((0.08 - 0.07, 0 - 0.07, 0.1 - 0.07))


@pytest.mark.parametrize(
    "cells", [[(80, 10, 2, 8), (40, 1, 1, 8), (18, 2, 0, 0)], [(950, 9, 0, 41), (90, 0, 1, 9), (5, 4, 5, 6)]]
)
@pytest.mark.parametrize("contrast", [CHANGE, DENSE, PRUNED])
def test_a_weighted_whole_is_worth_the_samples_of_its_variance(
    contrast: tuple[int, int], cells: list[tuple[int, int, int, int]]
) -> None:
    """No more than Kish's 1 / sum (s^2 / n), and no more than have the variance of the mixture.

    Shares right are smoothed by half a sample, since a class that is all right would have no variance.
    """
    pair, settings = Pair.of(cells), Settings(weights={"0": 1, "1": 1, "2": 2})
    s, n = np.array([0.25, 0.25, 0.5]), np.sum(cells, axis=1)
    both, lost, gained, _ = np.array(cells).T

    def worth(s: Array) -> float:
        if contrast == CHANGE:
            loss = (lost - gained) / n
            noise = (lost + gained) / n - loss**2
            mixed = s @ ((lost + gained) / n) - (s @ loss) ** 2
        else:
            level = (both + (lost if contrast == DENSE else gained) + 0.5) / (n + 1)
            noise, mixed = level * (1 - level), (s @ level) * (1 - s @ level)
        return float(1 / max(s**2 @ (1 / n), s**2 @ (noise / n) / mixed))

    found = _effective_counts.whole(pair, settings, contrast)
    assert found.n[0] == pytest.approx(worth(s), rel=1e-12)
    assert found.lost[0] == pytest.approx(worth(s) * (s @ (lost / n)), rel=1e-12)
    assert found.both[0] == pytest.approx(worth(s) * (s @ (both / n)), rel=1e-12)
    _, rest = _effective_counts.sides(pair, settings, contrast)
    for c in range(3):
        others = np.where(np.arange(3) == c, 0, s) / (1 - s[c])
        assert rest.n[c] == pytest.approx(worth(others), rel=1e-12)
        assert rest.gained[c] == pytest.approx(worth(others) * (others @ (gained / n)), rel=1e-12)


def test_a_class_without_samples_has_no_share_whatever_its_weight() -> None:
    """What it would have been right in is not known, so that the others make up the whole."""
    weighted = measured(PAIR, replace(SHARES, weights={"0": 1, "1": 1, "2": 2, "3": 4}))
    assert weighted["dense_recall"].overall == pytest.approx(0.25 * 0.9 + 0.25 * 0.82 + 0.5 * 1)
    assert weighted["change"].overall == pytest.approx(0.25 * -0.08 + 0.5 * -0.1)


def test_the_retention_of_a_class_is_relative_to_the_weighted_rest() -> None:
    found = measured(PAIR, SHARES)["retention"].by_stratum[0]
    rest = (0.82 * 1 / 3 + 0.9 * 2 / 3) / (0.82 * 1 / 3 + 1 * 2 / 3)
    assert found == pytest.approx((82 / 90) / rest)


def test_the_balanced_reference_is_the_mean_of_recalls_and_leaves_accuracy() -> None:
    plain, even = measured(PAIR), measured(PAIR, EVEN)
    assert even["dense_recall"] == plain["dense_recall"]
    assert even["change"] == plain["change"]
    mean = (0.9 + 0.82 + 1) / 3
    assert even["dense_balance"].by_stratum[:3] == pytest.approx((0.9 / mean - 1, 0.82 / mean - 1, 1 / mean - 1))
    assert even["excess_drop"].by_stratum[1] == pytest.approx(-(0.08 + 0 + 0.1) / 3)


@pytest.mark.usefixtures("coarse_roots")
@quick
@given(pairs(1))
def test_weights_like_the_sample_are_no_weights(pair: Pair) -> None:
    if not pair.support.any():
        return
    weighted = Settings(weights=dict(zip(pair.strata, map(float, pair.support), strict=True)))
    own, rest = _effective_counts.sides(pair, weighted)
    plain_own, plain_rest = _effective_counts.sides(pair, Settings())
    for name in _effective_counts.NAMES:
        np.testing.assert_array_equal(getattr(own, name), getattr(plain_own, name))
        # Classes that differ are a stratified sample, whose mean is never noisier than that of a plain one.
        np.testing.assert_allclose(getattr(rest, name), getattr(plain_rest, name), atol=1e-9)
    plain = measured(pair)
    for name, measure in measured(pair, weighted).items():
        before = plain[name]
        for found, wanted in (
            (measure.by_stratum, before.by_stratum),
            (measure.low, before.low),
            (measure.high, before.high),
            ((measure.overall, measure.overall_low), (before.overall, before.overall_low)),
        ):
            assert [a is None for a in found] == [b is None for b in wanted], name
            numbers = [(a, b) for a, b in zip(found, wanted, strict=True) if isinstance(a, float)]
            assert [a for a, _ in numbers] == pytest.approx([b for _, b in numbers], rel=1e-6, abs=1e-6), name


@pytest.mark.usefixtures("coarse_roots")
@quick
@given(pairs(1))
def test_nothing_is_ever_undefined(pair: Pair) -> None:
    weights = {name: float(i % 3) for i, name in enumerate(pair.strata)}
    if not any(weights.values()):
        weights["0"] = 1.0
    for settings in (EVEN, Settings(weights=weights), Settings(weights=weights, reference="balanced")):
        for measure in measured(pair, settings).values():
            for value in (*measure.by_stratum, *measure.low, *measure.high, measure.overall, measure.overall_low):
                assert value is None or isinstance(value, str) or np.isfinite(value)


def test_groups_count_as_they_were_sampled() -> None:
    groups = replace(PAIR, by="scanner")
    assert measured(groups, SHARES) == measured(groups)


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize(
    ("n", "recall", "weights"),
    [
        ((10_000, 10), (0.999, 0.5), (0.8, 0.2)),
        ((5000, 20), (0.99, 0.5), (0.7, 0.3)),
        ((200, 200), (0.95, 0.5), (1, 1)),
    ],
)
def test_the_interval_of_a_weighted_accuracy_covers(
    n: tuple[int, ...], recall: tuple[float, ...], weights: tuple[float, ...]
) -> None:
    """A class of ten samples with a fifth of the weight may be all right by luck; as noiseless it covered .65."""
    rng, p, shares = np.random.default_rng(2), np.array(recall), np.array(weights) / sum(weights)
    settings = Settings(weights={str(at): weight for at, weight in enumerate(weights)})
    held = []
    for _ in range(600):
        right = rng.binomial(n, p)
        lost = rng.binomial(right, 0.01)
        pair = Pair.of(np.stack([right - lost, lost, 0 * right, np.array(n) - right], axis=1))
        found = measured(pair, settings, only=recalls)
        for name, truth in (("dense_recall", shares @ p), ("pruned_recall", shares @ p * 0.99)):
            low, high = found[name].overall_low, found[name].overall_high
            assert low is not None
            assert high is not None
            held.append(low <= truth <= high)
    assert np.mean(held) >= 0.91


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize(("n", "flips"), [((300, 100, 30), 0.06), ((400, 20, 20), 0.03), ((60, 60, 12), 0.15)])
def test_the_interval_of_a_weighted_change_covers(n: tuple[int, ...], flips: float) -> None:
    """Classes of other shares than in use, in one of which three times as many samples flip."""
    rng = np.random.default_rng(sum(n))
    shares, draws = np.array([0.2, 0.3, 0.5]), 2000
    lost_rate, gained_rate = flips * np.array([1, 1, 3]), flips * np.array([0.5, 0.2, 0.4])
    size = np.array(n)
    lost = rng.binomial(size, lost_rate, (draws, 3))
    gained = rng.binomial(size - lost, gained_rate / (1 - lost_rate))
    truth = shares @ (lost_rate - gained_rate)
    settings = Settings(weights={str(i): float(share) for i, share in enumerate(shares)})
    wholes = [
        _effective_counts.whole(Pair.of(np.stack([size - a - b, a, b, 0 * a], axis=1)), settings)
        for a, b in zip(lost, gained, strict=True)
    ]
    less, more, worth = (np.concatenate([getattr(w, name) for w in wholes]) for name in ("lost", "gained", "n"))
    low, high = _tango.interval(less, more, worth, 0.95)
    missed = 1 - ((low <= truth) & (truth <= high)).mean()
    assert 0.01 < missed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("confidence", [None, 0.95])
def test_clusters_divide_counts_by_their_effect_and_by_students_longer_quantile(confidence: float | None) -> None:
    stratum, cluster, dense, pruned = drawn(40, 60)
    pair = pair_of(stratum, cluster, dense, pruned)

    def by(effect: Array | float, clusters: Array | float) -> Array:
        longer = 1.0 if confidence is None else stats.t.ppf(0.975, np.subtract(clusters, 1)) / stats.norm.ppf(0.975)
        return np.asarray(effect * longer**2)

    found, number = effects(pair), alike(pair)
    own, rest = _effective_counts.sides(pair, Settings(), confidence=confidence)
    whole = _effective_counts.whole(pair, Settings(), confidence=confidence)
    np.testing.assert_allclose(own.n, pair.support / by(found.own, number.own), rtol=1e-9)
    np.testing.assert_allclose(own.lost, pair.lost / by(found.own, number.own), rtol=1e-9)
    others = pair.support.sum() - pair.support
    np.testing.assert_allclose(rest.n, others / by(found.rest, number.rest), rtol=1e-9)
    np.testing.assert_allclose(whole.n, pair.support.sum() / by(found.whole, number.whole), rtol=1e-9)
