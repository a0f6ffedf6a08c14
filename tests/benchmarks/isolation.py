"""What workers cost: ``python -m tests.benchmarks.isolation [DATA] [RUNS]``.

Whole processes with ``--isolate auto`` and ``never`` in turn, so that their ratio holds where the machine's speed
drifts. DATA is an image folder, by default the digits of the sample models. Of each format the median wall time of a
run, the median of what is more (or less) pair by pair, and the median over pairs of the ratio of milliseconds a sample,
as the runs themselves measure them. A first run of each, which fills the file cache, does not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.conftest import ROOT


def run(pair: list[str], data: Path, isolate: str, output: Path) -> tuple[float, float]:
    """Wall seconds of one audit, and milliseconds a sample of both models together."""
    command = [sys.executable, "-m", "prune_audit", "compare", *pair, "--data", str(data), "-q", "--no-cache"]
    began = time.perf_counter()
    subprocess.run([*command, "--isolate", isolate, "-o", str(output)], cwd=ROOT, check=True)
    seconds = time.perf_counter() - began
    facts = json.loads(output.read_text())["provenance"]["run"]
    own = [value for name, value in facts.items() if name.startswith("ms per sample, ") and "quartiles" not in name]
    return seconds, sum(own)


def main(data: Path, runs: int) -> None:
    """Run the pairs of each format, print a line for each."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".pt", ".onnx"):
            pair = [str(ROOT / "sample_models" / f"{name}{suffix}") for name in ("dense", "pruned-90")]
            times = []
            for _ in range(1 + runs):
                times.append([run(pair, data, isolate, Path(folder) / "a.json") for isolate in ("auto", "never")])
            alone, ratios = [], []
            for (auto, auto_ms), (never, never_ms) in times[1:]:
                alone.append((auto, never, auto - never))
                ratios.append(auto_ms / never_ms)
            auto, never, more = (median(column) for column in zip(*alone, strict=True))
            print(
                f"{suffix:6} in workers {auto:5.2f} s   in the process {never:5.2f} s   {more:+.2f} s a run   "
                f"{median(ratios):.2f} times the time a sample",
                flush=True,
            )


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "sample_models" / "val"
    main(where, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
