"""What workers cost: ``python -m tests.benchmarks.isolation [--samples N] [--runs N] [DENSE PRUNED DATA OPTION ...]``.

Whole processes with ``--isolate auto`` and ``never``, in an order that is turned from pair to pair: of two models over
an ``.npz`` file, or of the sample models and of one whose batch is fixed at a single sample, over digits. Each is run
over few samples and over many. What workers cost a run is the difference over the few; what a sample takes is the
difference between many and few, over the samples between, in which starting, loading and the checks of a run cancel.
That is done for wall time and for the time of processors, those of the workers included. Medians over the pairs, with
the quartiles of the ratios, since nobody has a machine alone. A first round, which fills the file cache, does not
count.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.conftest import ROOT

FEW = 1000


def run(models: Sequence[str], data: Path, limit: int, isolate: str, options: Sequence[str]) -> tuple[float, float]:
    """Wall seconds of one audit of ``limit`` samples, and seconds of processors."""
    command = [sys.executable, "-m", "prune_audit", "compare", *models, "--data", str(data), "-q", "--no-cache"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [*command, "--limit", str(limit), "--isolate", isolate, *options],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(models: Sequence[str], data: Path, many: int, runs: int, options: Sequence[str]) -> str:
    """A line of the table."""
    times = np.zeros((runs, 2, 2, 2))  # run, in workers or not, few or many, wall or processors
    for number in range(-1, runs):
        for way in (0, 1) if number % 2 else (1, 0):
            for size, limit in enumerate((FEW, many)):
                times[number, way, size] = run(models, data, limit, ("auto", "never")[way], options)
    more = np.median(times[:, 0, 0] - times[:, 1, 0], axis=0)  # (2,)
    each = (times[:, :, 1] - times[:, :, 0]) / (many - FEW) * 1e6  # (run, way, clock)
    ratio = np.quantile(each[:, 0] / each[:, 1], (0.25, 0.5, 0.75), axis=0)  # (3, clock)
    cells = [f"{more[0]:.2f} s", f"{more[1]:.2f} s"]
    for clock in range(2):
        auto, never = np.median(each[:, :, clock], axis=0)
        low, middle, high = ratio[:, clock]
        cells.append(f"{auto:.1f} / {never:.1f} µs = {middle:.2f} ({low:.2f} to {high:.2f})")
    return f"| {Path(models[0]).name} | " + " | ".join(cells) + " |"


def digits(folder: Path, many: int) -> Path:
    """The sample digits again and again, each a little darker than before, so that no two are the same."""
    from PIL import Image

    paths = sorted((ROOT / "sample_models" / "val").glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(path).convert("L"), np.float32) for path in paths])[:, None] / 255
    rounds = -(-many // len(paths))
    x = np.concatenate([pixels * (1 - 1e-4 * at) for at in range(rounds)])[:many]
    y = np.array([path.parent.name for path in paths] * rounds)[:many]
    np.savez(folder / "digits.npz", x=x, y=y)
    return folder / "digits.npz"


def one_by_one(path: Path, folder: Path) -> str:
    """The ONNX file at ``path`` with a batch fixed at one sample."""
    import onnx

    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, folder / f"{path.stem}-1.onnx")
    return str(folder / f"{path.stem}-1.onnx")


def main() -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=5)
    asked, rest = parser.parse_known_args()
    print("| models | more a run | of processors | wall time a sample, auto / never | processor time a sample |")
    print("|---|---:|---:|---:|---:|", flush=True)
    if rest:
        print(measure(rest[:2], Path(rest[2]), asked.samples, asked.runs, rest[3:]))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = digits(folder, asked.samples)
        both = [ROOT / "sample_models" / name for name in ("dense", "pruned-90")]
        for suffix in (".onnx", ".pt"):
            models = [f"{path}{suffix}" for path in both]
            print(measure(models, data, asked.samples, asked.runs, ()), flush=True)
        fixed = [one_by_one(path.with_suffix(".onnx"), folder) for path in both]
        print(measure(fixed, data, asked.samples, asked.runs, ()), flush=True)


if __name__ == "__main__":
    main()
