"""The dense model by itself: strong evidence of a wrong order or of chance stops, anything less does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

from prune_audit.core import Counts, Outputs, Predictions, Settings
from prune_audit.errors import AlignmentError
from prune_audit.tasks.classification import alignment
from prune_audit.tasks.classification.alignment import check, exchanged


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


def rare(find: float, alarm: float, n: int, seed: int = 0) -> tuple[Counts, Counts]:
    """Labels of which one in twenty is 1, and a model that finds ``find`` of these and ``alarm`` among the others."""
    labels = (np.arange(n) % 20 == 0).astype(np.int64)
    said = np.random.default_rng(seed).random(n) < np.where(labels == 1, find, alarm)
    return labels, said.astype(np.int64)


@pytest.mark.parametrize("n", [100, 300, 4000])
@pytest.mark.parametrize(("find", "alarm"), [(0.9, 0.1), (0.85, 0.15), (0.95, 0.02)])
def test_a_model_that_finds_a_rare_class_is_not_at_chance(find: float, alarm: float, n: int) -> None:
    """It is right less often than whoever never looks, which were refused for it before."""
    labels, predicted = rare(find, alarm, n)
    assert (predicted == labels).mean() < 0.99
    check(predictions(labels, predicted, 2))


@pytest.mark.parametrize("alarm", [0.0, 0.12, 1.0])
def test_a_model_that_does_not_look_is_at_chance_also_on_rare_classes(alarm: float) -> None:
    with pytest.raises(AlignmentError, match="about as often as chance"):
        check(predictions(*rare(alarm, alarm, 4000), 2))


def test_four_of_five_among_many_false_alarms_are_no_chance() -> None:
    """Kappa is .015 here: by Fisher's exact test 5e-4 in each class, which chance does not give."""
    labels, predicted = np.zeros(3000, np.int64), np.zeros(3000, np.int64)
    labels[:5], predicted[:4], predicted[100:396] = 1, 1, 1
    check(predictions(labels, predicted, 2))
    predicted[2:4] = 0  # two of five: P(at least two) is .08
    with pytest.raises(AlignmentError, match="chance"):
        check(predictions(labels, predicted, 2))


def test_a_constant_model_seen_too_little_to_refuse_is_told() -> None:
    labels = [0] * 57 + [1] * 3
    check(predictions(np.array(labels), np.zeros(60, np.int64), 2))
    [note] = told([0] * 60, labels, labels, classes=2)
    assert "dense names 'a' for every sample" in note
    labels, predicted = rare(0.0, 0.0, 600)[0].tolist(), [0] * 600  # 30 others, all missed
    with pytest.raises(AlignmentError, match="chance"):
        check(predictions(np.array(labels), np.array(predicted), 2))


def test_two_classes_of_low_recall_are_found_among_many() -> None:
    rng = np.random.default_rng(11)
    labels = np.repeat(np.arange(40), 40)
    right = rng.random(1600) < np.where(labels < 2, 0.4, 0.8)
    predicted = np.where(right, labels, rng.integers(0, 40, 1600))
    check(predictions(labels, predicted, 40))
    swapped = np.where(predicted < 2, 1 - predicted, predicted)
    assert exchanged(labels, swapped, 40) == {}
    with pytest.raises(AlignmentError, match="takes 2 classes for one another") as caught:
        check(predictions(labels, swapped, 40))
    assert '--class-map FILE with {"c0": "c1", "c1": "c0"}' in caught.value.hint


