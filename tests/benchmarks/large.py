"""An audit of a million predictions over a thousand classes: ``python -m tests.benchmarks.large [SAMPLES] [CLASSES]``.

Draws a dense and a pruned model's predictions and confidences, audits them through the Python API, renders the table,
CSV and JSON, and prints the seconds of each and the peak memory of the process.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from prune_audit import Outputs, Predictions, Settings, from_predictions
from prune_audit.reports import csv, json, table


def drawn(samples: int, classes: int) -> Predictions:
    """Labels, and two models that are right on four in five and agree on most."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, samples)
    guess = rng.integers(0, classes, samples)
    dense = np.where(rng.random(samples) < 0.8, labels, guess)
    pruned = np.where(rng.random(samples) < 0.95, dense, rng.integers(0, classes, samples))
    models = tuple(
        Outputs(name=name, predicted=predicted, confidence=rng.beta(4, 1, samples))
        for name, predicted in (("dense", dense), ("pruned", pruned))
    )
    return Predictions(
        classes=tuple(f"class {i}" for i in range(classes)),
        ids=tuple(map(str, range(samples))),
        labels=labels,
        models=models,
    )


def main(samples: int, classes: int) -> None:
    """Print a line per stage."""
    predictions = drawn(samples, classes)
    started = time.perf_counter()
    audit = from_predictions(predictions, "dense", ["pruned"], Settings())
    print(f"audit of {samples:,} samples, {classes:,} classes  {time.perf_counter() - started:6.1f} s")
    for report in (table, csv, json):
        started = time.perf_counter()
        size = len(report.render(audit))
        print(f"{report.__name__.rpartition('.')[2]:6} {size / 1e6:6.2f} MB  {time.perf_counter() - started:6.1f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [1_000_000, 1_000][len(given) :]))
