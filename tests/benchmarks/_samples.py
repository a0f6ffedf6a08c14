"""What needs whole predictions or whole audits: precision and F1, clusters, collapse, identical pairs and the gate."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from prune_audit import rules
from prune_audit.core import (
    REGRESSED,
    Comparison,
    Counts,
    Floats,
    Measure,
    ModelCard,
    Outputs,
    Pair,
    Predictions,
    View,
)
from prune_audit.core.scores import Ties
from prune_audit.stats import change, collapsed, distortion, f1, mcnemar, precision, recall, verdict
from prune_audit.tasks import classification
from tests.benchmarks._audits import DEFAULT, EQUAL, Found, floats, named
from tests.benchmarks._bars import Row, rate, worst_part
from tests.benchmarks._draws import SEED, Cell


def calls(section: str, cell: Cell) -> list[Row]:
    """Precision and F1, from whole predictions: a wrong answer goes to the next class or, less often, the one after."""
    draws, out = cell.draw(), Found(section, cell)
    rng = np.random.default_rng(SEED)
    classes = len(cell.n)
    names = tuple(str(i) for i in range(classes))
    limits: dict[str, list[tuple[Floats, Floats]]] = {"precision": [], "f1": []}
    labels = np.repeat(np.arange(classes), cell.n)
    for draw in draws:
        kind = np.repeat(np.tile(np.arange(4), classes), draw.reshape(-1))  # both, lost, gained, neither
        first, second = ((labels + 1 + (rng.random(len(labels)) < AFTER)) % classes for _ in range(2))
        second = np.where(rng.random(len(labels)) < AGREE, first, second)
        dense = np.where((kind == 0) | (kind == 1), labels, first)
        pruned = np.where((kind == 0) | (kind == 2), labels, second)
        models = Outputs(name="dense", predicted=dense), Outputs(name="pruned", predicted=pruned)
        ids = ("",) * len(labels)
        pair = classification.pair(Predictions(classes=names, ids=ids, labels=labels, models=models), "dense", "pruned")
        for name, module in (("precision", precision), ("f1", f1)):
            found = named(module.measure(pair, DEFAULT))[f"{name}_change"]
            limits[name].append((floats(found.low), floats(found.high)))
    for name, title in (("precision", "precision"), ("f1", "F1")):
        low, high = (np.array(side) for side in zip(*limits[name], strict=True))
        weight = 0 if name == "precision" else 1
        before, after = (_called_right(cell, recall, weight) for recall in (cell.dense, cell.pruned))
        out.coverage(f"interval of {title}", low, high, after - before)
    return out.rows


AFTER, AGREE = 0.3, 0.7
"""Share of wrong answers that go to the class after the next, and of two wrong ones that are the same."""


def _called_right(cell: Cell, recall: Floats, weight: int) -> Floats:
    """True precision (weight 0) or F1 (weight 1) per class (C,), of expected counts."""
    right, wrong = cell.n * recall, cell.n * (1 - recall)
    called = right + (1 - AFTER) * np.roll(wrong, 1) + AFTER * np.roll(wrong, 2)
    value: Floats = (1 + weight) * right / (called + weight * cell.n)
    return value


def clustered(section: str, cell: Cell, cluster: Counts) -> list[Row]:
    """Samples that belong to ``cluster`` (N,), class after class, with and without --cluster."""
    out, classes = Found(section, cell), len(cell.n)
    rng = np.random.default_rng([SEED, zlib.crc32(f"{cell.row} {cell.name}".encode())])
    labels = np.repeat(np.arange(classes), cell.n)
    p, low, high, ignored_p, ignored_low, ignored_high, kept_low, kept_high = np.array(
        [_with_and_without(_people(cell.truth, labels, cluster, rng)) for _ in range(cell.audits)]
    ).swapaxes(0, 1)[:, :, cell.focus]  # (A, K) each
    change = -cell.drop[cell.focus]
    if (np.abs(cell.drop) < EQUAL).all():
        out.alarms("McNemar 5 %", p <= 0.05, most=0.06)
        out.alarms("McNemar 5 %, clusters ignored", ignored_p <= 0.05)
    out.coverage("interval of change", low, high, change)
    held = (ignored_low <= change) & (change <= ignored_high)
    out.add("interval of change, clusters ignored", rate(held), worst=worst_part(held, None, "least"))
    out.coverage("interval of retention", kept_low, kept_high, cell.retention[cell.focus])
    return out.rows


def tied(section: str, cell: Cell, share: float) -> list[Row]:
    """``share`` of the samples tie in the pruned model, half of them would be right if ties were drawn.

    Of a label and the class before it that one is predicted, so that all are lost save those of the first class. As
    many are gained elsewhere as ties lose when they are drawn.
    """
    out = Found(section, cell)
    both, lost, gained, neither = cell.truth.T
    # Ties take from those that both get right; half of them are lost, and as many are gained of those that none does.
    kinds = np.stack([both - share, lost, gained + share / 2, neither - share / 2, np.full(len(both), share)], axis=1)
    rng = np.random.default_rng([SEED, zlib.crc32(f"{cell.row} {cell.name}".encode())])
    regressed = np.zeros((cell.audits, len(both)), bool)
    said = np.zeros_like(regressed)
    first = np.arange(len(both)) == 0
    for at in range(cell.audits):
        kept, fell, rose, wrong, tie = rng.multinomial(cell.n, kinds).T
        counts = np.stack([kept + np.where(first, tie, 0), fell + np.where(first, 0, tie), rose, wrong], axis=1)
        drawn = {"both": kept + tie / 2, "lost": fell + tie / 2, "gained": rose * 1.0, "neither": wrong * 1.0}
        pair = replace(Pair.of(counts), ties=Ties(dense=np.zeros_like(tie), pruned=tie, **drawn))
        found = named(verdict.measure(pair, DEFAULT))
        verdicts, shared = (found[name].by_stratum for name in ("verdict", "verdict_ties_shared"))
        regressed[at] = [word == REGRESSED for word in verdicts]
        said[at] = [word != other for word, other in zip(verdicts, shared, strict=True)]
    out.alarms("regressed by ties, said", regressed & said)
    out.alarms("regressed by ties, unsaid", regressed & ~said, most=0.05)
    return out.rows


def _with_and_without(pair: Pair) -> list[Floats]:
    """p of no change and limits of the change (C,), with clusters and without; limits of the retention, with them."""
    found = []
    for counted in (pair, replace(pair, clusters=None)):
        moved = named(change.measure(counted, DEFAULT))["change"]
        p = named(mcnemar.measure(counted, DEFAULT))["p_value"].by_stratum
        found += [floats(p), floats(moved.low), floats(moved.high)]
    kept = named(distortion.measure(pair, DEFAULT))["retention"]
    return [*found, floats(kept.low), floats(kept.high)]


CORRELATION = 0.3
"""Of two samples of a cluster: the one at which the design sheet measured the harm of ignoring clusters."""


def _people(truth: Floats, labels: Counts, cluster: Counts, rng: np.random.Generator) -> Pair:
    """An audit in which each sample shares its cluster's luck with probability sqrt(CORRELATION)."""
    shares = rng.random(len(labels)) < np.sqrt(CORRELATION)
    luck = np.where(shares, rng.random(int(cluster.max()) + 1)[cluster], rng.random(len(labels)))
    kind = (luck[:, None] > truth.cumsum(axis=1)[labels, :3]).sum(axis=1)  # both, lost, gained, neither
    classes = len(truth)
    wrong = (labels + 1) % classes
    models = (
        Outputs(name="dense", predicted=np.where(kind <= 1, labels, wrong)),
        Outputs(name="pruned", predicted=np.where((kind == 0) | (kind == 2), labels, wrong)),
    )
    names = tuple(str(i) for i in range(classes))
    groups = {"person": cluster}
    predictions = Predictions(classes=names, ids=("",) * len(labels), labels=labels, models=models, groups=groups)
    return classification.pair(predictions, "dense", "pruned", cluster="person")


