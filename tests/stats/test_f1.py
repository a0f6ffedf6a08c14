"""F1 against scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import f1_score

from prune_audit.core import Outputs, Predictions
from prune_audit.tasks import classification
from tests.stats.pairs import measured
from tests.stats.predictions import drawn


def test_scores_are_those_of_scikit_learn() -> None:
    predictions = drawn(0, 600, 6)
    found = measured(classification.pair(predictions, "dense", "pruned"))
    scores = [
        f1_score(predictions.labels, predictions.model(name).predicted, average=None) for name in ("dense", "pruned")
    ]
    np.testing.assert_allclose(np.array(found["dense_f1"].by_stratum, float), scores[0], rtol=1e-12)
    np.testing.assert_allclose(np.array(found["pruned_f1"].by_stratum, float), scores[1], rtol=1e-12)
    column = found["f1_change"]
    np.testing.assert_allclose(np.array(column.by_stratum, float), scores[1] - scores[0], atol=1e-12)
    assert all(
        (low or 0) < float(v or 0) < (high or 0)
        for low, v, high in zip(column.low, column.by_stratum, column.high, strict=True)
    )


def test_a_class_neither_labelled_nor_called_has_none() -> None:
    labels = np.array([0, 0, 1, 1])
    models = tuple(Outputs(name=name, predicted=labels) for name in ("dense", "pruned"))
    predictions = Predictions(classes=("a", "b", "c"), ids=tuple("wxyz"), labels=labels, models=models)
    found = measured(classification.pair(predictions, "dense", "pruned"))["dense_f1"]
    assert found.by_stratum == (1.0, 1.0, None)
    assert found.absent == {2: "never labelled nor predicted"}
