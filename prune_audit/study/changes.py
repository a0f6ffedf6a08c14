"""What pruning did to accuracy and to the recall of each class, on these samples and on new ones, as tables.

Each mean over seeds has both intervals: that of Student's t over the seeds answers for new seeds on the samples that
were audited, the two-way one for new seeds and new samples.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core import Array, Floats, Value
from prune_audit.render import rounded
from prune_audit.study import student, two_way
from prune_audit.study.new_samples import Key, NewSamples, split
from prune_audit.study.tables import Row, Table, column, number, shows, table

if TYPE_CHECKING:
    from pandas import DataFrame

CELL = ["network", "method", "density"]
FELL, ROSE, UNDETERMINED, NOT_SHOWN = "fell", "rose", "undetermined", "not shown"


CELLS = (
    column("network", "network", "label"), column("method", "method", "label"),
    column("density", "density", "share"), column("seeds", "seeds", "count"), column("samples", "samples", "count"),
)  # fmt: skip
LIMITS = (
    column("change", "change", "points"), column("low", "low", "points"), column("high", "high", "points"),
    column("both_low", "interval, new samples", "points"), column("both_high", "high", "points"),
)  # fmt: skip
ACCURACY = (
    *CELLS, column("dense_accuracy", "dense accuracy", "share"), column("accuracy", "accuracy", "share"), *LIMITS,
    column("finding", "finding", "label"), column("finding_both", "on new samples", "label"),
    column("absent", "why absent", "label"),
)  # fmt: skip
CLASSES = (
    *CELLS[:3], column("class", "class", "label"), *CELLS[3:], *LIMITS, column("p", "p", "p"),
    column("p_adjusted", "adjusted p", "p"), column("finding", "finding", "label"),
    column("absent", "why absent", "label"),
)  # fmt: skip


def accuracy(order: Sequence[Key], runs: DataFrame, beyond: NewSamples) -> Table:
    """Of each cell how accuracy changed: the pruned networks' less that of the dense ones that they were made from."""
    done = dict(list(runs[runs["failed"].isna()].groupby(CELL)))
    rows: list[Row] = []
    for key in order:
        if key not in done:
            continue
        own = done[key].dropna(subset=["accuracy", "dense_accuracy"])
        moved = (own["accuracy"] - own["dense_accuracy"]).to_numpy(np.float64)  # (S,)
        if not len(moved):
            continue
        low, high = student.interval(moved, beyond.confidence)
        both_low, both_high, why = split(beyond.of_all(key, own["seed"].tolist()))
        row: dict[str, Value] = dict(zip(CELL, key, strict=True))
        row |= {"seeds": len(moved), "samples": beyond.samples(key[0])}
        row |= {name: float(own[name].mean()) for name in ("dense_accuracy", "accuracy")}
        row |= {"change": float(moved.mean()), "low": low, "high": high, "both_low": both_low, "both_high": both_high}
        row |= {"finding": _finding(low, high), "finding_both": _finding(both_low, both_high)}
        row["absent"] = why if beyond.kept else None
        rows.append(row)
    at = f"at {rounded.limit(beyond.confidence)} %"
    intervals = (
        f"with two intervals {at}. The first is Student's t over seeds and answers for new seeds on these samples; the "
        "second is two-way, over seeds and samples, and answers for new seeds and new samples"
        if shows(rows, "both_low")
        else f"with Student's t interval over seeds {at}, which answers for new seeds on these samples"
    )
    about = (
        f"Accuracy of the pruned networks less that of their dense ones, the mean over seeds, {intervals}. Accuracy "
        "fell where all of an interval lies below 0, and rose where all lies above."
    )
    return table("accuracy", "Change of accuracy", about, ACCURACY, rows, range(len(rows)))


def _finding(low: float | None, high: float | None) -> str | None:
    if low is None or high is None:
        return None
    return FELL if high < 0 else ROSE if low > 0 else UNDETERMINED


def classes(order: Sequence[Key], classes: DataFrame, beyond: NewSamples) -> Table:
    """Of each cell and class how the recall changed; no rows where it is not kept which samples were right."""
    rows: list[dict[str, Value]] = []
    by_cell = dict(list(classes.groupby(CELL, sort=False))) if beyond.kept else {}
    for key in order:
        if key in by_cell:
            rows += _of_cell(key, by_cell[key], beyond)
    about = (
        "Recall of each class in the pruned networks less that in their dense ones, the mean over seeds, with two "
        f"intervals at {rounded.limit(beyond.confidence)} %. The first answers for new seeds on these samples, the "
        "second, two-way over seeds and samples, for new seeds and new samples; p is of the second. Each p is "
        "multiplied by the number of tests, one a class, of the same network, method and density (Bonferroni), and a "
        f"recall fell or rose where it is below {student.LEVEL:g}; intervals are corrected for nothing."
    )
    telling = [at for at, row in enumerate(rows) if row["finding"] in (FELL, ROSE)]
    return table("changes", "Change of each class", about, CLASSES, rows, telling)


def _of_cell(key: Key, own: DataFrame, beyond: NewSamples) -> list[dict[str, Value]]:
    seeds: list[Hashable] = list(dict.fromkeys(own["seed"]))
    names = list(dict.fromkeys(own["class"]))
    recalls = own.set_index(["seed", "class"])[["dense_recall", "pruned_recall"]]
    moved = (recalls["pruned_recall"] - recalls["dense_recall"]).unstack().loc[seeds, names].to_numpy()  # (S, C)
    values = beyond.changes(key, seeds)
    why = values if isinstance(values, str) else None
    sizes = beyond.sizes.get(key[0], np.zeros(len(names), np.int64))
    found = (
        _two_way(values, sizes, beyond.confidence) if not isinstance(values, str) else np.full((4, len(names)), np.nan)
    )
    adjusted = student.bonferroni(found[3], [0] * len(names))
    rows = []
    for at, name in enumerate(names):
        change = moved[:, at]
        row: dict[str, Value] = dict(zip(CELL, key, strict=True))
        row |= {"class": name, "seeds": len(seeds), "samples": int(sizes[at])}
        if np.isfinite(change).all():
            low, high = student.interval(change, beyond.confidence)
            row |= {"change": float(change.mean()), "low": low, "high": high}
        limits = [number(found[n, at]) for n in (1, 2, 3)]
        row |= {"both_low": limits[0], "both_high": limits[1], "p": limits[2], "p_adjusted": number(adjusted[at])}
        if limits[2] is None:
            few = "fewer than 2 samples" if sizes[at] < 2 else "no sample of it changed in any run"
            row |= {"finding": None, "absent": why or f"no interval for new samples: {few}"}
        else:
            moves = FELL if found[0, at] < 0 else ROSE
            row["finding"] = moves if adjusted[at] < student.LEVEL else NOT_SHOWN
        rows.append(row)
    return rows


def _two_way(values: Floats, sizes: Array, confidence: float) -> Floats:
    """Mean, limits and p (4, C) of each class, NaN where it has fewer than two samples or none changed."""
    some = sizes >= 2
    found = np.full((4, len(sizes)), np.nan)
    if some.any():
        each = two_way.intervals(values[:, np.repeat(some, sizes)], sizes[some], confidence)
        _, p = student.student(each.mean, np.where(each.error > 0, each.error, np.nan), each.freedom, greater=False)
        found[:, some] = [each.mean, each.low, each.high, p]
    return found
