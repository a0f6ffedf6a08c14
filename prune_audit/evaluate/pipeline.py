"""Decode ahead of the models in a bounded pool of threads, and run the models side by side.

Threads and not processes: Pillow, torch and onnxruntime let go of the interpreter lock while they work, nothing has to
be pickled or copied between processes, and a data set need not survive a fork. The bounds keep memory constant in the
number of samples.

Each model has a thread of its own, in which it sees one batch after the other, and the cores are shared out among the
models. So no two calls of one model overlap, whatever its forward pass keeps in itself, and there is little to wait
for: models that split each operation over all cores meet at its end, and spin there while somebody else holds a core.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

from prune_audit.core import Batch, Counts, Dataset

THREADS = "prune-audit"
"""What the names of the threads begin with that are started here, so that they are told from those of a model."""

# Enough waiting batches to ride out one slow decode per worker; more would only cost memory.
AHEAD_PER_WORKER = 2
# Batches that the fastest model may be ahead of the slowest.
AHEAD_PER_LANE = 2


# Seconds that a thread has to come to its end where the run does not go on. It may never do so: somebody may have made
# a model or an image for that.
PATIENCE = 2.0


def cores() -> int:
    """Processors that this process may use (an affinity mask, as containers set it, is honoured)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def batches(dataset: Dataset, parts: Sequence[Counts], *, workers: int) -> Generator[Batch, None, None]:
    """The samples at each of ``parts``, in order, decoded by ``workers`` threads ahead of their use."""
    waiting: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix=f"{THREADS} decode")
    try:
        for part in parts:
            waiting.append(pool.submit(dataset.read, part))
            if len(waiting) > workers * AHEAD_PER_WORKER:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        _end([pool], waiting)


def _first(waiting: deque[Future[Batch]]) -> Batch:
    """The first that is ``waiting``, which it is until it is there."""
    batch = waiting[0].result()
    waiting.popleft()
    return batch


def _end(pools: Sequence[ThreadPoolExecutor], running: Iterable[Future[Any]]) -> None:
    """Begin nothing more in ``pools``, and wait for what is ``running`` there, but not for ever."""
    for pool in pools:
        pool.shutdown(wait=False, cancel_futures=True)
    if not wait([each for each in running if not each.cancelled()], PATIENCE).not_done:
        for pool in pools:
            pool.shutdown()


class Lanes:
    """Threads side by side, in each of which one task runs after the other."""

    def __init__(self, count: int) -> None:
        self._lanes = [ThreadPoolExecutor(1, thread_name_prefix=f"{THREADS} model") for _ in range(count)]
        self._running: deque[list[Future[None]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            _end(self._lanes, [future for futures in self._running for future in futures])
        else:
            for lane in self._lanes:
                lane.shutdown(cancel_futures=True)

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Queue one task per lane; waits where too many are queued, and raises what an earlier task raised."""
        self._running.append([lane.submit(task) for lane, task in zip(self._lanes, tasks, strict=True)])
        if len(self._running) > AHEAD_PER_LANE:
            self._wait()

    def finish(self) -> None:
        """Wait for all tasks, and raise what one of them raised."""
        while self._running:
            self._wait()

    def _wait(self) -> None:
        for future in self._running[0]:
            future.result()
        self._running.popleft()
