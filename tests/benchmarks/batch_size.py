"""Milliseconds per sample by batch size, at 224 pixels: ``python -m tests.benchmarks.batch_size``.

The measurement behind `prune_audit.evaluate.loop.BATCH_BYTES`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from prune_audit.core import Array
from tests.benchmarks.mobilenet import network
from tests.benchmarks.speed import save

SAMPLES = 64


def per_sample(predict: Callable[[Array], object], x: Array, size: int) -> float:
    """Milliseconds per sample of ``x`` in batches of ``size``, after two batches that are not counted."""
    predict(x[:size])
    predict(x[:size])
    started = time.perf_counter()
    for start in range(0, len(x), size):
        predict(x[start : start + size])
    return (time.perf_counter() - started) / len(x) * 1000


def main() -> None:
    """Print a row per batch size."""
    x = np.random.default_rng(0).random((SAMPLES, 3, 224, 224), np.float32)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder) / "model"
        save(network(), path)
        session = onnxruntime.InferenceSession(path.with_suffix(".onnx"))
        name = session.get_inputs()[0].name
        module = torch.jit.load(str(path.with_suffix(".pt"))).eval()
        print("batch   TorchScript   ONNX   (ms per sample)")
        for size in (1, 2, 3, 4, 8, 16, 32):
            script = per_sample(lambda part: module(torch.from_numpy(part)), x, size)
            onnx = per_sample(lambda part: session.run(None, {name: part}), x, size)
            print(f"{size:5}   {script:11.1f}   {onnx:4.1f}")


if __name__ == "__main__":
    main()
