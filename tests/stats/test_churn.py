"""Churn and changed predictions, by hand and on predictions."""

from __future__ import annotations

import numpy as np

from prune_audit.core import Pair
from prune_audit.tasks import classification
from tests.stats.pairs import measured
from tests.stats.predictions import drawn


def test_churn_counts_flips_either_way() -> None:
    found = measured(Pair.of([(30, 12, 8, 0), (0, 0, 0, 0), (50, 0, 0, 0)]))["churn"]
    assert found.by_stratum == (0.4, None, 0.0)
    assert found.overall == 0.2


def test_changed_predictions_count_wrong_answers_too() -> None:
    predictions = drawn(0, 500, 5)
    dense, pruned = (m.predicted for m in predictions.models)
    found = measured(classification.pair(predictions, "dense", "pruned"))
    assert found["changed_predictions"].overall == np.mean(dense != pruned)
    assert float(found["changed_predictions"].overall or 0) > float(found["churn"].overall or 0)


def test_counts_alone_do_not_tell_changed_predictions() -> None:
    found = measured(Pair.of([(30, 12, 8, 0)]))["changed_predictions"]
    assert found.overall is None
    assert found.overall_absent == "only right answers are known, not what was predicted"
