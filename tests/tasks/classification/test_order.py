"""Classes in each other's place: the assignment is checked by brute force, its tests against scipy's and by rates."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from prune_audit.core import Counts
from prune_audit.tasks.classification import order
from prune_audit.tasks.classification.order import misplaced


def drawn(recall: list[float], n: int, seed: int) -> tuple[Counts, Counts]:
    """``n`` samples of each class, right with its recall, else any class alike."""
    rng, count = np.random.default_rng(seed), len(recall)
    labels = np.repeat(np.arange(count), n)
    wrong = (labels + rng.integers(1, count, len(labels))) % count
    return labels, np.where(rng.random(len(labels)) < np.array(recall)[labels], labels, wrong)


def test_rings_are_those_of_the_best_assignment() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        confusion = rng.integers(0, 12, (5, 5))
        to = np.arange(5)
        for ring in order._rings(confusion):
            to[ring] = np.roll(ring, -1)
        score = confusion + order.STAY * np.eye(5)
        best = max(sum(score[i, p[i]] for i in range(5)) for p in permutations(range(5)))
        assert score[np.arange(5), to].sum() == pytest.approx(best, abs=1e-9)  # quarters are exact


def test_a_ring_is_tested_as_a_binomial() -> None:
    confusion = np.array([[4, 9, 0, 1], [0, 2, 11, 0], [7, 0, 3, 0], [0, 0, 0, 5]])
    [p] = order._tested(confusion, [np.array([0, 1, 2])])
    assert p == pytest.approx(binomtest(27, 36, 0.5, alternative="greater").pvalue, rel=1e-9)
    assert order._tested(np.zeros((2, 2), np.int64), [np.array([0, 1])]).tolist() == [1.0]


def pairs(*samples: tuple[int, int]) -> Counts:
    """Of each two classes, how many samples of one are at the other's output, and how many at their own."""
    confusion = np.zeros((2 * len(samples),) * 2, np.int64)
    for at, (there, right) in enumerate(samples):
        one, other = 2 * at, 2 * at + 1
        confusion[[one, other], [other, one]] = there
        confusion[[one, other], [one, other]] = right
    return confusion


@pytest.mark.parametrize(
    ("samples", "kept"),
    [
        ([(5, 0), (5, 0)], []),  # each .00098, of which the better has to reach half of that: Holm's steps end there
        ([(6, 0), (5, 0)], [0, 1]),
        ([(5, 0)], [0]),
        ([(20, 7)], []),  # less than three times as many: 2.86
        ([(21, 7)], [0]),
    ],
)
def test_rings_are_shown_one_after_the_other(samples: list[tuple[int, int]], kept: list[int]) -> None:
    confusion = pairs(*samples)
    rings = [np.array([2 * at, 2 * at + 1]) for at in range(len(samples))]
    found = order._shown(confusion, rings, confusion.sum(axis=1))
    assert [ring.tolist() for ring in found] == [rings[at].tolist() for at in kept]


@pytest.mark.parametrize(("there", "shown"), [(26, True), (25, True), (24, False)])
def test_a_ring_gains_a_fifth_of_its_samples(there: int, shown: bool) -> None:
    """Of 100 samples so many are at the other's output, and five at their own."""
    found = order._shown(pairs((there, 5)), [np.array([0, 1])], np.array([100, 100]))
    assert bool(found) == shown


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ring", [[0, 1], [2, 0, 5]])
def test_a_few_classes_of_low_recall_are_found(ring: list[int], seed: int) -> None:
    recall = [0.8] * 50
    for at in ring:
        recall[at] = 0.45
    labels, predicted = drawn(recall, 40, seed)
    assert misplaced(labels, predicted, 50) == {}
    named = np.arange(50)
    named[ring] = np.roll(ring, -1)
    expected = dict(zip(ring, np.roll(ring, -1).tolist(), strict=True))
    assert misplaced(labels, named[predicted], 50) == expected


def test_a_whole_order_is_found_where_no_class_is_mostly_right() -> None:
    labels, predicted = drawn([0.4] * 60, 30, 1)
    to = np.random.default_rng(1).permutation(60)
    found = misplaced(labels, to[predicted], 60)
    assert found == {c: int(to[c]) for c in range(60) if to[c] != c}


def test_a_large_class_that_a_small_one_swallows_is_no_exchange() -> None:
    """By samples an exchange would gain 560; the small class would lose all that it has."""
    labels = np.repeat(np.arange(4), [1000, 40, 40, 40])
    predicted = labels.copy()
    predicted[:800] = 1
    assert misplaced(labels, predicted, 4) == {}


def test_pairs_that_are_hard_to_tell_apart_are_no_exchange() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(20), 100)
    u = rng.random(2000)
    predicted = np.where(u < 0.38, labels, np.where(u < 0.9, labels ^ 1, rng.integers(0, 20, 2000)))
    assert misplaced(labels, predicted, 20) == {}


def test_the_same_samples_in_another_company_say_the_same() -> None:
    labels, predicted = drawn([0.5] * 12, 50, 7)
    swapped = np.where(predicted < 2, 1 - predicted, predicted)
    more = np.arange(12, 400)  # classes that are always right are beside the point
    whole = misplaced(np.concatenate([labels, more]), np.concatenate([swapped, more]), 400)
    assert whole == misplaced(labels, swapped, 12) == {0: 1, 1: 0}


@pytest.mark.parametrize(("count", "n"), [(10, 20), (100, 5), (1000, 5)])
def test_no_order_is_seen_in_healthy_or_useless_models(count: int, n: int) -> None:
    for seed, recall in enumerate((0.9, 0.5, 0.2, 1 / count)):
        assert misplaced(*drawn([recall] * count, n, seed), count) == {}


def test_published_models_are_in_order(shared: Path) -> None:
    folder = shared / "cifar10.1-v4-predictions"
    labels = np.load(folder / "labels.npy").astype(np.int64)
    files = sorted(folder.glob("*.json"))
    for file in files:
        assert misplaced(labels, np.array(json.loads(file.read_text()), np.int64), 10) == {}
    assert len(files) == 30
