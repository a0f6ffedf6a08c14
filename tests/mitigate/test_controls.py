"""A mended network beside its controls: differences by hand, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest

from prune_audit.core import Samples
from prune_audit.mitigate import controls
from prune_audit.mitigate.controls import difference
from prune_audit.mitigations import Multiplier


def samples(mine: list[list[int]], theirs: list[list[int]]) -> Samples:
    stratum = np.repeat(np.arange(len(mine)), [len(each) for each in mine])
    right = {"mine": np.concatenate(mine).astype(bool), "theirs": np.concatenate(theirs).astype(bool)}
    return Samples(strata={"class": stratum}, right=right)


def test_differences_by_hand() -> None:
    """Of 10 samples 8 against 5; the worst class .5 against .25, though it is another one."""
    found = difference(
        samples([[1, 1, 1, 1], [1, 0], [1, 1, 1, 0]], [[1, 0, 0, 0], [1, 1], [1, 1, 0, 0]]),
        "class",
        "mine",
        "theirs",
        0,
    )
    assert found.accuracy == pytest.approx(0.3)
    assert found.worst == pytest.approx(0.5 - 0.25)
    assert found.accuracy_interval[0] <= found.accuracy <= found.accuracy_interval[1]


def test_a_network_does_not_differ_from_itself_and_intervals_turn_with_the_sides() -> None:
    rng = np.random.default_rng(0)
    mine, theirs = [(rng.random((3, 80)) < share).astype(int).tolist() for share in (0.9, 0.6)]
    both = samples(mine, theirs)
    same = difference(both, "class", "mine", "mine", 0)
    assert (same.accuracy, same.accuracy_interval, same.worst_interval) == (0.0, (0.0, 0.0), (0.0, 0.0))
    one, other = difference(both, "class", "mine", "theirs", 0), difference(both, "class", "theirs", "mine", 0)
    assert one.accuracy_interval[0] > 0
    assert one.accuracy_interval == pytest.approx(tuple(-end for end in reversed(other.accuracy_interval)))


def test_the_interval_of_accuracy_is_the_normal_one_where_there_are_many_samples() -> None:
    rng = np.random.default_rng(1)
    mine, theirs = ((rng.random(4000) < share).astype(int) for share in (0.8, 0.75))
    found = difference(samples([mine.tolist()], [theirs.tolist()]), "class", "mine", "theirs", 0)
    apart = mine - theirs
    half = 1.96 * apart.std() / np.sqrt(len(apart))
    assert found.accuracy_interval == pytest.approx((apart.mean() - half, apart.mean() + half), abs=0.1 * half)


def test_multipliers_that_still_rise_are_said_to() -> None:
    def of(*values: float) -> list[Multiplier]:
        return [Multiplier(epoch=n + 1, group="a", violation=0.0, multiplier=value) for n, value in enumerate(values)]

    assert not controls._rising([])
    assert not controls._rising(of(1.0))
    assert not controls._rising(of(0.2, 1.0, 1.1))
    assert controls._rising(of(0.2, 1.0, 1.11))


def test_the_groups_that_counted_for_most_are_named_and_listed_first() -> None:
    ends = {"a": 0.5, "b": 0.0, "c": 2.0, "d": 0.25, "e": 1.0}
    found = [
        Multiplier(epoch=epoch, group=name, violation=None, multiplier=epoch * value)
        for epoch in (1, 2)
        for name, value in ends.items()
    ]
    told = "the classes that counted for most beyond their samples at the end: c (4.00), e (2.00), a (1.00)"
    assert controls._weighed(found, "class")[0] == told
    table = controls._last(found, "class")
    assert [row[0] for row in table.rows] == ["c", "e", "a", "d", "b"]
    assert table.column("multiplier")[0] == 4.0
    nothing = [Multiplier(epoch=1, group=name, violation=-0.1, multiplier=0.0) for name in ends]
    assert controls._weighed(nothing, "hand") == (
        "no group counted for more than its samples at the end: all multipliers are 0",
    )
    assert controls._weighed([], "class") == ()
