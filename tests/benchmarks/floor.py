"""What no tool can do without: decode every photograph once on all cores, then run each model on data in memory.

``python -m tests.benchmarks.floor DENSE PRUNED DATA`` prints seconds, start-up and loading of models left out. Each
model runs at its best batch size, found on the first samples beforehand, with as many threads as the runtime likes.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from prune_audit.runners import cores
from tests.benchmarks.two_pass import Folder, model

SIZES = (1, 2, 4, 8, 16, 32, 64)
TRIED = 64  # samples that the batch size is chosen by


def main(dense: str, pruned: str, data: str) -> None:
    """Print the seconds that decoding and both models take."""
    folder = Folder(Path(data))
    started = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        x = torch.stack(list(pool.map(lambda at: folder[at][0], range(len(folder)))))
    total = time.perf_counter() - started
    with torch.inference_mode():
        for path in (dense, pruned):
            predict = model(path)

            def seconds(size: int, count: int, predict: object = predict) -> float:
                began = time.perf_counter()
                for start in range(0, count, size):
                    predict(x[start : min(start + size, count)])  # type: ignore[operator]  # the loop's own function
                return time.perf_counter() - began

            for size in SIZES:  # what a runtime sets up for a shape
                seconds(size, 3 * size)
            best = min(SIZES, key=lambda size: seconds(size, TRIED))
            total += seconds(best, len(folder))
    print(total)


if __name__ == "__main__":
    main(*sys.argv[1:])
