"""The change of recall, its sign and its interval."""

from __future__ import annotations

import pytest
from hypothesis import given

from prune_audit.core import Pair, Settings
from prune_audit.stats import change as change_column
from tests.stats.pairs import measured, pairs, quick, same, swapped


def test_change_is_pruned_minus_dense_with_the_worked_interval() -> None:
    change = measured(Pair.of([(36, 12, 2, 0)]))["change"]
    assert change.by_stratum == (-0.2,)
    assert (round(change.low[0] or 0, 4), round(change.high[0] or 0, 4)) == (-0.3447, -0.0611)
    # One class is the whole model.
    assert (change.overall, change.overall_low, change.overall_high) == (-0.2, change.low[0], change.high[0])


def test_the_whole_is_of_all_classes_and_not_of_the_last() -> None:
    """Which has no samples here."""
    change = measured(Pair.of([(36, 12, 2, 0), (40, 1, 4, 5), (0, 0, 0, 0)]))["change"]
    whole = measured(Pair.of([(76, 13, 6, 5)]))["change"]
    assert change.overall == whole.overall == -0.07
    assert (change.overall_low, change.overall_high) == (whole.overall_low, whole.overall_high)
    assert (change.by_stratum[2], change.low[2], change.high[2]) == (None, None, None)
    assert change.overall_absent is None
    assert change.low[1] != change.overall_low


def test_more_confidence_is_a_wider_interval() -> None:
    pair = Pair.of([(36, 12, 2, 0)])
    narrow, wide = (measured(pair, Settings(confidence=c))["change"] for c in (0.9, 0.99))
    assert (wide.low[0] or 0) < (narrow.low[0] or 0) < -0.2 < (narrow.high[0] or 0) < (wide.high[0] or 0)


@quick
@given(pairs(least=1))
def test_swapping_the_models_negates_the_change(pair: Pair) -> None:
    there, back = measured(pair, only=change_column)["change"], measured(swapped(pair), only=change_column)["change"]
    assert there.absent == back.absent
    for i, value in enumerate(there.by_stratum):
        if i not in there.absent:
            assert value == -float(back.by_stratum[i] or 0)
            assert there.low[i] == pytest.approx(-(back.high[i] or 0), abs=1e-12)


@quick
@given(pairs(least=1))
def test_one_file_has_changed_by_exactly_nothing(pair: Pair) -> None:
    change = measured(same(pair), only=change_column)["change"]
    assert {*change.by_stratum, *change.low, *change.high, change.overall} <= {0.0, None}
