"""Masks as runs: chosen and counted as their pixels are."""

from __future__ import annotations

import numpy as np
import pytest

from prune_audit.core import Masks


def test_masks_are_chosen_and_counted() -> None:
    runs = [np.array(each, np.int64) for each in ([2, 5, 9, 10], [], [0, 100])]
    masks = Masks.of(runs)
    assert (len(masks), masks.areas.tolist()) == (3, [4, 0, 100])
    for rows in (np.array([2, 0, 2, 1]), np.array([True, False, True]), np.empty(0, np.int64)):
        some = masks.at(rows)
        kept = np.arange(3)[rows].tolist()
        assert some.areas.tolist() == [[4, 0, 100][i] for i in kept]
        parts = [some.bounds[a:b].tolist() for a, b in zip(some.first[:-1], some.first[1:], strict=True)]
        assert parts == [runs[i].tolist() for i in kept]


@pytest.mark.parametrize("masks", [Masks.of([]), Masks.of([np.empty(0, np.int64)])])
def test_nothing_covers_nothing(masks: Masks) -> None:
    assert masks.areas.tolist() == [0] * len(masks)
