"""e-LOND by hand, at the worst dependence there is, and by simulation; a mean of e-values against their definition."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.stats import e_lond, log_e, log_mean_e, shares
from tests.stats.pairs import quick

logs = st.lists(st.floats(-5, 30), min_size=1, max_size=40).map(np.array)


def everybody(count: int) -> np.ndarray:
    return np.ones(count, bool)


def test_levels_by_hand() -> None:
    """A budget of .1: 6 / pi^2 is .6079271, of which release t has the t^2-th part, once more for each rejection."""
    e = np.array([20.0, 10.0, 2000.0, 1.0])
    levels, rejected = e_lond(np.log(e), everybody(4), 0.1)
    np.testing.assert_allclose(levels, [0.06079271, 0.03039636, 0.01350949, 0.01139863], rtol=1e-6)
    np.testing.assert_array_equal(rejected, [True, False, True, False])


def test_a_release_is_rejected_at_its_level_and_not_just_below() -> None:
    needed = math.log(math.pi**2 / 6 / 0.1)
    for step, found in ((1e-9, True), (-1e-9, False)):
        assert bool(e_lond(np.array([needed + step]), everybody(1), 0.1)[1][0]) is found


def test_those_that_were_not_asked_use_up_their_share_and_are_not_rejected() -> None:
    levels, rejected = e_lond(np.full(3, 20.0), np.array([False, True, True]), 0.1)
    np.testing.assert_array_equal(rejected, [False, True, True])
    np.testing.assert_allclose(levels, [0.06079271, 0.01519818, 0.01350949], rtol=1e-6)


def test_the_shares_are_those_of_a_whole() -> None:
    assert shares(3) == pytest.approx([0.6079271, 0.1519818, 0.0675475], rel=1e-6)
    many = 10**6
    rest = 6 / math.pi**2 / (many + 0.5)  # the integral of what is left, to one part in 1e12
    assert shares(many).sum() + rest == pytest.approx(1, abs=1e-12)


@quick
@given(found=logs, alpha=st.floats(0.01, 0.5))
def test_more_evidence_never_rejects_fewer(found: np.ndarray, alpha: float) -> None:
    _, rejected = e_lond(found, everybody(len(found)), alpha)
    levels, more = e_lond(found + 0.5, everybody(len(found)), alpha)
    assert (more >= rejected).all()
    assert (levels <= alpha).all()


def test_at_the_worst_dependence_the_share_of_false_ones_is_just_the_budget_spent() -> None:
    """e-values that exclude each other: one at most is beyond its level, so that all that is rejected is false."""
    alpha, count = 0.3, 6
    first = alpha * shares(count)  # the levels as long as nothing is rejected
    rate = 0.0
    for t in range(count):  # e_t is 1 / first[t] with this probability, and else 0: a mean of 1
        stream = np.full(count, -np.inf)
        stream[t] = -np.log(first[t]) + 1e-12  # of rounding
        rate += first[t] * float(e_lond(stream, everybody(count), alpha)[1].any())
    assert rate == pytest.approx(alpha * shares(count).sum(), rel=1e-12)
    assert rate < alpha


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("alternatives", [0, 6])
def test_the_share_of_false_alarms_stays_within_the_budget(reuse: bool, alternatives: int) -> None:
    """Streams of 20 releases of 4 classes, which lost just the margin but in ``alternatives`` of the releases.

    With ``reuse`` all releases that lost just the margin flip the very same samples: whole dependence. The margin is
    large and the samples are few, so that e-values are as wild as they get.
    """
    rng, alpha, margin, n, streams, length = np.random.default_rng(5), 0.2, 0.2, 30, 2000, 20
    chances = [0.25, 0.05, 0.7]
    counts = rng.multinomial(n, chances, size=(streams, 1 if reuse else length, 4))
    lost, gained = (np.broadcast_to(counts[..., k], (streams, length, 4)).copy() for k in (0, 1))
    at = rng.permuted(np.tile(np.arange(length) < alternatives, (streams, 1)), axis=1)
    true = rng.multinomial(n, [0.7, 0.0, 0.3], size=(streams, length, 4))
    lost[at], gained[at] = true[at][..., 0], true[at][..., 1]
    single = log_e(lost.reshape(-1), gained.reshape(-1), np.full(lost.size, n), margin).reshape(lost.shape)
    found = np.log(np.exp(single).mean(axis=-1))
    false = []
    for stream, alternative in zip(found, at, strict=True):
        rejected = e_lond(stream, everybody(length), alpha)[1]
        false.append((rejected & ~alternative).sum() / max(rejected.sum(), 1))
    error = np.std(false) / math.sqrt(streams)
    assert np.mean(false) <= alpha + 3 * error
    if alternatives:
        assert at.any(axis=1).all()
    naive = (found >= math.log(1 / alpha)) & ~at  # each release at the whole budget, as if it were the only one
    assert naive.any(axis=1).mean() > np.mean(np.array(false) > 0)


@given(found=st.lists(st.integers(-20, 20), min_size=1, max_size=8))
@quick
def test_the_mean_of_e_values_in_exact_numbers(found: list[int]) -> None:
    exact = sum((Fraction(2) ** k for k in found), Fraction(0)) / len(found)
    assert log_mean_e(np.log(2.0) * np.array(found, float)) == pytest.approx(math.log(exact), abs=1e-12)


def test_the_mean_where_some_or_all_are_nothing_or_huge() -> None:
    assert log_mean_e(np.array([-np.inf, np.log(3)])) == pytest.approx(np.log(1.5))
    assert log_mean_e(np.array([-np.inf, -np.inf])) == -np.inf
    assert log_mean_e(np.array([5000.0, 0.0])) == pytest.approx(5000 - np.log(2))
