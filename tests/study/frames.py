"""Frames as a study makes them: of every run what its own audit would say of the drawn balances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from prune_audit.core import HARMED, REGRESSED

MEASURED = (
    *("parameters", "dense_accuracy", "accuracy", "intensification", "r_squared", "alpha_corrected", "alpha_lambda"),
    *("worst_recall", "harmed", "regressed"),
)


def drawn(
    networks: Sequence[str] = ("small", "large"),
    methods: Sequence[str] = ("magnitude", "surgery"),
    densities: Sequence[float] = (0.5, 0.1, 0.02),
    seeds: int = 5,
    classes: int = 6,
    *,
    slope: Callable[[str, str, float], float] = lambda network, method, density: 1.2,
    noise: float = 0.02,
    draw: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and classes; ``slope`` is that of pruned on dense balances, around which ``noise`` is drawn."""
    rng = np.random.default_rng(draw)
    runs: list[dict[str, Any]] = []
    of: list[dict[str, Any]] = []
    for size, network in enumerate(networks):
        for seed in range(seeds):
            dense = rng.normal(0, 0.1, classes)
            for method in methods:
                for density in densities:
                    key = {"study": "drawn", "network": network, "seed": seed, "method": method, "density": density}
                    accuracy = 0.8 + rng.normal(0, 0.01)
                    pruned = slope(network, method, density) * dense + rng.normal(0, noise, classes)
                    before, after = 0.85 * (1 + dense), accuracy * (1 + pruned)
                    fell = after - before < -0.12
                    alpha = float(dense @ pruned / (dense @ dense))
                    fit = float((dense @ pruned) ** 2 / (dense @ dense) / (pruned @ pruned))
                    measured = (
                        1e5 * (1 + size), 0.85, accuracy, alpha, fit,
                        1.05 * alpha, 0.9, float(after.min()), int(fell.sum()), int(fell.sum()),
                    )  # fmt: skip
                    runs.append({**key, "failed": None, **dict(zip(MEASURED, measured, strict=True))})
                    of += [
                        {
                            **key, "class": f"class {c}", "support": 100 + c, "dense_recall": before[c],
                            "pruned_recall": after[c], "dense_balance": dense[c], "pruned_balance": pruned[c],
                            "balance_change": pruned[c] - dense[c],
                            "verdict": REGRESSED if fell[c] else "fine",
                            "distortion": HARMED[c % len(HARMED)] if fell[c] else "no harm shown",
                        }
                        for c in range(classes)
                    ]  # fmt: skip
    return pd.DataFrame(runs), pd.DataFrame(of)


def failing(
    runs: pd.DataFrame, classes: pd.DataFrame, which: Callable[[Any], bool], reason: str = "out of memory"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same, where runs of which ``which`` is true of their row have failed: nothing is measured of them."""
    fell = runs.apply(which, axis=1).astype(bool)
    runs = runs.copy()
    runs["failed"] = runs["failed"].astype(object).where(~fell, reason)
    runs[list(MEASURED)] = runs[list(MEASURED)].astype(float).where(~fell)
    return runs, classes[~classes.apply(which, axis=1).astype(bool)]
