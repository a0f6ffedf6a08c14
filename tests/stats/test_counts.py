"""Counts are what they were given."""

from __future__ import annotations

from prune_audit.core import Pair
from tests.stats.pairs import measured


def test_counts_per_class_and_over_all() -> None:
    found = measured(Pair.of([(36, 12, 2, 0), (0, 0, 0, 0), (5, 1, 2, 3)]))
    expected = {
        "support": ((50, 0, 11), 61),
        "both": ((36, 0, 5), 41),
        "lost": ((12, 0, 1), 13),
        "gained": ((2, 0, 2), 4),
        "neither": ((0, 0, 3), 3),
    }
    assert {name: (found[name].by_stratum, found[name].overall) for name in expected} == expected


def test_an_empty_class_has_a_support_of_zero_which_is_known() -> None:
    assert not measured(Pair.of([(0, 0, 0, 0)]))["support"].absent
