"""Decode ahead of the models, in a bounded pool of threads.

Threads and not processes: Pillow lets go of the interpreter lock while it decodes and resizes, nothing has to be
pickled or copied between processes, and a data set need not survive a fork. The bound keeps memory constant in the
number of samples.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor

from prune_audit.core import Batch, Counts, Dataset

# Enough waiting batches to ride out one slow decode per worker; more would only cost memory.
AHEAD_PER_WORKER = 2


def cores() -> int:
    """Processors that this process may use (an affinity mask, as containers set it, is honoured)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def batches(dataset: Dataset, rows: Counts, *, size: int, workers: int) -> Generator[Batch, None, None]:
    """The samples at ``rows``, in order, ``size`` at a time, decoded by ``workers`` threads ahead of their use."""
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    waiting: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for part in parts:
            waiting.append(pool.submit(dataset.read, part))
            if len(waiting) > workers * AHEAD_PER_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
