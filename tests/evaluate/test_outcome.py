"""What is kept of scores, against softmax and sorting done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from prune_audit.evaluate.outcome import NOISE, Kept, close, given, probabilities, rank

RNG = np.random.default_rng(4)
SCORES = RNG.normal(size=(40, 6)).astype(np.float32)
LABELS = RNG.integers(0, 6, 40)
ROWS = RNG.permutation(100)[:40]


def test_of_scores_keeps_what_softmax_and_sorting_give() -> None:
    kept = Kept.of_scores(SCORES, LABELS, ROWS, ROWS.astype(np.uint64))
    chances = scipy.special.softmax(SCORES.astype(np.float64), axis=1)
    assert kept.predicted is not None
    assert kept.confidence is not None
    assert kept.true_score is not None
    np.testing.assert_array_equal(kept.predicted, SCORES.argmax(1))
    np.testing.assert_allclose(kept.confidence, chances.max(1), rtol=1e-12)
    np.testing.assert_allclose(kept.true_score, chances[np.arange(40), LABELS], rtol=1e-12)
    order = np.argsort(-SCORES, axis=1, kind="stable")
    np.testing.assert_array_equal(kept.rank, (order == LABELS[:, None]).argmax(1))
    assert kept.column is None


def test_thirty_two_bytes_a_sample_or_little_more() -> None:
    kept = Kept.of_scores(SCORES, LABELS, ROWS, ROWS.astype(np.uint64))
    parts = (kept.rows, kept.digests, kept.predicted, kept.confidence, kept.true_score, kept.rank, kept.close)
    assert sum(part.nbytes for part in parts if part is not None) <= 41 * len(ROWS)


def test_concat_and_take_are_those_of_arrays() -> None:
    whole = Kept.of_scores(SCORES, LABELS, ROWS, ROWS.astype(np.uint64))
    halves = Kept.concat([whole.take(np.arange(20)), whole.take(np.arange(20, 40))])
    for name in ("rows", "digests", "predicted", "confidence", "true_score", "rank", "close"):
        np.testing.assert_array_equal(getattr(halves, name), getattr(whole, name))
    assert halves.column is None
    assert len(halves) == 40


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


def test_probabilities_are_given_where_rows_sum_to_one() -> None:
    chances = scipy.special.softmax(SCORES, axis=1)
    assert given(chances)
    assert given(chances.astype(np.float16))
    assert not given(SCORES)
    assert not given(chances / 2)
    np.testing.assert_array_equal(probabilities(chances), chances.astype(np.float64))
    np.testing.assert_allclose(probabilities(SCORES), scipy.special.softmax(SCORES.astype(np.float64), axis=1))


def test_equal_scores_rank_in_the_order_of_the_classes() -> None:
    np.testing.assert_array_equal(rank(np.zeros((3, 3)), np.array([0, 1, 2])), [0, 1, 2])
