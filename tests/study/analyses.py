"""Frames and analyses as reports get them, with plausible numbers that nothing here computes a test of.

Real numbers come from `prune_audit.study.analysis`; what is rendered needs only their shape, and cases that are rare.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pandas as pd

from prune_audit.core import Value
from prune_audit.study import changes
from prune_audit.study.analysis import CELLS, CLASSES
from prune_audit.study.comparisons import DESIGNS
from prune_audit.study.tables import Analysis, Column, Table

METHODS = ("random", "magnitude", "magnitude-layer", "undecayed", "undecayed-released", "gradient-full", "surgery")
DENSITIES = (0.5, 0.25, 0.1, 0.05, 0.02)
NETWORKS = ("resnet-20", "resnet-56")
BITES = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b | c", "' onclick='x", "\u2028{{1}}")


@dataclass(frozen=True, slots=True)
class Study:
    """What a page is rendered of."""

    analysis: Analysis
    runs: pd.DataFrame
    classes: pd.DataFrame


@cache
def study(
    networks: tuple[str, ...] = NETWORKS,
    methods: tuple[str, ...] = METHODS,
    densities: tuple[float, ...] = DENSITIES,
    seeds: int = 5,
    classes: int = 10,
) -> Study:
    """A study in which gaps grow with sparsity, and one method of which no line describes the classes."""
    drawn = frames(networks, methods, densities, seeds, classes)
    return Study(analysis(*drawn), *drawn)


def small() -> Study:
    """One that a person can read whole."""
    return study(methods=("random", "magnitude", "surgery"), densities=(0.5, 0.1, 0.02), seeds=3, classes=8)


def bitten() -> Study:
    """Names that bite wherever there is a name, and a run that failed with words that do."""
    networks, methods = (BITES[0], BITES[1]), (BITES[2], BITES[3])
    drawn = study(networks, methods, (0.5, 0.1), 2, 3)
    classes = drawn.classes.assign(**{"class": drawn.classes["class"] + BITES[4]})
    runs = drawn.runs.assign(failed=drawn.runs["failed"].where(drawn.runs.index > 0, BITES[0]))
    of = replace(analysis(runs, classes), title=BITES[0], notes=BITES)
    return Study(of, runs, classes)


def alpha(network: str, method: str, density: float) -> float:
    """The slope that the frames are drawn with."""
    steep = {"magnitude": 0.24, "magnitude-layer": 0.2, "undecayed": 0.16, "undecayed-released": 0.165, "surgery": 0.12}
    return float(
        0.9 + (1.2 if network == NETWORKS[0] else 1) * steep.get(method, 0.26) * (np.log(0.5 / density)) ** 1.2
    )


def frames(
    networks: Sequence[str], methods: Sequence[str], densities: Sequence[float], seeds: int, classes: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and classes."""
    runs, by_class = [], []
    for size, network in enumerate(networks):
        for seed in range(seeds):
            rng = np.random.default_rng(zlib.crc32(f"{network} {seed}".encode()))
            dense = 0.09 * np.sin(np.arange(classes) * 2.4) + rng.normal(0, 0.015, classes)
            dense -= dense.mean()
            for method in methods:
                for density in densities:
                    own = np.random.default_rng(zlib.crc32(f"{network} {seed} {method} {density}".encode()))
                    slope = alpha(network, method, density) + own.normal(0, 0.04)
                    accuracy = 0.9 + 0.02 * size - 0.025 * slope**2 + own.normal(0, 0.003)
                    pruned = slope * dense + own.normal(0, 0.012 * slope, classes)
                    if method == "random":
                        accuracy, pruned = 0.65 - 0.15 * (0.5 - density), own.normal(0, 0.45, classes) - dense
                    run = {
                        "study": "synthetic", "network": network, "seed": seed, "method": method, "density": density,
                        "failed": None, "achieved": density, "parameters": 272_474 * (1 + 2 * size),
                        "dense_accuracy": 0.92 + 0.01 * size, "accuracy": accuracy,
                    }  # fmt: skip
                    runs.append(run)
                    change = pruned - dense
                    for c in range(classes):
                        harmed = change[c] < -0.06
                        by_class.append(
                            {
                                "study": "synthetic", "network": network, "seed": seed, "method": method,
                                "density": density, "class": f"class {c}", "support": 1000,
                                "dense_recall": 0.9 * (1 + dense[c]), "pruned_recall": accuracy * (1 + pruned[c]),
                                "dense_balance": dense[c], "pruned_balance": pruned[c], "balance_change": change[c],
                                "verdict": "regressed" if harmed else "fine",
                                "distortion": "intensified" if harmed else "no harm shown",
                            }
                        )  # fmt: skip
    return pd.DataFrame(runs), pd.DataFrame(by_class)