CARD = ModelCard(name="model", path="", format="predictions", digest="", size=0)


JUDGED = (recall, change, verdict, distortion, collapsed)
"""What the rules of the default policy read; the other statistics would take as long again."""


def _failing(pair: Pair) -> tuple[dict[str, Measure], bool]:
    """What the rules read of ``pair``, and whether a check of the default policy fails."""
    measured = tuple(measure for module in JUDGED for measure in module.measure(pair, DEFAULT))
    comparison = Comparison(dense=CARD, pruned=CARD, views=(View(pair=pair, measures=measured),))
    checks = rules.check(comparison, rules.default_policy())
    return named(measured), any(check.outcome == "failed" for check in checks)


def collapse(section: str, cell: Cell) -> list[Row]:
    """A pruned model that guesses."""
    draws, out = cell.draw(), Found(section, cell)
    found = [_failing(Pair.of(draw)) for draw in draws]
    out.add("collapsed", rate(np.array([m["collapsed"].overall == "yes" for m, _ in found])))
    out.add("gate fails", rate(np.array([failed for _, failed in found])))
    absent = np.array([[value is None for value in m["distortion"].by_stratum] for m, _ in found])
    out.add("no relative verdict", rate(absent))
    return out.rows


IDENTICAL = "identical pair fails"


def identical(section: str, audits: int, part: int) -> list[Row]:
    """Pairs without a flip, of every shape: a quarter of them one file, the rest two that agree."""
    rng = np.random.default_rng([SEED, part])
    failed = np.zeros(audits, bool)
    for i in range(audits):
        classes = int(rng.choice([1, 2, 3, 10, 30, 100], p=[0.05, 0.25, 0.2, 0.3, 0.15, 0.05]))
        top = int(rng.choice([1, 5, 30, 100, 1000]))
        n = rng.integers(0, top + 1, classes)  # empty classes included
        right = rng.binomial(n, rng.choice([0.0, 0.1, 0.5, 0.9, 0.99, 1.0], size=classes))
        nothing = np.zeros(classes, np.int64)
        pair = Pair.of(np.stack([right, nothing, nothing, n - right], axis=1))
        failed[i] = _failing(replace(pair, same_model=i % 4 == 0))[1]
    value, error = rate(failed)
    quantity = "identical pair fails"
    row = Row(
        section=section, row="every shape", cell=str(audits), quantity=quantity, value=value, error=error, bar=0.0
    )
    return [row]
