"""Offsets against the least cross-entropy of a grid, planted ones, and samples where none helps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from prune_audit.core import Counts, Floats
from prune_audit.mitigations import excess, offsets

CLASSES, EACH = 4, 120


def drawn(seed: int, planted: Floats) -> tuple[Floats, Counts, np.ndarray]:
    """Scores (N, C) of a network that is as good for all classes, but for ``planted`` offsets (C,); labels (N,); and on
    which samples a dense model is right."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), EACH)
    dense = rng.normal(size=(len(labels), CLASSES)) + 2 * np.eye(CLASSES)[labels]
    pruned = 0.9 * dense + 0.4 * rng.normal(size=dense.shape)
    return pruned + planted, labels, dense.argmax(1) == labels


def mean_loss(scores: Floats, labels: Counts) -> float:
    return -float(log_softmax(scores, axis=1)[np.arange(len(labels)), labels].mean())


def test_least_cross_entropy_against_a_grid() -> None:
    scores, labels, _ = drawn(0, np.array([1.0, -0.5, 0, 0]))
    two = scores[:, :2][labels < 2], labels[labels < 2]
    weights = np.full(len(two[1]), 1 / len(two[1]))
    found = offsets.least_cross_entropy(*two, weights, 0.0, np.zeros(2))
    grid = np.linspace(-3, 3, 6001)
    losses = [mean_loss(two[0] + np.array([value, -value]), two[1]) for value in grid[::20]]
    best = grid[::20][int(np.argmin(losses))]
    assert found.sum() == pytest.approx(0, abs=1e-9)
    assert found[0] == pytest.approx(best, abs=0.02)
    assert mean_loss(two[0] + found, two[1]) <= min(losses) + 1e-12
    strong = offsets.least_cross_entropy(*two, weights, 1e6, np.zeros(2))
    np.testing.assert_allclose(strong, 0, atol=1e-5)


def test_planted_offsets_are_found_and_undone() -> None:
    planted = np.array([-1.5, 1.0, 0.5, 0.0])
    scores, labels, right = drawn(1, planted)
    found = offsets.fit(scores, labels, labels, right, tolerance=0.01, seed=0, count=CLASSES)
    assert found.low > 0
    assert found.before > 0.15
    fresh, labels, right = drawn(2, planted)
    hits = [(fresh + shift).argmax(1) == labels for shift in (0, found.offsets)]
    assert excess(right, hits[1], labels, CLASSES).max() < 0.5 * excess(right, hits[0], labels, CLASSES).max()
    assert hits[1].mean() > hits[0].mean()
    np.testing.assert_allclose(found.offsets, planted.mean() - planted, atol=0.6)


def test_where_nothing_is_wrong_no_offset_helps() -> None:
    lows = []
    for seed in range(4):
        scores, labels, right = drawn(10 + seed, np.zeros(CLASSES))
        lows.append(offsets.fit(scores, labels, labels, right, tolerance=0.01, seed=seed, count=CLASSES).low)
    assert max(lows) <= 0


def test_a_number_for_each_sample_changes_nothing_so_logits_do_as_their_logarithms() -> None:
    scores, labels, right = drawn(3, np.array([-1.0, 0, 0, 1.0]))
    logs = log_softmax(scores, axis=1)
    one, other = (offsets.fit(s, labels, labels, right, tolerance=0.01, seed=0, count=CLASSES) for s in (scores, logs))
    np.testing.assert_allclose(one.offsets, other.offsets, atol=1e-4)


def test_a_binary_classifier_has_one() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    dense = rng.normal(size=400) + np.where(labels, 1.5, -1.5)
    scores = (dense - 2.0)[:, None]
    found = offsets.fit(scores, labels, labels, (dense > 0) == labels, tolerance=0.01, seed=0, count=2)
    assert found.offsets.shape == (1,)
    assert found.low > 0
    assert 1.0 < found.offsets[0] < 3.0
