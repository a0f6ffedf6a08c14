"""Weighted wholes: against plain sums, an even mix, and coverage by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from prune_audit.core import Pair, Settings
from prune_audit.stats import _effective_counts, _tango
from prune_audit.stats import recall as recalls
from tests.stats.pairs import measured, pairs, quick

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
