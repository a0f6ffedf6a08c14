"""Audits of recorded predictions, whole processes: ``python -m tests.benchmarks.large [--peers PYTHON]``.

Draws a dense model's predictions and those of pruned ones as Parquet files, audits them by ``compare``, and prints the
processor time (user and system) of each process, since a busy machine counts for little there, and its peak memory: by
samples, by classes and by variants, each with the exponent by which the time grows in the last step. Below that what
a million samples cost with reports.

With ``--peers`` other libraries say, in place of that, what they can of the same files, in processes of the interpreter
PYTHON, which has them or cannot run them: recalls without uncertainty (scikit-learn), or with 100 bootstraps
(fairlearn, torchmetrics). Each is one run.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tests.conftest import ROOT

BY_SAMPLES = tuple((n, 1_000, 1) for n in (10_000, 100_000, 1_000_000))
BY_CLASSES = tuple((100_000, n, 1) for n in (10, 100, 1_000, 10_000))
BY_VARIANTS = tuple((100_000, 1_000, n) for n in (1, 2, 4, 8))
BESIDE = (100_000, 100, 1)  # what peers are given

_READ = """
import pandas
a, b, y = (pandas.read_parquet(f"{name}.parquet") for name in ("dense", "pruned-0", "labels"))
y, models = y["label"].astype(str), {"dense": a["prediction"].astype(str), "pruned": b["prediction"].astype(str)}
"""
PEERS = {
    "scikit-learn, recall by class": """
from sklearn.metrics import classification_report
for found in models.values():
    classification_report(y, found, output_dict=True)
""",
    "fairlearn, recall by class, 100 bootstraps": """
from fairlearn.metrics import MetricFrame
from sklearn.metrics import accuracy_score
for found in models.values():
    MetricFrame(
        metrics=accuracy_score, y_true=y, y_pred=found, sensitive_features=y, n_boot=100, ci_quantiles=[0.025, 0.975],
        random_state=0,
    ).by_group_ci
""",
    "torchmetrics, recall by class, 100 bootstraps": """
import torch
from torchmetrics.classification import MulticlassRecall
from torchmetrics.wrappers import BootStrapper
names = {name: i for i, name in enumerate(sorted(set(y)))}
labels = torch.tensor(y.map(names).to_numpy())
for found in models.values():
    recall = BootStrapper(
        MulticlassRecall(len(names), average=None), num_bootstraps=100, quantile=torch.tensor([0.025, 0.975])
    )
    recall.update(torch.tensor(found.map(names).to_numpy()), labels)
    recall.compute()
""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Processor time of a process in ``seconds``, and its peak memory in megabytes."""

    seconds: float
    megabytes: float


def draw(folder: Path, samples: int, classes: int, variants: int) -> None:
    """Labels, and models that are right on four in five and agree on most, as Parquet files with ids and names."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    names = np.array([f"class {i}" for i in range(classes)], object)
    labels = rng.integers(0, classes, samples)
    dense = np.where(rng.random(samples) < 0.8, labels, rng.integers(0, classes, samples))
    found = {"labels": ("label", labels), "dense": ("prediction", dense)}
    for i in range(variants):
        other = rng.integers(0, classes, samples)
        found[f"pruned-{i}"] = ("prediction", np.where(rng.random(samples) < 0.95, dense, other))
    ids = [f"{i:07d}" for i in range(samples)]
    for name, (column, values) in found.items():
        parquet.write_table(pa.table({"id": ids, column: names[values]}), folder / f"{name}.parquet")


def drawn(folder: Path, case: tuple[int, int, int]) -> None:
    """`draw` in another process: a new one begins with the peak memory of that which it comes from."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(draw, folder, *case).result()


def spent(command: Sequence[str], folder: Path) -> Cost | None:
    """What ``command`` costs in ``folder``, None where it fails."""
    # One thread, or processor time would count what others wait.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        return None
    return Cost(seconds=used.ru_utime + used.ru_stime, megabytes=used.ru_maxrss / 1024)


def audited(samples: int, classes: int, variants: int, *more: str) -> Cost:
    """What `compare` costs on files that are drawn for it."""
    with tempfile.TemporaryDirectory() as name:
        drawn(Path(name), (samples, classes, variants))
        pruned = [f"pruned-{i}.parquet" for i in range(variants)]
        command = [sys.executable, "-m", "prune_audit", "compare", "dense.parquet", *pruned, "--data", "labels.parquet"]
        cost = spent([*command, "--no-cache", "--quiet", *more], Path(name))
    assert cost is not None
    return cost


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The power of the size by which the time grew in the last step."""
    return math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])


def told(what: str, cost: Cost | None) -> None:
    """Print a row."""
    said = "could not be run" if cost is None else f"{cost.seconds:7.1f} s {cost.megabytes:7,.0f} MB"
    print(f"{what:58}{said}", flush=True)


def series(what: str, at: int, cases: Sequence[tuple[int, int, int]]) -> None:
    """Print the rows of ``cases``, which differ at one place, and how the time grows."""
    costs = []
    for case in cases:
        costs.append(audited(*case))
        told("{:,} samples, {:,} classes, {} pruned".format(*case), costs[-1])
    power = exponent([case[at] for case in cases], [cost.seconds for cost in costs])
    print(f"  the last step grows as {what} to the power of {power:.2f}\n", flush=True)


def main() -> None:
    """Print the table of what is measured alone."""
    series("samples", 0, BY_SAMPLES)
    series("classes", 1, BY_CLASSES)
    series("variants", 2, BY_VARIANTS)
    with tempfile.TemporaryDirectory() as folder:
        written = [each for suffix in ("json", "html") for each in ("-o", f"{folder}/audit.{suffix}")]
        told("1,000,000 samples, 1,000 classes, with JSON and HTML", audited(1_000_000, 1_000, 1, *written))


def beside(python: str) -> None:
    """Print what others take, in processes of the interpreter ``python``."""
    print("on {:,} samples, {:,} classes, {} pruned".format(*BESIDE))
    told("prune-audit, all it says", audited(*BESIDE))
    with tempfile.TemporaryDirectory() as name:
        drawn(Path(name), BESIDE)
        for what, code in PEERS.items():
            told(what, spent([python, "-c", _READ + code], Path(name)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peers"]:
        beside(sys.argv[2])
    else:
        main()
