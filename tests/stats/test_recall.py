"""Recalls against scikit-learn on predictions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from prune_audit.core import Outputs, Pair, Predictions
from prune_audit.tasks import classification
from tests.stats.pairs import measured


def test_recalls_and_accuracies_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 500)
    models = {
        name: np.where(rng.random(500) < right, labels, rng.integers(0, 7, 500))
        for name, right in (("dense", 0.8), ("pruned", 0.6))
    }
    predictions = Predictions(
        classes=tuple("abcdefg"),
        ids=tuple(map(str, range(500))),
        labels=labels,
        models=tuple(Outputs(name=name, predicted=predicted) for name, predicted in models.items()),
    )
    found = measured(classification.pair(predictions, "dense", "pruned"))
    for name, predicted in models.items():
        column = found[f"{name}_recall"]
        np.testing.assert_array_equal(column.by_stratum, recall_score(labels, predicted, average=None))
        assert column.overall == accuracy_score(labels, predicted)


@pytest.mark.parametrize("name", ["dense_recall", "pruned_recall"])
def test_nothing_seen_is_absent(name: str) -> None:
    one = measured(Pair.of([(1, 0, 0, 0), (0, 0, 0, 0)]))[name]
    assert one.by_stratum == (1.0, None)
    assert one.absent == {1: "no samples"}
    none = measured(Pair.of([(0, 0, 0, 0)]))[name]
    assert (none.overall, none.overall_absent) == (None, "no samples")
