"""Precision and F1 from false findings: by counting, against the bootstrap over clusters, and how often they hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_audit.core import Array, FalseCounts, Floats, Pair, Settings
from prune_audit.stats import _false_counts, f1, precision

Made = tuple[Array, FalseCounts]


def counted(per_image: Array) -> FalseCounts:
    """The sums of v in each image and class, (I, C, 5)."""
    images, classes, _ = per_image.shape
    of, within = np.meshgrid(np.arange(classes), np.arange(images))
    return FalseCounts.of(
        classes,
        [(np.repeat(of, per_image[..., i].ravel()), np.repeat(within, per_image[..., i].ravel())) for i in range(5)],
    )


def drawn(rng: np.random.Generator, images: int = 150, classes: int = 3) -> Array:
    """What two models find in images of which some are harder, and where both make more false detections."""
    busy = rng.gamma(2.0, 0.5, (images, 1))
    things = rng.poisson(2 * busy, (images, classes))
    hard = rng.beta(6, 2, (images, 1))
    both = rng.binomial(things, hard)
    dense = both + rng.binomial(things - both, 0.3)
    pruned = both + rng.binomial(things - both, 0.2)
    common = rng.poisson(0.5 * busy, (images, classes))
    return np.stack(
        [things, dense, common + rng.poisson(0.3, common.shape), pruned, common + rng.poisson(0.4, common.shape)],
        axis=2,
    )


def test_one_finding_alone_is_a_whole() -> None:
    """The smallest denominator there is: one right finding of the dense model, one false one of the pruned model."""
    dense, pruned, *_ = _false_counts.ratio_of(counted(np.array([[[1, 1, 0, 0, 1]], [[0, 0, 0, 0, 0]]])), 0, 0.0)
    np.testing.assert_array_equal(dense, [1.0, 1.0])
    np.testing.assert_array_equal(pruned, [0.0, 0.0])


def test_sums_and_products_are_those_of_a_loop() -> None:
    per_image = drawn(np.random.default_rng(0))
    found = counted(per_image)
    whole = np.concatenate([per_image, per_image.sum(axis=1, keepdims=True)], axis=1)  # (I, C + 1, 5)
    assert (found.sums == whole.sum(axis=0)).all()
    assert (found.products == np.einsum("ick,icl->ckl", whole, whole)).all()
    assert (found.number == (whole.sum(axis=2) > 0).sum(axis=0)).all()


@given(st.integers(0, 10**6), st.sampled_from([0, 1]))
@settings(max_examples=25, deadline=None)
def test_ratios_are_precision_and_f1(seed: int, weight: int) -> None:
    per_image = drawn(np.random.default_rng(seed))
    v = per_image.sum(axis=0)
    dense, pruned, _, _ = _false_counts.ratio_of(counted(per_image), weight, 0.5)
    for c in range(3):
        for value, found, false in ((dense[c], v[c, 1], v[c, 2]), (pruned[c], v[c, 3], v[c, 4])):
            p, r = found / (found + false), found / v[c, 0]
            assert value == pytest.approx(p if weight == 0 else 2 * p * r / (p + r))


@pytest.mark.parametrize("weight", [0, 1])
def test_the_error_is_that_of_the_bootstrap_over_images(weight: int) -> None:
    rng = np.random.default_rng(3)
    per_image = drawn(rng, images=300)
    error = _false_counts.ratio_of(counted(per_image), weight, 0.0)[2]
    changes = []
    for _ in range(600):
        v = per_image[rng.integers(0, 300, 300)].sum(axis=0)
        v = np.concatenate([v, v.sum(axis=0, keepdims=True)])
        value = [(1 + weight) * v[:, a] / (v[:, a] + v[:, b] + weight * v[:, 0]) for a, b in ((1, 2), (3, 4))]
        changes.append(value[1] - value[0])
    # 600 draws give a standard deviation within 3 % or so, one standard error.
    np.testing.assert_allclose(error, np.std(changes, axis=0), rtol=0.12)


def test_intervals_hold_the_true_change() -> None:
    rng = np.random.default_rng(4)
    v = np.mean([drawn(rng, images=2000).sum(axis=0) for _ in range(40)], axis=0)
    true: Floats = v[:, 3] / (v[:, 3] + v[:, 4]) - v[:, 1] / (v[:, 1] + v[:, 2])
    held, draws = np.zeros(3), 250
    for _ in range(draws):
        per_image = drawn(rng, images=60)
        sums = per_image.sum(axis=0)
        pair = replace(Pair.of(np.stack([sums[:, 0], *3 * [0 * sums[:, 0]]], axis=1)), false=counted(per_image))
        change = precision.measure(pair, Settings())[2]
        held += [low <= t <= high for low, t, high in zip(change.low, true, change.high, strict=True)]
    # 750 intervals, of which 95 % should hold the truth; a standard error is 0.8 %.
    assert 0.925 <= held.sum() / (3 * draws) <= 0.985


def test_columns_of_classes_without_detections() -> None:
    per_image = np.zeros((4, 2, 5), np.int64)
    per_image[:, 0] = [2, 1, 1, 2, 1]
    pair = replace(Pair.of([(4, 0, 4, 0), (0, 0, 0, 0)]), false=counted(per_image))
    dense, pruned, change = precision.measure(pair, Settings())
    assert (dense.by_stratum, pruned.by_stratum[1]) == ((0.5, None), None)
    assert pruned.by_stratum[0] == pytest.approx(2 / 3)
    assert change.absent == {1: "nothing was found"}
    assert f1.measure(pair, Settings())[2].absent == {1: "nothing is labelled or was found"}


def test_one_file_has_not_changed() -> None:
    per_image = drawn(np.random.default_rng(5))
    per_image[..., 3:] = per_image[..., 1:3]
    same = replace(Pair.of([(9, 0, 0, 1)] * 3), false=counted(per_image), same_model=True)
    assert [*precision.measure(same, Settings())[2].low] == [0.0, 0.0, 0.0]
    # Two files that answer alike may still differ elsewhere.
    alike = precision.measure(replace(same, same_model=False), Settings())[2]
    assert all(low is not None and low < 0 for low in alike.low)
