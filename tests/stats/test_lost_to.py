"""Where lost samples went, against a tally by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np

from prune_audit.core import Outputs, Pair, Predictions
from prune_audit.tasks import classification
from tests.stats.pairs import measured
from tests.stats.predictions import drawn


def test_the_most_frequent_new_prediction_of_lost_samples() -> None:
    labels = np.array([0] * 5 + [1] * 3)
    dense = np.array([0, 0, 0, 0, 2, 1, 1, 1])
    pruned = np.array([2, 2, 1, 0, 0, 1, 1, 1])
    predictions = Predictions(
        classes=("cat", "dog", "cow"),
        ids=tuple("abcdefgh"),
        labels=labels,
        models=(Outputs(name="dense", predicted=dense), Outputs(name="pruned", predicted=pruned)),
    )
    found = measured(classification.pair(predictions, "dense", "pruned"))["lost_to"]
    assert found.by_stratum == ("cow, 2 of 3", None, None)
    assert found.absent == {1: "no sample was lost", 2: "no samples"}
    assert found.overall == "cat -> cow, 2 of 3"


def test_against_a_tally() -> None:
    predictions = drawn(0, 800, 5)
    dense, pruned = (m.predicted for m in predictions.models)
    found = measured(classification.pair(predictions, "dense", "pruned"))["lost_to"]
    tops = []
    for c in range(5):
        lost = pruned[(predictions.labels == c) & (dense == c) & (pruned != c)]
        now, times = min(Counter(lost.tolist()).items(), key=lambda item: (-item[1], item[0]))
        assert found.by_stratum[c] == f"class {now}, {times} of {len(lost)}"
        tops.append((times, c))
    assert str(found.overall).startswith(f"class {max(tops)[1]} -> ")


def test_what_was_gained_or_wrong_in_both_is_no_loss() -> None:
    """However often it is predicted: here four are gained, and three go from one wrong answer to another."""
    predictions = Predictions(
        classes=("cat", "dog", "cow"),
        ids=tuple("abcdefgh"),
        labels=np.zeros(8, np.int64),
        models=(
            Outputs(name="dense", predicted=np.array([0, 1, 1, 1, 1, 2, 2, 2])),
            Outputs(name="pruned", predicted=np.array([2, 0, 0, 0, 0, 1, 1, 1])),
        ),
    )
    found = measured(classification.pair(predictions, "dense", "pruned"))["lost_to"]
    assert found.by_stratum[0] == "cow, 1 of 1"


def test_nothing_lost_and_nothing_known() -> None:
    still = measured(classification.pair(drawn(1, 50, 3, right=(0.9, 1.0)), "dense", "pruned"))["lost_to"]
    assert (still.overall, still.overall_absent) == (None, "no sample was lost")
    counts = measured(Pair.of([(5, 3, 0, 0)]))["lost_to"]
    assert counts.absent[0] == "only right answers are known, not what was predicted"