def table(
    name: str, title: str, columns: Sequence[Column], rows: Sequence[dict[str, Value]], nothing: str = ""
) -> Table:
    """A table of ``rows``; those whose finding is ``nothing`` or None tell nothing. Without ``nothing`` all do."""
    telling = [at for at, row in enumerate(rows) if not nothing or row.get("finding") not in (None, nothing)]
    return Table(
        name=name,
        title=title,
        about=f"How to read {title.lower()}, and what was corrected for. The second sentence says a little more of it.",
        columns=tuple(columns),
        rows=tuple(tuple(row.get(column.name) for column in columns) for row in rows),
        telling=tuple(telling),
    )


def slope(dense: pd.Series[float], pruned: pd.Series[float]) -> tuple[float, float]:
    """The slope through the origin, and r^2."""
    fit = float((dense * pruned).sum() / (dense**2).sum())
    return fit, max(0.0, float(1 - ((pruned - fit * dense) ** 2).sum() / (pruned**2).sum()))


def analysis(runs: pd.DataFrame, classes: pd.DataFrame) -> Analysis:
    """Cells from the frames, and tests whose p-values are made up."""
    cells: list[dict[str, Value]] = []
    for key, own in classes.groupby(["network", "method", "density"], sort=False):
        network, method, density = _key(key)
        fits = [slope(c["dense_balance"], c["pruned_balance"]) for _, c in own.groupby("seed")]
        mean, fit = (float(np.mean([each[n] for each in fits])) for n in (0, 1))
        spread = 2.2 * float(np.std([each[0] for each in fits]))
        pooled, pooled_fit = slope(own["dense_balance"], own["pruned_balance"])
        here = runs[(runs["network"] == network) & (runs["method"] == method) & (runs["density"] == density)]
        per_run = float(own["distortion"].eq("intensified").groupby(own["seed"]).sum().mean())
        no_line = fit < 0.5
        cells.append(
            {
                "network": network, "method": method, "density": density, "seeds": len(fits),
                "finished": len(fits), "alpha": mean,
                "alpha_low": mean - spread if len(fits) > 1 else None,
                "alpha_high": mean + spread if len(fits) > 1 else None,
                "finding": None if len(fits) < 2 or no_line else "intensified" if mean - spread > 1
                else "de-intensified" if mean + spread < 1 else "undetermined",
                "alpha_both_low": mean - 1.3 * spread if len(fits) > 4 else None,
                "alpha_both_high": mean + 1.3 * spread if len(fits) > 4 else None,
                "finding_both": None if len(fits) < 5 or no_line else "intensified" if mean - 1.3 * spread > 1
                else "de-intensified" if mean + 1.3 * spread < 1 else "undetermined",
                "r_squared": fit, "pooled_alpha": pooled, "pooled_r_squared": pooled_fit,
                "corrected": None if no_line else 1.04 * mean,
                "corrected_low": None if no_line or len(fits) < 2 else 1.04 * mean - 1.5 * spread,
                "corrected_high": None if no_line or len(fits) < 2 else 1.04 * mean + 1.5 * spread,
                "estimable": 0 if no_line else len(fits), "reliability": 0.9,
                "spread_ratio": None if no_line else 1.1 * mean,
                "spread_ratio_low": None if no_line or len(fits) < 2 else 1.1 * mean - spread,
                "spread_ratio_high": None if no_line or len(fits) < 2 else 1.1 * mean + spread,
                "gaps": None if len(fits) < 2 or no_line else "grew" if 1.1 * mean - spread > 1
                else "shrank" if 1.1 * mean + spread < 1 else "undetermined",
                "accuracy": float(here["accuracy"].mean()),
                "dense_accuracy": float(here["dense_accuracy"].mean()),
                "worst_recall": float(own["pruned_recall"].min()),
                "worst_change": float(own["pruned_recall"].min() - own["dense_recall"].min()),
                "harmed": per_run, "regressed": per_run, "pareto": None,
                "absent": "alpha is no slope of anything: r^2 " + f"{fit:.2f}" if no_line
                else "1 seed has an alpha; an interval needs 2" if len(fits) < 2 else None,
            }
        )  # fmt: skip
    for cell in cells:
        rivals = [other for other in cells if other["network"] == cell["network"] and other is not cell]
        cell["pareto"] = "no" if any(_beats(other, cell) for other in rivals) else "yes"
    tables = [table("cells", "Cells", CELLS, cells), _accuracy(cells), *_tests(cells, classes)]
    notes = (
        "All seeds share one test set, so its noise is in every alpha alike; the corrected alpha takes it out.",
        "Intervals are at 99 %, so that those of five densities hold together at 95 % (Bonferroni).",
    )
    return Analysis(title="Synthetic study", tables=tuple(made for made in tables if made.rows), notes=notes)


