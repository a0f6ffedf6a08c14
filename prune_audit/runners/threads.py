"""Threads of this process: samples are decoded ahead of the models, and each model runs in a thread of its own.

Threads and not processes: Pillow, torch and onnxruntime let go of the interpreter lock while they work, nothing has to
be pickled or copied between processes, and a data set need not survive a fork. The bounds keep memory constant in the
number of samples.

Each model has a thread of its own, in which it sees one batch after the other, and the cores are shared out among the
models. So no two calls of one model overlap, whatever its forward pass keeps in itself, and there is little to wait
for: models that split each operation over all cores meet at its end, and spin there while somebody else holds a core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Any, Self

from prune_audit.runners import THREADS, Part, Result, Samples

# Enough waiting batches to ride out one slow decode per worker; more would only cost memory.
AHEAD_PER_WORKER = 2
# Batches that the fastest model may be ahead of the slowest.
AHEAD_PER_LANE = 2


# Seconds that a thread has to come to its end where the run does not go on. It may never do so: somebody may have made
# a model or an image for that.
PATIENCE = 2.0


def run(
    parts: Sequence[Part],
    read: Callable[[Part], Samples],
    tasks: Callable[[Samples], Sequence[Callable[[], Result]]],
    take: Sequence[Callable[[Result], None]],
    workers: int,
) -> None:
    """As the room has it; what a task gives is taken in the thread of its lane."""
    with closing(ahead(parts, read, workers)) as decoded, Lanes(len(take)) as lanes:
        for samples in decoded:
            todo = tasks(samples)
            if todo:
                lanes.run([partial(_done, task, give) for task, give in zip(todo, take, strict=True)])
        lanes.finish()


def _done(task: Callable[[], Result], take: Callable[[Result], None]) -> None:
    take(task())


def ahead(parts: Sequence[Part], read: Callable[[Part], Samples], workers: int) -> Generator[Samples, None, None]:
    """What ``read`` gives for each of ``parts``, in order, read by ``workers`` threads ahead of their use."""
    waiting: deque[Future[Samples]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix=f"{THREADS} decode")
    try:
        for part in parts:
            waiting.append(pool.submit(read, part))
            if len(waiting) > workers * AHEAD_PER_WORKER:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        _end([pool], waiting)


def _first(waiting: deque[Future[Samples]]) -> Samples:
    """The first that is ``waiting``, which it is until it is there."""
    samples = waiting[0].result()
    waiting.popleft()
    return samples


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
