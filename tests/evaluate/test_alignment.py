"""The dense model by itself: strong evidence of a wrong order or of chance stops, anything less does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from prune_audit.core import Counts, Outputs, Predictions
from prune_audit.errors import AlignmentError
from prune_audit.evaluate import alignment
from prune_audit.evaluate.alignment import check, exchanged


def predictions(labels: Counts, predicted: Counts, classes: int) -> Predictions:
    return Predictions(
        classes=tuple(f"c{i}" for i in range(classes)),
        ids=tuple(map(str, range(len(labels)))),
        labels=labels,
        models=(Outputs(name="dense", predicted=predicted),),
    )


def drawn(accuracy: float, classes: int, n: int, seed: int = 0) -> tuple[Counts, Counts]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    wrong = (labels + rng.integers(1, classes, n)) % classes
    return labels, np.where(rng.random(n) < accuracy, labels, wrong)


@pytest.mark.parametrize(("classes", "n"), [(2, 300), (10, 300), (1000, 300), (10, 60)])
def test_a_model_at_chance_stops(classes: int, n: int) -> None:
    rng = np.random.default_rng(1)
    labels, guesses = rng.integers(0, classes, n), rng.integers(0, classes, n)
    with pytest.raises(AlignmentError, match="about as often as chance") as caught:
        check(predictions(labels, guesses, classes))
    assert "--preprocess" in caught.value.hint


def test_always_the_majority_is_chance() -> None:
    labels = (np.arange(4000) % 10 == 0).astype(np.int64)
    with pytest.raises(AlignmentError, match=r"chance \(90.0%\)"):
        check(predictions(labels, np.zeros(4000, np.int64), 2))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("accuracy", "classes", "n"),
    [(0.7, 2, 300), (0.25, 10, 300), (0.1, 1000, 300), (0.95, 2, 300), (0.5, 100, 1000), (0.8, 2, 12), (0.4, 5, 20)],
)
def test_a_model_that_is_merely_poor_or_seen_too_little_goes_on(
    accuracy: float, classes: int, n: int, seed: int
) -> None:
    check(predictions(*drawn(accuracy, classes, n, seed), classes))


def test_one_class_alone_and_a_handful_of_samples_prove_nothing() -> None:
    check(predictions(np.zeros(50, np.int64), np.zeros(50, np.int64), 3))
    check(predictions(np.array([0, 1, 2]), np.array([1, 2, 0]), 3))


def test_numeric_folders_sorted_as_text_are_found_and_the_repair_is_named() -> None:
    """0, 1, 10, 11, 2 ...: the trap that most evaluations fall into at the eleventh class."""
    classes = 12
    labels, predicted = drawn(0.9, classes, 600)
    as_text = np.array(sorted(range(classes), key=str))  # position in the data -> output of the model
    with pytest.raises(AlignmentError, match="another order") as caught:
        check(predictions(np.argsort(as_text)[labels], predicted, classes))
    shown = caught.value.hint.split("by these predictions: ")[1].partition(";")[0]
    repaired = [int(name.strip().removeprefix("c")) for name in shown.split(",")]
    assert [int(as_text[c]) for c in repaired] == list(range(classes))


def test_two_exchanged_classes_are_found_among_good_ones() -> None:
    labels, predicted = drawn(0.9, 10, 500)
    swapped = np.array([0, 1, 2, 5, 4, 3, 6, 7, 8, 9])[predicted]
    with pytest.raises(AlignmentError, match=r"takes 2 classes for one another \('c3' as 'c5', 'c5' as 'c3'\)"):
        check(predictions(labels, swapped, 10))


def test_a_class_that_another_swallows_is_no_exchange() -> None:
    labels = np.repeat(np.arange(4), 50)
    predicted = np.where(labels == 2, 1, labels)
    assert exchanged(labels, predicted, 4) == {}
    check(predictions(labels, predicted, 4))


def test_two_classes_that_are_hard_to_tell_apart_are_no_exchange() -> None:
    labels = np.repeat(np.arange(10), 20)
    muddled = np.where((labels < 2) & (np.arange(200) % 20 >= 9), 1 - labels, labels)  # .45 right, .55 as the other
    check(predictions(labels, muddled, 10))


def test_published_models_are_healthy(shared: Path) -> None:
    folder = shared / "cifar10.1-v4-predictions"
    labels = np.load(folder / "labels.npy").astype(np.int64)
    files = sorted(folder.glob("*.json"))
    for file in files:
        predicted = np.array(json.loads(file.read_text()), np.int64)
        check(predictions(labels, predicted, 10))
        for seed in range(3):
            some = np.random.default_rng(seed).permutation(len(labels))[:300]
            check(predictions(labels[some], predicted[some], 10))
    assert len(files) == 30


def told(dense: Sequence[int], variant: Sequence[int], labels: Sequence[int], classes: int = 4) -> tuple[str, ...]:
    return alignment.notes(
        Predictions(
            classes=tuple("abcd"[:classes]),
            ids=tuple(map(str, range(len(labels)))),
            labels=np.array(labels),
            models=(
                Outputs(name="dense", predicted=np.array(dense)),
                Outputs(name="variant", predicted=np.array(variant)),
            ),
        )
    )


def test_a_variant_with_its_outputs_in_another_order_is_said() -> None:
    labels = [0, 1, 2, 3] * 20
    [note] = told(labels, [1, 0, 2, 3] * 20, labels)
    assert "'a' as 'b'" in note
    assert "variant" in note


def test_a_variant_that_agrees_by_chance_is_said() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 300).tolist()
    [note] = told(labels, rng.integers(0, 4, 300).tolist(), labels)
    assert "about as often as by chance" in note
    [note] = told(labels, [2] * 300, labels)
    assert "pruning left nothing" in note


@pytest.mark.parametrize("kept", [0.5, 0.9, 1.0])
def test_a_variant_that_lost_half_is_not(kept: float) -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 300)
    variant = np.where(rng.random(300) < kept, labels, rng.integers(0, 4, 300))
    assert told(labels.tolist(), variant.tolist(), labels.tolist()) == ()


def test_one_class_is_no_chance() -> None:
    assert told([0] * 50, [0] * 50, [0] * 50, classes=1) == ()
