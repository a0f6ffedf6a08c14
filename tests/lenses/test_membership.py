"""Attacks against closed forms, scikit-learn, statsmodels and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve
from statsmodels.stats.multitest import multipletests

from prune_audit.core import Floats
from prune_audit.lenses import _membership as membership


def drawn(members: int, others: int, seed: int = 0, draws: int = 20) -> membership.Class:
    return membership.of_class(members, others, np.random.default_rng(seed), draws)


def test_two_normal_laws_have_their_advantage_and_auc() -> None:
    """N(s, 1) against N(0, 1): the best threshold lies halfway and gains 2 Phi(s / 2) - 1; AUC is Phi(s / sqrt 2)."""
    n, s = 8_000, 1.0
    found = np.random.default_rng(1).standard_normal(2 * n)
    found[:n] += s
    samples = drawn(n, n)
    # Two shares of 8,000 have a standard error of .007.
    assert membership.advantage(samples, found).value == pytest.approx(2 * norm.cdf(s / 2) - 1, abs=0.025)
    assert membership.auc(samples, found).value == pytest.approx(norm.cdf(s / 2**0.5), abs=0.015)


def test_without_a_difference_there_is_nothing_to_gain_though_thresholds_are_fitted() -> None:
    gains, areas = [], []
    for seed in range(200):
        samples = drawn(30, 30, seed, 1)
        found = np.random.default_rng(seed + 1000).random(60)
        gains.append(membership.advantage(samples, found).value)
        areas.append(membership.auc(samples, found).value)
    # On the samples that they are fitted on, thresholds would gain .2 on average.
    assert np.mean(gains) == pytest.approx(0, abs=4 * np.std(gains) / 200**0.5)
    assert np.mean(areas) == pytest.approx(0.5, abs=4 * np.std(areas) / 200**0.5)


def test_a_model_that_is_right_on_all_members_and_seven_in_ten_others_gains_three_in_ten() -> None:
    """(1 + .3) / 2 = .65 balanced accuracy (Yeom et al. 2018)."""
    samples = drawn(50, 100)
    right = np.concatenate([np.ones(50), np.ones(70), np.zeros(30)])
    found = membership.advantage(samples, right, fitted=False)
    assert found.value == pytest.approx(0.3, abs=1e-12)
    assert (1 + found.value) / 2 == pytest.approx(0.65)
    swapped = membership.advantage(drawn(100, 50), np.concatenate([right[50:], right[:50]]), fitted=False)
    assert swapped.value == pytest.approx(-0.3, abs=1e-12)


def test_a_model_that_knows_its_samples_by_heart_is_told_at_once() -> None:
    samples = drawn(20, 20)
    found = np.concatenate([np.ones(20), np.random.default_rng(2).random(20) / 3])
    assert membership.advantage(samples, found).value == 1.0
    assert membership.auc(samples, found).value == 1.0
    assert (membership.advantage(samples, found).draws == 1.0).all()


def test_areas_are_those_of_scikit_learn_ties_and_draws_included() -> None:
    generator = np.random.default_rng(3)
    samples, found = drawn(40, 25, 3), generator.integers(0, 6, 65).astype(float)
    area = membership.auc(samples, found)
    assert area.value == pytest.approx(roc_auc_score(samples.member, found), abs=1e-12)
    for draw, weights in zip(area.draws, samples.weights[1:], strict=True):
        assert draw == pytest.approx(roc_auc_score(samples.member, found, sample_weight=weights), abs=1e-12)
    swapped = membership.Class(member=~samples.member, half=samples.half, weights=samples.weights)
    assert membership.auc(swapped, found).value == pytest.approx(1 - area.value, abs=1e-12)


def best(found: Floats, member: np.ndarray) -> float:
    """The threshold that gains most, tried one by one; infinite where none gains."""
    levels = np.unique(found)
    tried = [*(levels[1:] + levels[:-1]) / 2, -np.inf, np.inf]
    gains = [(found[member] > t).mean() - (found[~member] > t).mean() for t in tried]
    return float(max(zip(gains, tried, strict=True))[1]) if max(gains) > 0 else np.inf


def test_thresholds_are_the_best_of_all_on_the_other_half() -> None:
    for seed in range(30):
        samples = drawn(11, 9, seed, 1)
        found = np.random.default_rng(seed).permutation(20) + 0.5 * samples.member
        gained = []
        for fit in (samples.half, ~samples.half):
            level = best(found[fit], samples.member[fit])
            called, member = found[~fit] > level, samples.member[~fit]
            gained.append(called[member].mean() - called[~member].mean())
        own = membership.advantage(samples, found).value
        # Equal gains leave a choice of thresholds, which both sides make alike only where there is one.
        ours = membership._across(samples, found, samples.half)[0], membership._across(samples, found, ~samples.half)[0]
        assert own == pytest.approx(np.mean(ours))
        for fit, gain, mine in zip((samples.half, ~samples.half), gained, ours, strict=True):
            if _unique(found[fit], samples.member[fit]):
                assert mine == pytest.approx(gain)


def _unique(found: Floats, member: np.ndarray) -> bool:
    order = np.argsort(-found)
    upto = np.where(member[order], 1 / member.sum(), -1 / (~member).sum()).cumsum()
    return bool((np.isclose(upto, upto.max())).sum() == 1 and upto.max() > 1e-9)


def test_halves_are_of_members_and_of_others_and_draws_stay_in_them() -> None:
    samples = drawn(10, 7, 4)
    for which, n in ((samples.member, 10), (~samples.member, 7)):
        assert samples.half[which].sum() == n // 2
        for half in (samples.half, ~samples.half):
            assert (samples.weights[:, which & half].sum(axis=1) == (which & half).sum()).all()


def test_found_at_one_in_a_hundred_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(5)
    classes = [drawn(300, 600, seed, 3) for seed in (1, 2)]
    found = [generator.standard_normal(900) + 1.5 * each.member for each in classes]
    low = membership.at_low_rate(classes, found)
    assert low is not None
    member = np.concatenate([each.member for each in classes])
    false, true, _ = roc_curve(member, np.concatenate(found), drop_intermediate=False)
    assert low.value == pytest.approx(true[np.flatnonzero(false <= 0.01 + 1e-12)[-1]])
    assert membership.at_low_rate(classes[:1], found[:1]) is None  # 600 others


def test_intervals_and_p_of_what_was_drawn() -> None:
    found = membership.Drawn(value=1.0, draws=np.arange(-1, 99) / 10)
    assert found.limits(0.9) == pytest.approx((0.395, 9.305))
    assert found.p == pytest.approx(2 * (1 + 2) / 101)  # two draws are not above 0
    same = found.less(found)
    assert same.value == 0
    assert same.p == 1.0
    assert membership.mean([found, same]).value == 0.5


def test_the_interval_covers() -> None:
    """The truth of two normal laws, .95 of 150 times with a standard error of .018; fitted thresholds cost a little."""
    truth, held = 2 * norm.cdf(0.5) - 1, 0
    for seed in range(150):
        samples = drawn(150, 150, seed, 199)
        found = np.random.default_rng(seed + 500).standard_normal(300) + samples.member
        low, high = membership.advantage(samples, found).limits(0.95)
        held += low <= truth <= high
    assert 0.88 <= held / 150 <= 1


def test_scores_of_the_attacks() -> None:
    p = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    found = membership.scores(p, np.array([0, 1]))
    assert found["confidence"].tolist() == [0.7, 0.0]
    assert found["entropy"] == pytest.approx([0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1), 0], abs=1e-10)
    first = 0.3 * np.log(0.7) + 0.2 * np.log(0.8) + 0.1 * np.log(0.9)
    # The label has no probability, and all of it is on another class.
    assert found["modified entropy"] == pytest.approx([first, 2 * np.log(membership.TINY)], abs=1e-10)


def test_holm_is_that_of_statsmodels() -> None:
    p = {4: 0.01, 0: 0.04, 7: 0.03, 2: 0.005}
    expected = multipletests(list(p.values()), method="holm")[1]
    assert [membership.holm(p)[at] for at in p] == pytest.approx(expected)
