"""Batches come in order, decoded ahead but not without bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from prune_audit.core import Batch, Counts
from prune_audit.runners import threads
from prune_audit.runners.threads import AHEAD_PER_LANE, AHEAD_PER_WORKER, Lanes, ahead
from tests.evaluate._models import ArrayData


def cut(rows: Counts, size: int) -> list[Counts]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_every_row_once_and_in_order(workers: int, size: int) -> None:
    data = ArrayData({"x": np.arange(23.0)[:, None]}, [0] * 23)
    rows = np.random.default_rng(1).permutation(23)
    seen = np.concatenate([b.rows for b in ahead(cut(rows, size), data.read, workers)])
    np.testing.assert_array_equal(seen, rows)
    assert (data.reads == 1).all()


def test_decoding_ahead_is_bounded() -> None:
    data = ArrayData({"x": np.arange(100.0)[:, None]}, [0] * 100)
    stream = ahead(cut(np.arange(100), 1), data.read, 2)
    next(stream)
    stream.close()  # waits for the threads, so that the count below is final
    assert 1 <= data.reads.sum() <= 2 * AHEAD_PER_WORKER + 1


def test_an_error_in_a_worker_reaches_the_caller_and_ends_the_threads() -> None:
    class Broken(ArrayData):
        def read(self, rows: Sequence[int] | Counts) -> Batch:
            raise OSError("disk gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="disk gone"):
        list(ahead(cut(np.arange(4), 1), Broken({"x": np.zeros((4, 1))}, [0] * 4).read, 2))
    assert threading.active_count() == before


def test_a_sample_that_is_never_read_holds_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 0.2)
    go_on = threading.Event()

    class Endless(ArrayData):
        def read(self, rows: Sequence[int] | Counts) -> Batch:
            if rows[0] == 3:
                go_on.wait(30)
            return super().read(rows)

    stream = ahead(cut(np.arange(9), 1), Endless({"x": np.zeros((9, 1))}, [0] * 9).read, 2)
    next(stream)
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < 20
    assert not go_on.is_set()
    go_on.set()


def test_a_lane_that_never_ends_holds_no_interrupt_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 0.2)
    go_on, slow = threading.Event(), threading.Event()

    def never() -> None:
        go_on.wait(30)

    def slowly() -> None:
        time.sleep(0.1)
        slow.set()

    def interrupted() -> None:
        with Lanes(2) as lanes:
            lanes.run([never, slowly])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not go_on.is_set()
    assert slow.is_set()  # what ends within the patience is waited for
    go_on.set()


def test_lanes_run_side_by_side_and_each_in_order() -> None:
    seen: list[list[int]] = [[], []]
    meeting = threading.Barrier(2, timeout=10)

    def task(lane: int, number: int) -> None:
        meeting.wait()  # passes only where both lanes are in the same round at once
        seen[lane].append(number)

    with Lanes(2) as lanes:
        for number in range(20):
            lanes.run([partial(task, 0, number), partial(task, 1, number)])
        lanes.finish()
    assert seen == [list(range(20))] * 2


def test_an_error_in_a_lane_reaches_the_caller_and_the_rest_is_dropped() -> None:
    ran: list[int] = []

    def task(number: int) -> None:
        ran.append(number)
        if number == 3:
            raise ValueError("broken")

    def all_of_them() -> None:
        with Lanes(1) as lanes:
            for number in range(100):
                lanes.run([partial(task, number)])
            lanes.finish()

    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        all_of_them()
    assert 3 in ran
    assert len(ran) <= 3 + AHEAD_PER_LANE + 2
    assert threading.active_count() == before
