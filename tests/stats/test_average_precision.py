"""Average precision as it was counted, and nothing where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prune_audit.core import FalseCounts, Pair, Settings
from prune_audit.stats import average_precision, measures


def pair(values: list[list[float]] | None) -> Pair:
    counted = Pair.of([(5, 1, 0, 2), (0, 0, 0, 0), (4, 0, 2, 1)])
    strata = np.arange(3)
    known = None if values is None else np.array(values)
    return replace(counted, false=FalseCounts.of(3, 5 * [(strata, strata)], known))


def test_both_models_and_their_means_over_classes_with_things() -> None:
    found = {m.name: m for m in average_precision.measure(pair([[0.5, 0.25], [-1, -1], [0.75, 0.5]]), Settings())}
    dense, pruned = found["dense_average_precision"], found["pruned_average_precision"]
    assert (dense.by_stratum, pruned.by_stratum) == ((0.5, None, 0.75), (0.25, None, 0.5))
    assert [dense.overall, pruned.overall] == pytest.approx([0.625, 0.375])
    assert dense.absent == {1: "no samples"}
    assert dense.low == ()  # no interval: neighbouring thresholds share their detections


def test_nothing_without_detections() -> None:
    assert average_precision.measure(pair(None), Settings()) == ()
    assert average_precision.measure(Pair.of([(5, 1, 0, 2)]), Settings()) == ()
    names = {m.name for m in measures(pair(None), Settings())}
    assert "dense_recall" in names
    assert "dense_average_precision" not in names


def test_means_of_nothing_are_absent() -> None:
    [dense, _] = average_precision.measure(pair([[-1, -1]] * 3), Settings())
    assert (dense.overall, dense.overall_absent) == (None, "no samples")
