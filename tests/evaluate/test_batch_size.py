"""The fitted size of a batch is the fastest of those that were worth trying."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prune_audit.evaluate.batch_size import CALLS, SIZES, TOGETHER, WARM, BatchSize


def fit(cost: Callable[[int], float], batch: int, *, cold: float = 0.0) -> tuple[BatchSize, list[int]]:
    """The sizes that are tried where a call of a size takes so many seconds, and ``cold`` more while it is new."""
    size, tried, calls = BatchSize(), list[int](), dict[int, int]()
    while not tried or size.size != tried[-1] or calls[size.size] < CALLS:
        size.offer(batch)
        now = size.size
        calls[now] = calls.get(now, 0) + 1
        if not tried or tried[-1] != now:
            tried.append(now)
        size.took(now, cost(now) + (cold if calls[now] <= WARM else 0))
    return size, tried


def test_doubles_while_that_pays_and_keeps_the_fastest() -> None:
    size, tried = fit(lambda n: 1.0 + 0.1 * n, 64)
    assert tried == [64 // SIZES, 8, 16, 32, 64]
    assert size.size == 64


@pytest.mark.parametrize("cold", [0.0, 100.0])
def test_stops_where_larger_batches_are_slower(cold: float) -> None:
    # Half as slow again beyond 32 samples, which leave a cache.
    size, tried = fit(lambda n: 0.5 + n * (1.0 if n <= 32 else 1.5), 256, cold=cold)
    assert tried == [16, 32, 64, 32]
    assert size.size == 32
    assert size.fitted


def test_a_given_size_stays() -> None:
    size = BatchSize(5)
    for _ in range(3 * CALLS):
        size.offer(64)
        size.took(5, 1.0)
    assert size.size == 5
    assert not size.fitted
    assert size.seconds_per_sample() == 0.2


def test_cut_off_calls_count_for_nothing() -> None:
    size = BatchSize(8)
    size.took(3, 100.0)
    assert size.seconds_per_sample() is None
    size.took(8, 8.0)
    assert size.seconds_per_sample() == 1.0


def test_the_time_of_a_sample_leaves_the_first_calls_out() -> None:
    size = BatchSize(2)
    for seconds in (50.0, 20.0, 2.0, 4.0, 6.0):
        size.took(2, seconds)
    assert size.seconds_per_sample() == 2.0


def test_batches_of_one_sample_can_only_be_of_one() -> None:
    size, tried = fit(lambda n: 1.0, 1)
    assert tried == [1]
    assert size.size == 1


def test_data_that_end_before_a_larger_size_was_tried_have_a_time_all_the_same() -> None:
    size = BatchSize()
    size.offer(64)
    for _ in range(CALLS):
        size.took(64 // SIZES, 2.0)
    assert size.size == 2 * 64 // SIZES
    assert size.seconds_per_sample() == 0.5


def test_the_spread_is_between_the_quartiles_of_the_calls() -> None:
    size = BatchSize(2)
    for seconds in (50.0, 20.0, 2.0, 4.0, 6.0, 8.0, 10.0):
        size.took(2, seconds)
    assert size.spread() == (2.0, 4.0)
    assert BatchSize(2).spread() is None
    few = BatchSize(2)
    for seconds, spread in ((50.0, None), (20.0, None), (2.0, None), (4.0, (1.25, 1.75))):
        few.took(2, seconds)
        assert few.spread() == spread


def test_calls_are_asked_for_together_once_their_size_and_time_are_known() -> None:
    fitting, given = BatchSize(), BatchSize(4)
    fitting.offer(64)
    for size in (fitting, given):
        assert size.calls == 1
    fitting.took(4, TOGETHER / 10)
    assert fitting.calls == 1
    given.took(4, TOGETHER / 9.5)
    assert given.calls == 9
    given.took(4 * 9, 9 * TOGETHER / 9.5)
    assert given.calls == 9
    assert given.seconds_per_sample() == pytest.approx(TOGETHER / 9.5 / 4, rel=1e-12)  # of one call and of nine


def test_slow_calls_go_alone() -> None:
    size = BatchSize(2)
    size.took(2, 2 * TOGETHER)
    assert size.calls == 1
