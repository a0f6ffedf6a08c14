"""Counts of a pair by hand; those of clusters, bins and ties have their oracles where they are measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from prune_audit.core import Counts, Outputs, Predictions
from prune_audit.tasks import classification

# Label, answer of the dense and answer of the pruned model, (N, 3).
answers: st.SearchStrategy[Counts] = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40
).map(np.array)


def made(table: Counts) -> Predictions:
    labels, dense, pruned = table.astype(np.int64).T
    models = Outputs(name="dense", predicted=dense), Outputs(name="pruned", predicted=pruned)
    return Predictions(classes=tuple("abcd"), ids=tuple(map(str, range(len(labels)))), labels=labels, models=models)


@given(table=answers)
def test_a_pair_counts_what_sklearn_counts(table: Counts) -> None:
    pair = classification.pair(made(table), "dense", "pruned")
    for outcome, (was, now) in {
        "both": (True, True), "lost": (True, False), "gained": (False, True), "neither": (False, False),
    }.items():  # fmt: skip
        kind = ((table[:, 1] == table[:, 0]) == was) & ((table[:, 2] == table[:, 0]) == now)
        np.testing.assert_array_equal(getattr(pair, outcome), np.bincount(table[kind, 0], minlength=4))
    matrices = [confusion_matrix(table[:, 0], table[:, at], labels=range(4)) for at in (1, 2)]
    np.testing.assert_array_equal(pair.both + pair.lost, np.diag(matrices[0]))
    np.testing.assert_array_equal(pair.both + pair.gained, np.diag(matrices[1]))
    np.testing.assert_array_equal(pair.pruned_predicted, matrices[1].sum(axis=0))


@given(table=answers, most=st.integers(0, 12))
def test_flips_are_the_samples_on_which_one_of_two_is_right(table: Counts, most: int) -> None:
    shown, count = classification.flips(made(table), "dense", "pruned", most)
    lost = [i for i, (label, a, b) in enumerate(table) if a == label != b]
    gained = [i for i, (label, a, b) in enumerate(table) if a != label == b]
    assert count == len(lost) + len(gained)
    assert len(shown) == min(most, count)
    ids = [int(flip.id) for flip in shown]
    assert ids[: len(lost)] == sorted(ids[: len(lost)])
    assert set(ids[: min(most, len(lost))]) <= set(lost)
    assert set(ids[len(lost) :]) <= set(gained)
    for flip in shown:
        assert [flip.label, flip.dense, flip.pruned] == ["abcd"[at] for at in table[int(flip.id)]]


@given(table=answers)
def test_samples_say_which_each_model_is_right_on(table: Counts) -> None:
    kept = classification.samples(made(table), ("class",), None)
    np.testing.assert_array_equal(kept.strata["class"], table[:, 0])
    np.testing.assert_array_equal(kept.right["dense"], table[:, 1] == table[:, 0])
    np.testing.assert_array_equal(kept.right["pruned"], table[:, 2] == table[:, 0])
    assert kept.cluster is None


def ranked(classes: int) -> Predictions:
    labels, rank = np.arange(20) % classes, np.arange(20) % 7
    names = tuple("abcdefghij"[:classes])
    model = Outputs(name="dense", predicted=labels, rank=rank.astype(np.int32))
    other = Outputs(name="pruned", predicted=labels, rank=np.roll(rank, 2).astype(np.int32))
    return Predictions(classes=names, ids=tuple(map(str, range(20))), labels=labels, models=(model, other))


def test_the_first_five_are_counted_where_nothing_is_asked_for() -> None:
    found = classification.pair(ranked(10), "dense", "pruned").top
    asked = classification.pair(ranked(10), "dense", "pruned", top_k=5).top
    assert found is not None
    assert asked is not None
    assert (found.k, found.both.tolist(), found.lost.tolist()) == (5, asked.both.tolist(), asked.lost.tolist())
    a, b = ranked(10).models[0].rank, ranked(10).models[1].rank
    assert a is not None
    assert b is not None
    assert (found.both.sum(), found.gained.sum()) == (((a < 5) & (b < 5)).sum(), ((a >= 5) & (b < 5)).sum())


@pytest.mark.parametrize(("classes", "k", "told"), [(5, 5, False), (6, 5, True), (5, 4, True), (3, 5, False)])
def test_all_classes_are_no_first_few(classes: int, k: int, told: bool) -> None:
    assert (classification.pair(ranked(classes), "dense", "pruned", top_k=k).top is not None) == told


def test_answers_and_labels_are_as_many() -> None:
    """Numpy would stretch one of them in silence."""
    with pytest.raises(ValueError, match="predictions for"):
        classification.right(np.array([1]), np.array([1, 1]))