def near_chance(kept: float, seed: int = 4) -> tuple[Counts, Counts]:
    """Eight classes that the model names almost blindly, but that two of them are mostly each other."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(8), 60)
    predicted = np.where(rng.random(480) < kept, labels, rng.integers(0, 8, 480))
    other = (labels < 2) & (rng.random(480) < 0.6)
    return labels, np.where(other, 1 - labels, predicted)


def test_of_a_model_near_chance_another_order_is_only_said() -> None:
    labels, predicted = near_chance(0.2)
    check(predictions(labels, predicted, 8))
    [note] = told(predicted.tolist(), predicted.tolist(), labels.tolist(), classes=8)
    assert "dense takes 2 classes for one another ('a' as 'b', 'b' as 'a'): near chance in any order" in note


def test_a_whole_wrong_order_stops_a_run_also_where_two_of_five_are_right_at_best() -> None:
    """class10 between class1 and class2: two classes of twelve keep their places, so that it is no chance either."""
    labels, predicted = drawn(0.4, 12, 1200, seed=8)
    as_text = np.argsort(np.array(sorted(range(12), key=str)))  # output of the model -> position in the data
    with pytest.raises(AlignmentError, match="takes 10 classes for one another"):
        check(predictions(as_text[labels], predicted, 12))
    check(predictions(labels, predicted, 12))


def test_where_chance_stops_a_run_the_better_order_is_named() -> None:
    labels, predicted = drawn(0.255, 20, 4000, seed=3)
    with pytest.raises(AlignmentError, match="chance") as caught:
        check(predictions(labels, (predicted + 1) % 20, 20))
    assert "in another order more would be right: --class-map FILE with {" in caught.value.hint
    assert '"c3": "c4"' in caught.value.hint


def test_pairs_that_are_hard_to_tell_apart_are_no_exchange_whatever_few_samples_say() -> None:
    rng = np.random.default_rng(6)
    labels = np.repeat(np.arange(600), 5)
    u = rng.random(3000)
    predicted = np.where(u < 0.4, labels, np.where(u < 0.85, labels ^ 1, rng.integers(0, 600, 3000)))
    assert exchanged(labels, predicted, 600) == {}
    check(predictions(labels, predicted, 600))


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
            classes=tuple("abcdefgh"[:classes]),
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


def test_a_variant_of_another_order_is_said_also_where_classes_are_rarely_right() -> None:
    rng = np.random.default_rng(12)
    labels = np.repeat(np.arange(8), 100)
    dense = np.where(rng.random(800) < np.where(labels < 3, 0.3, 0.9), labels, rng.integers(0, 8, 800))
    variant = np.array([1, 2, 0, 3, 4, 5, 6, 7])[np.where(rng.random(800) < 0.9, dense, rng.integers(0, 8, 800))]
    [note] = told(dense.tolist(), variant.tolist(), labels.tolist(), classes=8)
    assert "variant takes 3 classes for one another ('a' as 'b', 'b' as 'c', 'c' as 'a')" in note
    assert told(dense.tolist(), dense.tolist(), labels.tolist(), classes=8) == ()


def test_a_model_alone_in_another_order_is_said() -> None:
    labels, predicted = drawn(0.8, 4, 200)
    alone = Predictions(
        classes=("a", "b", "c", "d"),
        ids=tuple(map(str, range(200))),
        labels=labels,
        models=(Outputs(name="it", predicted=(predicted + 1) % 4),),
    )
    [note] = alignment.notes(alone)
    assert "it takes 4 classes for one another" in note
    assert "--classes FILE" in note


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


def both(dense: Counts, variant: Counts, labels: Counts) -> Predictions:
    one = predictions(labels, dense, int(labels.max()) + 1)
    return replace(one, models=(*one.models, Outputs(name="variant", predicted=variant)))


def test_the_dense_model_is_looked_at_and_not_a_variant() -> None:
    labels, good = drawn(0.9, 4, 200)
    guesses = np.random.default_rng(5).integers(0, 4, 200)
    check(both(good, guesses, labels))
    with pytest.raises(AlignmentError, match="the dense model dense is right on"):
        check(both(guesses, good, labels))
    expected = Settings(expect_accuracy=0.9)
    alignment.check_expected(both(good, guesses, labels), expected)
    with pytest.raises(AlignmentError, match="the dense model dense was to have"):
        alignment.check_expected(both(guesses, good, labels), expected)


@pytest.mark.parametrize(("right", "n"), [(0, 8), (3, 40), (39, 40)])
def test_how_often_a_model_may_be_right_is_the_end_of_the_exact_interval(right: int, n: int) -> None:
    high = proportion_confint(right, n, alpha=2 * alignment.LEVEL, method="beta")[1]
    assert alignment._highest(right, n, constant=False) == pytest.approx(high, rel=1e-9)
    # A constant model is right on all of one class: of the others, so many may be right that none in n - right is luck.
    others = 1 - alignment.LEVEL ** (1 / (n - right))
    constant = alignment._highest(right, n, constant=True)
    assert constant == pytest.approx((right + (n - right) * others) / n, rel=1e-9)


@pytest.mark.parametrize("constant", [True, False])
def test_a_model_that_is_always_right_may_always_be(constant: bool) -> None:
    assert alignment._highest(12, 12, constant=constant) == 1


@pytest.mark.parametrize(("reference", "predicted"), [([0, 1, 1, 2], [0, 1, 2, 2]), ([0, 0, 1], [1, 1, 0])])
def test_kappa_is_cohens(reference: list[int], predicted: list[int]) -> None:
    found = alignment._kappa(np.array(reference), np.array(predicted))
    assert found == pytest.approx(cohen_kappa_score(reference, predicted))


def test_of_one_class_there_is_no_way_from_luck_to_perfect() -> None:
    assert alignment._kappa(np.zeros(5, np.int64), np.zeros(5, np.int64)) == 0


def pointing(n: int, other: int, right: int) -> tuple[Counts, Counts]:
    """Two classes of ``n`` samples, so many of which are the ``other``, and so many right; the rest is a third each."""
    labels = np.repeat(np.arange(2 + n), [n, n, *[1] * n])
    predicted = labels.copy()
    for label in range(2):
        own = np.full(n, 1 - label)
        own[other : other + right] = label
        own[other + right :] = 2 + np.arange(n - other - right)
        predicted[labels == label] = own
    return labels, predicted


@pytest.mark.parametrize(
    ("n", "other", "right", "found"),
    [
        (20, 11, 0, True),
        (20, 10, 0, False),  # half of the samples, and no more
        (20, 8, 1, False),  # the most of any, and less than half
        (40, 21, 4, True),
        (40, 25, 5, False),  # five times as many as are right, and no more
        (40, 26, 5, True),
    ],
)
def test_most_of_a_class_and_many_times_those_that_are_right_point_elsewhere(
    n: int, other: int, right: int, found: bool
) -> None:
    labels, predicted = pointing(n, other, right)
    assert exchanged(labels, predicted, 2 + n) == ({0: 1, 1: 0} if found else {})


@pytest.mark.parametrize(("n", "found"), [(5, {0: 1, 1: 2, 2: 0}), (4, {})])
def test_a_class_of_fewer_than_five_samples_points_nowhere(n: int, found: dict[int, int]) -> None:
    """Three classes of four are twelve samples, which by themselves would be no luck."""
    labels = np.repeat(np.arange(3), n)
    assert exchanged(labels, (labels + 1) % 3, 3) == found


def test_one_class_is_no_chance() -> None:
    assert told([0] * 50, [0] * 50, [0] * 50, classes=1) == ()


@pytest.mark.parametrize(("right", "samples"), [(285, 1000), (884, 1000), (0, 40), (40, 40)])
def test_an_expected_accuracy_must_lie_within_the_tolerance_of_the_exact_interval(right: int, samples: int) -> None:
    low, high = proportion_confint(right, samples, alpha=0.05, method="beta")
    for expected in np.linspace(0, 1, 101):
        settings = Settings(expect_accuracy=float(expected), expect_tolerance=0.02)
        if low - 0.02 <= expected <= high + 0.02:
            alignment.check_accuracy("m", right, samples, settings)
        else:
            with pytest.raises(AlignmentError, match=r"the dense model m was to have .* \(--expect-accuracy\)"):
                alignment.check_accuracy("m", right, samples, settings)


def test_the_first_few_samples_have_the_interval_of_one_run_in_a_thousand() -> None:
    near = 1e-6
    low, high = proportion_confint(82, 100, alpha=alignment.LEVEL, method="beta")
    for inside, beyond in ((low + near, low - near), (high - near, high + near)):
        alignment.check_accuracy("m", 82, 100, Settings(expect_accuracy=inside, expect_tolerance=0), luck=True)
        with pytest.raises(AlignmentError, match=r"99\.9 % interval"):
            alignment.check_accuracy("m", 82, 100, Settings(expect_accuracy=beyond, expect_tolerance=0), luck=True)


def test_the_first_few_samples_stop_a_run_only_where_luck_is_ruled_out() -> None:
    settings = Settings(expect_accuracy=0.9, expect_tolerance=0)
    with pytest.raises(AlignmentError):
        alignment.check_accuracy("m", 75, 100, settings, luck=True)
    alignment.check_accuracy("m", 82, 100, settings, luck=True)
    with pytest.raises(AlignmentError):
        alignment.check_accuracy("m", 82, 100, settings)
    alignment.check_accuracy("m", 82, 100, Settings())  # nothing is expected
