"""A collapsed model is told from a small sample, from an easy majority, and from a model that was never good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prune_audit.core import Pair
from tests.stats.pairs import measured


@pytest.mark.parametrize(
    ("counts", "answer"),
    [
        ([(10, 80, 0, 10)] * 10, "yes"),  # accuracy .1 in ten classes
        ([(950, 0, 0, 0), (0, 45, 0, 5)], "yes"),  # always the majority
        ([(20, 70, 0, 10)] * 10, "no"),  # accuracy .2: poor, but above guessing
        ([(950, 0, 0, 0), (10, 1, 0, 39)], "no"),  # barely above the majority before and after
        ([(0, 1, 0, 0), (1, 0, 0, 0)], "no"),  # two samples show nothing
        ([(500, 100, 0, 0), (0, 0, 0, 0)], "no"),  # one class alone leaves nothing to guess
        ([(2, 0, 0, 18)] * 10, "no"),  # at guessing before too, and unchanged
    ],
)
def test_collapse(counts: list[tuple[int, int, int, int]], answer: str) -> None:
    assert measured(Pair.of(counts))["collapsed"].overall == answer


def test_guessing_takes_the_larger_of_a_class_in_c_and_the_largest_class() -> None:
    assert measured(Pair.of([(1, 0, 0, 0)] * 4))["chance_accuracy"].overall == 0.25
    assert measured(Pair.of([(3, 0, 0, 0), (1, 0, 0, 0)]))["chance_accuracy"].overall == 0.75


def test_what_divides_by_the_remains_is_absent() -> None:
    found = measured(Pair.of([(10, 80, 0, 10)] * 10))
    for name in ("distortion", "retention", "q_harmed"):
        assert set(found[name].by_stratum) == {None}
        assert "collapsed" in found[name].absent[0]
    assert found["intensification"].overall is None
    assert "collapsed" in (found["intensification"].overall_absent or "")
    assert set(found["verdict"].by_stratum) == {"regressed"}


def test_a_model_that_still_finds_some_of_a_rare_class_has_not_collapsed() -> None:
    """950 healthy and 50 ill; the ill fall from 92 % to 38 %: right less often than always saying healthy, and harm."""
    pair = Pair.of([(931, 1, 1, 17), (19, 27, 0, 4)], strata=["healthy", "tumour"])
    called = np.array([931 + 1 + 31, 19 + 18])
    pair = replace(pair, pruned_predicted=called)
    found = measured(pair)
    assert found["collapsed"].overall == "no"
    assert found["distortion"].by_stratum[1] in ("intensified", "harmed", "created", "flipped")
