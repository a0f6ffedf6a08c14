"""Rounds: every sample once, in an order that outcomes cannot change, and no more of what is settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from prune_audit.core import Array, Counts, Outputs, Predictions, Settings
from prune_audit.errors import AlignmentError, ModelError
from prune_audit.evaluate import sample_checks
from prune_audit.evaluate.batch_size import Plan
from prune_audit.evaluate.loop import evaluate
from prune_audit.evaluate.rounds import FULL, LEAST, Rounds
from tests.evaluate._models import ArrayData, FunctionModel

LABELS = np.repeat([0, 1, 2], [500, 300, 40])[np.random.default_rng(0).permutation(840)]
ALL = np.arange(840)


def predictions(rows: Counts) -> Predictions:
    """Of a model that is always right."""
    same = Outputs(name="dense", predicted=LABELS[rows])
    return Predictions(classes=("a", "b", "c"), ids=tuple(map(str, rows)), labels=LABELS[rows], models=(same,))


def taken(rounds: Rounds) -> list[Counts]:
    """Every round until the end."""
    parts = [rounds.first]
    while len(more := rounds.next(predictions(np.sort(np.concatenate(parts))))):
        parts.append(more)
    return parts


def after(need: Sequence[int]) -> Callable[[Predictions | None], Array]:
    """Classes are open until they have so many samples."""
    return lambda so_far: (0 if so_far is None else np.bincount(so_far.labels, minlength=3)) < np.array(need)


def test_all_are_drawn_once_where_nothing_is_settled() -> None:
    parts = taken(Rounds(LABELS, ALL, 0, after([9999] * 3), 100))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), ALL)
    assert all((np.diff(part) > 0).all() for part in parts)
    assert len(parts[0]) == 100
    np.testing.assert_allclose(np.bincount(LABELS[parts[0]]), 100 * np.bincount(LABELS) / 840, atol=1)


def test_a_settled_class_is_not_run_further() -> None:
    rounds = Rounds(LABELS, ALL, 0, after([120, 9999, 20]), 60)
    counts = np.bincount(LABELS[np.concatenate(taken(rounds))])
    assert counts[1] == 300
    assert 120 <= counts[0] <= 120 * 1.1 + LEAST * -(-FULL // (2 * LEAST))
    assert 20 <= counts[2] < 40
    np.testing.assert_array_equal(rounds.left, np.bincount(LABELS) - counts)


def test_a_class_that_opens_again_is_drawn_from_again() -> None:
    """As where the list of regressed classes has grown shorter."""
    rounds = Rounds(LABELS, ALL, 0, lambda p: np.array([p is None or len(p.labels) > 200, p is None, True]), 90)
    counts = [np.bincount(LABELS[part], minlength=3) for part in taken(rounds)]
    assert counts[1][0] == 0
    assert sum(part[0] for part in counts) == 500 or sum(part[2] for part in counts) == 40


def test_rounds_fill_a_batch_and_grow_by_a_tenth() -> None:
    parts = taken(Rounds(LABELS, ALL, 0, after([9999, 0, 0]), 300))
    sizes = [len(part) for part in parts[1:-1]]
    assert min(sizes) >= FULL
    total = np.cumsum([np.bincount(LABELS[part], minlength=3)[0] for part in parts])
    assert all(size <= max(2 * FULL, 0.1 * have + LEAST) for size, have in zip(sizes, total, strict=False))


def test_the_order_comes_from_the_seed_and_not_from_outcomes() -> None:
    """Of each class the samples that are run are the front of one list, whatever was settled when."""

    def order(need: Sequence[int], seed: int = 0) -> list[list[int]]:
        rows = np.concatenate(taken(Rounds(LABELS, ALL, seed, after(need), 60)))
        return [sorted(rows[LABELS[rows] == c].tolist()) for c in range(3)]

    whole, some = order([9999] * 3), order([100, 150, 30])
    assert some == order([100, 150, 30])
    assert some != order([100, 150, 30], seed=1)
    shuffled = np.random.default_rng(0).permutation(ALL)
    for c in range(3):
        front = shuffled[LABELS[shuffled] == c][: len(some[c])]
        assert some[c] == sorted(front.tolist())
        assert set(some[c]) <= set(whole[c])


def test_what_was_settled_before_the_first_sample_is_not_run() -> None:
    rounds = Rounds(LABELS, ALL, 0, lambda _: np.array([False, True, False]), 50)
    assert set(LABELS[np.concatenate(taken(rounds))]) == {1}
    assert len(rounds.first) == 50


def test_only_the_rows_at_hand_are_drawn() -> None:
    rows = ALL[100:300]
    parts = taken(Rounds(LABELS, rows, 0, after([9999] * 3), 30))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), rows)


# ------------------------------------------------------------------------------------------------------- in the pass

X = np.eye(3)[LABELS] + 0.01 * np.random.default_rng(1).normal(size=(840, 3))


def pair_of_models() -> list[FunctionModel]:
    return [FunctionModel("dense", lambda x: x), FunctionModel("pruned", lambda x: 2 * x)]


@pytest.mark.usefixtures("unchecked")
def test_a_pass_runs_the_rounds_and_nothing_else() -> None:
    data, models = ArrayData({"x": X}, LABELS.tolist(), classes=("a", "b", "c")), pair_of_models()
    rounds = Rounds(LABELS, ALL, 0, after([120, 60, 20]), 60)
    told: list[tuple[int, int]] = []
    found = evaluate(models, data, ALL, Settings(workers=1), lambda done, of: told.append((done, of)), rounds=rounds)
    n = len(found.predictions.labels)
    np.testing.assert_array_equal(np.bincount(found.predictions.labels) + rounds.left, np.bincount(LABELS))
    assert 200 <= n < 500
    assert sum(shape[0] for shape in models[0].shapes) == n
    assert told[-1] == (n, 840)
    rows = [int(each.removeprefix("s")) for each in found.predictions.ids]
    assert rows == sorted(rows)


@pytest.mark.usefixtures("unchecked")
def test_unreadable_samples_are_neither_run_nor_spared() -> None:
    bad = np.flatnonzero(LABELS == 2)[:5].tolist()
    data = ArrayData({"x": X}, LABELS.tolist(), classes=("a", "b", "c"), bad=bad)
    rounds = Rounds(LABELS, ALL, 0, after([60, 60, 9999]), 60)
    found = evaluate(pair_of_models(), data, ALL, Settings(workers=1, skip_bad=5), rounds=rounds)
    assert len(found.skipped) == 5
    assert rounds.left[2] == 0
    assert (found.predictions.labels == 2).sum() == 35


@pytest.mark.usefixtures("unchecked")
def test_models_and_labels_that_do_not_fit_stop_the_run_after_the_first_samples() -> None:
    data = ArrayData({"x": X[:, [1, 2, 0]]}, LABELS.tolist(), classes=("a", "b", "c"))
    models = pair_of_models()
    with pytest.raises(AlignmentError):
        evaluate(models, data, ALL, Settings(workers=1), rounds=Rounds(LABELS, ALL, 0, after([9999] * 3), 90))
    assert sum(shape[0] for shape in models[0].shapes) == 90


@pytest.mark.usefixtures("unchecked")
def test_the_expected_accuracy_is_asked_of_the_first_samples_alone() -> None:
    """Later ones are mixed as classes stop, which says nothing of the accuracy on the data."""
    wrong = np.where((LABELS == 1)[:, None] & (np.arange(840) % 2 == 0)[:, None], X[:, [1, 0, 2]], X)  # half of b
    data = ArrayData({"x": wrong}, LABELS.tolist(), classes=("a", "b", "c"))
    settings = Settings(workers=1, expect_accuracy=1 - 0.5 * 300 / 840)
    rounds = Rounds(LABELS, ALL, 0, after([1, 9999, 1]), 90)
    found = evaluate(pair_of_models(), data, ALL, settings, rounds=rounds).predictions
    assert (found.models[0].predicted == found.labels).mean() < 0.65
    rounds = Rounds(LABELS, ALL, 0, after([1, 9999, 1]), 90)
    with pytest.raises(AlignmentError, match="expect-accuracy"):
        evaluate(pair_of_models(), data, ALL, Settings(workers=1, expect_accuracy=0.3), rounds=rounds)
    # Where a class is settled beforehand the first samples say nothing of it either.
    rounds = Rounds(LABELS, ALL, 0, after([0, 9999, 9999]), 90)
    evaluate(pair_of_models(), data, ALL, settings, rounds=rounds)


def test_batches_that_hang_on_earlier_predictions_are_refused() -> None:
    with pytest.raises(ModelError, match="predictions of m depend on the batch, and which samples are in one"):
        sample_checks.company("m", Plan(batch=4, depends=True), None, 4)