def _accuracy(cells: list[dict[str, Value]]) -> Table:
    rows: list[dict[str, Value]] = []
    for cell in cells:
        several, moved = _at(cell, "seeds") > 1, _at(cell, "accuracy") - _at(cell, "dense_accuracy")
        ends = (moved - 0.01, moved + 0.01, moved - 0.03, moved + 0.03) if several else (None,) * 4
        found = [None if high is None else "fell" if high < 0 else "undetermined" for high in (ends[1], ends[3])]
        row = {name: cell[name] for name in ("network", "method", "density", "seeds", "dense_accuracy", "accuracy")}
        row |= {"samples": 10_000, "change": moved, "finding": found[0], "finding_both": found[1]}
        rows.append(row | dict(zip(("low", "high", "both_low", "both_high"), ends, strict=True)))
    return table("accuracy", "Change of accuracy", changes.ACCURACY, rows)


def _key(key: object) -> tuple[Value, ...]:
    assert isinstance(key, tuple)
    return key


def _beats(one: dict[str, Value], other: dict[str, Value]) -> bool:
    pairs = [(_at(one, name) * sign, _at(other, name) * sign) for name, sign in PARETO]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


PARETO = (("accuracy", 1), ("density", -1), ("harmed", -1))


def _at(row: dict[str, Value], name: str) -> float:
    value = row[name]
    assert isinstance(value, (int, float))
    return value


def _tests(cells: list[dict[str, Value]], classes: pd.DataFrame) -> list[Table]:
    def test(keys: dict[str, Value], difference: float, found: str) -> dict[str, Value]:
        several = _at(cells[0], "seeds") > 1
        if not several:
            return keys | {"absent": "a paired test needs 2 seeds"}
        p = float(np.exp(-30 * abs(difference)))
        return keys | {
            "seeds": 5, "difference": difference, "low": difference - 0.1, "high": difference + 0.1,
            "both_low": difference - 0.13, "both_high": difference + 0.13,
            "t": 20 * difference, "p": p / 10, "p_adjusted": min(1.0, p), "finding": found if p < 0.05 else "not shown",
        }  # fmt: skip

    steps, pairs, sizes, by_class = [], [], [], []
    at = {(cell["network"], cell["method"], cell["density"]): _at(cell, "alpha") for cell in cells}
    networks, methods, densities = (
        list(dict.fromkeys(cell[n] for cell in cells)) for n in ("network", "method", "density")
    )
    for network in networks:
        for method in methods:
            for dense, sparse in pairwise(densities):
                keys = {"network": network, "method": method, "density": dense, "sparser": sparse}
                moved = at[network, method, sparse] - at[network, method, dense]
                steps.append(test(keys, moved, "more intensification" if moved > 0 else "not shown"))
        for density in densities:
            for one, other in combinations(methods, 2):
                moved = at[network, other, density] - at[network, one, density]
                keys = {"network": network, "density": density, "method": one, "other": other}
                pairs.append(test(keys, moved, "lower" if moved < 0 else "higher"))
    for small, large in pairwise(networks):
        for method in methods:
            for density in densities:
                moved = at[small, method, density] - at[large, method, density]
                keys = {"network": small, "larger": large, "method": method, "density": density}
                found = test(keys, moved, "more intensification" if moved > 0 else "not shown")
                sizes.append(found | {"seeds_larger": found.get("seeds")})
    for key, own in classes.groupby(["network", "method", "density", "class"], sort=False):
        network, method, density, name = _key(key)
        moved = float(own["balance_change"].mean())
        keys = {"network": network, "method": method, "density": density, "class": name}
        found = test(keys, moved, "lost ground" if moved < 0 else "gained ground")
        by_class.append(
            found
            | {
                "dense_recall": float(own["dense_recall"].mean()), "pruned_recall": float(own["pruned_recall"].mean()),
                "change": float(own["pruned_recall"].mean() - own["dense_recall"].mean()), "balance_change": moved,
                "harmed_in": int(own["distortion"].eq("intensified").sum()),
                "regressed_in": int(own["verdict"].eq("regressed").sum()),
            }
        )  # fmt: skip
    tests = {"densities": steps, "methods": pairs, "networks": sizes}
    made = [table(name, DESIGNS[name].title, DESIGNS[name].columns, rows, "not shown") for name, rows in tests.items()]
    made.append(table("classes", "Classes", CLASSES, by_class, "not shown"))
    classes_table = made[-1]
    findings = classes_table.column("finding")
    telling = tuple(at for at in classes_table.telling if findings[at] == "lost ground")
    made[-1] = Table(
        **{name: getattr(classes_table, name) for name in Table.__dataclass_fields__} | {"telling": telling}
    )
    return made
