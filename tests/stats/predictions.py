"""Predictions of two models that part on some samples, drawn at random."""

from __future__ import annotations

import numpy as np

from prune_audit.core import Outputs, Predictions


def drawn(seed: int, samples: int, classes: int, right: tuple[float, float] = (0.8, 0.6)) -> Predictions:
    """Labels of uneven classes, and two models that are right with the given probabilities, else anything."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(classes, 3.0))
    labels = rng.choice(classes, samples, p=share)
    dense = np.where(rng.random(samples) < right[0], labels, rng.integers(0, classes, samples))
    kept = rng.random(samples) < right[1]
    pruned = np.where(kept, dense, rng.integers(0, classes, samples))
    return Predictions(
        classes=tuple(f"class {i}" for i in range(classes)),
        ids=tuple(map(str, range(samples))),
        labels=labels,
        models=(Outputs(name="dense", predicted=dense), Outputs(name="pruned", predicted=pruned)),
        groups={"half": np.arange(samples) % 2},
    )
