"""Precision against scikit-learn, its error against resampling, and what is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import precision_score

from prune_audit.core import Outputs, Pair, Predictions, Settings
from prune_audit.stats import precision
from prune_audit.stats._prediction_counts import calls, ratio_of
from prune_audit.tasks import classification
from tests.stats.pairs import measured
from tests.stats.predictions import drawn


def test_precisions_are_those_of_scikit_learn() -> None:
    predictions = drawn(0, 600, 6)
    found = measured(classification.pair(predictions, "dense", "pruned"))
    expected = [
        precision_score(predictions.labels, predictions.model(name).predicted, average=None)
        for name in ("dense", "pruned")
    ]
    np.testing.assert_allclose(np.array(found["dense_precision"].by_stratum, float), expected[0], rtol=1e-12)
    np.testing.assert_allclose(np.array(found["pruned_precision"].by_stratum, float), expected[1], rtol=1e-12)
    change = np.array(found["precision_change"].by_stratum, float)
    np.testing.assert_allclose(change, expected[1] - expected[0], atol=1e-12)


def test_calls_are_counted_as_by_hand() -> None:
    predictions = drawn(1, 300, 4)
    labels, dense, pruned = predictions.labels, *(m.predicted for m in predictions.models)
    found = calls(classification.pair(predictions, "dense", "pruned"))
    for c in range(4):
        own, d, p = labels == c, dense == c, pruned == c
        expected = [
            (own & d & p).sum(),
            (own & d & ~p).sum(),
            (own & ~d & p).sum(),
            (own & ~d & ~p).sum(),
            (~own & d & p).sum(),
            (~own & d & ~p).sum(),
            (~own & ~d & p).sum(),
        ]
        assert [int(getattr(found, name)[c]) for name in found.__dataclass_fields__] == expected


def resampled(predictions: Predictions, label_weight: int, draws: int = 1500) -> np.ndarray:
    """Standard deviation over bootstrap samples of the change, (C,)."""
    rng = np.random.default_rng(5)
    labels, dense, pruned = predictions.labels, *(m.predicted for m in predictions.models)
    classes = len(predictions.classes)

    def ratio(rows: np.ndarray, called: np.ndarray) -> np.ndarray:
        right = np.bincount(labels[rows][called[rows] == labels[rows]], minlength=classes)
        size = np.bincount(called[rows], minlength=classes) + label_weight * np.bincount(
            labels[rows], minlength=classes
        )
        return (1 + label_weight) * right / size

    changes = []
    for _ in range(draws):
        rows = rng.integers(0, len(labels), len(labels))
        changes.append(ratio(rows, pruned) - ratio(rows, dense))
    return np.asarray(np.std(changes, axis=0))


@pytest.mark.parametrize("label_weight", [0, 1])
def test_the_error_is_that_of_the_bootstrap(label_weight: int) -> None:
    predictions = drawn(2, 4000, 4)
    error = ratio_of(classification.pair(predictions, "dense", "pruned"), label_weight)[2]
    np.testing.assert_allclose(error, resampled(predictions, label_weight), rtol=0.06)


def test_a_class_without_flips_still_has_an_interval() -> None:
    predictions = drawn(3, 200, 3, right=(0.7, 1.0))
    column = measured(classification.pair(predictions, "dense", "pruned"))["precision_change"]
    assert set(column.by_stratum) == {0.0}
    assert all((low or 0) < -0.01 < 0.01 < (high or 0) for low, high in zip(column.low, column.high, strict=True))


def test_one_file_has_not_changed_at_all() -> None:
    predictions = drawn(3, 200, 3, right=(0.7, 1.0))
    column = measured(replace(classification.pair(predictions, "dense", "pruned"), same_model=True))["precision_change"]
    assert {*column.low, *column.high} == {0.0}


def test_coverage_at_small_support() -> None:
    """Thirty samples of a class among 300: the true change lies within at least 93 % of intervals."""
    rng = np.random.default_rng(6)
    base = drawn(4, 200_000, 10)
    truth = np.array(measured(classification.pair(base, "dense", "pruned"))["precision_change"].by_stratum, float)
    inside = []
    for _ in range(400):
        rows = rng.integers(0, len(base.labels), 300)
        few = Predictions(
            classes=base.classes,
            ids=tuple(base.ids[i] for i in rows),
            labels=base.labels[rows],
            models=tuple(Outputs(name=m.name, predicted=m.predicted[rows]) for m in base.models),
        )
        column = measured(classification.pair(few, "dense", "pruned"), only=precision)["precision_change"]
        inside += [
            low <= t <= high
            for low, high, t in zip(column.low, column.high, truth, strict=True)
            if low is not None and high is not None
        ]
    assert np.mean(inside) >= 0.93


def test_a_class_that_is_never_called_has_no_precision() -> None:
    labels = np.array([0, 0, 1, 1])
    predictions = Predictions(
        classes=("a", "b"),
        ids=tuple("wxyz"),
        labels=labels,
        models=(Outputs(name="dense", predicted=labels), Outputs(name="pruned", predicted=np.zeros(4, int))),
    )
    found = measured(classification.pair(predictions, "dense", "pruned"))
    assert found["pruned_precision"].by_stratum == (0.5, None)
    assert found["precision_change"].absent == {1: "never predicted"}


def test_counts_alone_do_not_tell_and_groups_have_none() -> None:
    found = measured(Pair.of([(5, 1, 1, 3), (5, 0, 0, 0)]))["dense_precision"]
    assert found.by_stratum == (None, None)
    assert found.absent[0] == "only right answers are known, not what was predicted"
    assert not precision.measure(classification.pair(drawn(0, 50, 3), "dense", "pruned", by="half"), Settings())
