"""False positive rates: recall of negatives, turned round; `tests/tasks/test_multi_label.py` has their oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.core import Counted, Pair, Settings
from prune_audit.stats import change, false_positive_rate, recall

COUNTS = st.lists(st.tuples(*[st.integers(0, 60)] * 4), min_size=1, max_size=4)


@given(table=COUNTS)
def test_it_is_one_less_what_recall_says_of_negatives(table: list[tuple[int, int, int, int]]) -> None:
    pair = Pair.of(table)
    negatives = Counted(both=pair.both, lost=pair.lost, gained=pair.gained, neither=pair.neither)
    found = {m.name: m for m in false_positive_rate.measure(replace(pair, negatives=negatives), Settings())}
    kept = {m.name: m for m in (*recall.measure(pair, Settings()), *change.measure(pair, Settings()))}
    for model in ("dense", "pruned"):
        rate, share = found[f"{model}_false_positive_rate"], kept[f"{model}_recall"]
        known = [i for i in range(len(table)) if sum(table[i])]
        for i in known:
            assert rate.by_stratum[i] == 1 - float(share.by_stratum[i] or 0)
        assert rate.absent == share.absent
    moved, back = found["false_positive_rate_change"], kept["change"]
    for low, high, other_low, other_high in zip(moved.low, moved.high, back.low, back.high, strict=True):
        assert (low is None) == (other_high is None)
        if low is not None and high is not None and other_low is not None and other_high is not None:
            assert low == -other_high
            assert high == -other_low


def test_what_choosing_thresholds_adds_to_recalls_is_not_added_to_it() -> None:
    """Thresholds are those of as many false positives, whichever images they were chosen on."""
    negatives = Counted(
        both=np.array([90, 80]), lost=np.array([5, 3]), gained=np.array([3, 6]), neither=np.array([2, 11])
    )
    pair = replace(Pair.of([(50, 5, 3, 2), (40, 4, 4, 2)]), negatives=negatives)
    plain = false_positive_rate.measure(pair, Settings())
    assert false_positive_rate.measure(replace(pair, chosen=np.full(3, 0.01)), Settings()) == plain


def test_without_negatives_there_are_no_columns() -> None:
    assert false_positive_rate.measure(Pair.of([(1, 2, 3, 4)]), Settings()) == ()
