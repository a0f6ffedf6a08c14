"""What workers cost: ``python -m tests.benchmarks.isolation [--data DATA] [--runs N] [DENSE PRUNED OPTION ...]``.

Whole processes with ``--isolate auto`` and ``never`` in turn, so that their ratio holds where the machine's speed
drifts: of two models, or of the sample models in both formats over the digits beside them. Of each pair the median wall
time of a run, the median of what is more (or less) pair by pair, and the median over pairs of the ratio of milliseconds
a sample, as the runs themselves measure them. A first run of each, which fills the file cache, does not count. What
follows the models is handed on to ``compare``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.conftest import ROOT


def run(models: Sequence[str], data: Path, isolate: str, output: Path) -> tuple[float, float]:
    """Wall seconds of one audit, and milliseconds a sample of both models together."""
    command = [sys.executable, "-m", "prune_audit", "compare", *models, "--data", str(data), "-q", "--no-cache"]
    began = time.perf_counter()
    subprocess.run([*command, "--isolate", isolate, "-o", str(output)], cwd=ROOT, check=True)
    seconds = time.perf_counter() - began
    facts = json.loads(output.read_text())["provenance"]["run"]
    own = [value for name, value in facts.items() if name.startswith("ms per sample, ") and "quartiles" not in name]
    return seconds, sum(own)


def main(pairs: Sequence[Sequence[str]], data: Path, runs: int) -> None:
    """Run the pairs, print a line for each."""
    with tempfile.TemporaryDirectory() as folder:
        for models in pairs:
            times = []
            for _ in range(1 + runs):
                times.append([run(models, data, isolate, Path(folder) / "a.json") for isolate in ("auto", "never")])
            alone, ratios = [], []
            for (auto, auto_ms), (never, never_ms) in times[1:]:
                alone.append((auto, never, auto - never))
                ratios.append(auto_ms / never_ms)
            auto, never, more = (median(column) for column in zip(*alone, strict=True))
            print(
                f"{Path(models[0]).name:12} in workers {auto:6.2f} s   in the process {never:6.2f} s   "
                f"{more:+.2f} s a run   {median(ratios):.2f} times the time a sample",
                flush=True,
            )


if __name__ == "__main__":
    samples = ROOT / "sample_models"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=samples / "val")
    parser.add_argument("--runs", type=int, default=5)
    asked, models = parser.parse_known_args()
    both = [[str(samples / f"{name}{suffix}") for name in ("dense", "pruned-90")] for suffix in (".pt", ".onnx")]
    main([models] if models else both, asked.data, asked.runs)
