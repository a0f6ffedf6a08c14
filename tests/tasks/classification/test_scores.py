"""What is kept of scores, against softmax and sorting done by hand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import scipy.special

from prune_audit.tasks.classification.scores import NOISE, broken, close, decided, keep, margin, rank, softmax

RNG = np.random.default_rng(4)
SCORES = RNG.normal(size=(40, 6)).astype(np.float32)
LABELS = RNG.integers(0, 6, 40)
ROWS = RNG.permutation(100)[:40]


def test_what_is_kept_is_what_softmax_and_sorting_give() -> None:
    kept = keep(SCORES, LABELS, ROWS, ROWS.astype(np.uint64))
    values = SCORES.astype(np.float64)
    assert kept.predicted is not None
    assert kept.first is not None
    assert kept.spread is not None
    assert kept.total is not None
    np.testing.assert_array_equal(kept.predicted, SCORES.argmax(1))
    np.testing.assert_array_equal(kept.first, values.max(1))
    np.testing.assert_array_equal(kept.own, values[np.arange(40), LABELS])
    np.testing.assert_array_equal(kept.least, values.min(1))
    np.testing.assert_allclose(kept.total, values.sum(1), rtol=1e-12)
    np.testing.assert_allclose(kept.first + kept.spread, scipy.special.logsumexp(values, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(kept.tied, 1)
    order = np.argsort(-SCORES, axis=1, kind="stable")
    np.testing.assert_array_equal(kept.rank, (order == LABELS[:, None]).argmax(1))
    assert kept.column is None


def test_seventy_bytes_a_sample_whatever_the_number_of_classes() -> None:
    kept = keep(SCORES, LABELS, ROWS, ROWS.astype(np.uint64))
    parts = [getattr(kept, field.name) for field in fields(kept)]
    assert sum(part.nbytes for part in parts if part is not None) <= 70 * len(ROWS)


def test_minus_infinity_is_a_score_and_nothing_else_that_is_not_finite() -> None:
    scores = np.array([[0.0, -np.inf, 1], [-np.inf] * 3, [np.nan, 0, 0], [np.inf, 0, 0], [-np.inf, np.nan, 0]])
    np.testing.assert_array_equal(broken(scores), [False, True, True, True, True])
    np.testing.assert_array_equal(broken(scores[:, :1]), [False, False, True, True, False])
    kept = keep(scores[:1], np.array([1]), np.array([0]), np.zeros(1, np.uint64))
    for found, wanted in ((kept.first, 1.0), (kept.own, -np.inf), (kept.rank, 2), (kept.close, False)):
        np.testing.assert_array_equal(found, wanted)
    assert kept.spread is not None
    np.testing.assert_allclose(kept.spread, np.log(1 + np.exp(-1.0)))


def test_ties_are_counted_exactly() -> None:
    scores = np.array([[2.0, 2, 1], [1, 2, 2 + 1e-12], [0, 0, 0]])
    kept = keep(scores, np.array([0, 0, 0]), np.arange(3), np.zeros(3, np.uint64))
    np.testing.assert_array_equal(kept.tied, [2, 1, 3])
    np.testing.assert_array_equal(kept.close, [True, True, True])


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_close_is_within_float_noise_of_the_largest_score(scale: float) -> None:
    first = np.array([[3.0, 1.0, 2.0]] * 3)
    first[0, 2] = 3.0  # a tie
    first[1, 2] = 3.0 * (1 - NOISE / 2)
    first[2, 2] = 3.0 * (1 - 3 * NOISE)
    np.testing.assert_array_equal(close(scale * first), [True, True, False])


def test_a_large_negative_score_has_the_noise_of_its_size() -> None:
    assert close(np.array([[1e-5, 0.0, -100.0]]))[0]
    assert not close(np.array([[1e-5, 0.0, -1e-5]]))[0]


@pytest.mark.parametrize("top", [1, 2, 4])
def test_a_margin_is_between_two_places_of_the_sorted_scores(top: int) -> None:
    scores = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float16)
    ordered = -np.sort(-scores.astype(np.float64), axis=1)
    np.testing.assert_array_equal(margin(scores, top), ordered[:, top - 1] - ordered[:, top])
    assert np.isinf(margin(scores[:, :top], top)).all() or top == 1


def test_the_margin_of_one_column_is_to_the_nearer_split() -> None:
    np.testing.assert_allclose(margin(np.array([[-2.0], [0.1], [0.45], [0.7], [3.0]])), [2, 0.1, 0.05, 0.2, 2.5])


def test_equal_scores_rank_in_the_order_of_the_classes() -> None:
    np.testing.assert_array_equal(rank(np.zeros((3, 3)), np.array([0, 1, 2])), [0, 1, 2])


def test_the_highest_score_decides_and_of_equal_ones_the_first() -> None:
    np.testing.assert_array_equal(decided(np.array([[0.1, 0.3, 0.3], [2, 1, 2], [-np.inf, -5, -9]])), [1, 0, 1])
    np.testing.assert_array_equal(decided(np.array([2, 0, 1], np.int32)), [2, 0, 1])


@pytest.mark.parametrize("split", [0.0, 0.5])
def test_one_column_decides_above_the_split(split: float) -> None:
    column = split + np.array([[-1e-9], [0.0], [1e-9]])
    np.testing.assert_array_equal(decided(column, split), [0, 0, 1])


def test_softmax_of_one_score_is_that_of_scipy() -> None:
    values = 300 * SCORES.astype(np.float64)  # exp of it alone would overflow
    kept = keep(values, LABELS, ROWS, ROWS.astype(np.uint64))
    assert kept.own is not None
    assert kept.first is not None
    assert kept.spread is not None
    wanted = scipy.special.softmax(values, axis=1)[np.arange(len(LABELS)), LABELS]
    np.testing.assert_allclose(softmax(kept.own, kept.first, kept.spread), wanted, rtol=1e-9)
