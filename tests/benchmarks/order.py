"""How often the check of the order of classes stops a run whose order is right, and finds an order that is not.

``python -m tests.benchmarks.order`` takes some two minutes and writes its part of docs/calibration.md. Predictions of
published models are not part of the repository; without them their rows are missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.core import Counts, Floats, Outputs, Predictions
from prune_audit.errors import AlignmentError
from prune_audit.tasks.classification import alignment
from tests.benchmarks import _checks
from tests.conftest import SHARED

TITLE = "Classes in another order"
HOW = """\
`python -m tests.benchmarks.order` draws predictions of models whose order is right (*stopped* is a false alarm) and of
some whose order is not (*stopped* is power). Stopped are runs that the check of the order ends before or after the
audit; *as chance* are those that are refused as near chance; "n" is the number of samples per class, and unless
another is said, wrong answers are spread evenly. A pair is *muddled* where both of its classes are named alike often.
Of the ten classes of which .15 are right, two are each named as the other in 63 and 33 % and as themselves in 16 and
15 %: what stops there is no false alarm.
"""
Draw: TypeAlias = Callable[[np.random.Generator], tuple[Counts, Counts]]
FIRST, HEADS = 300, 20  # samples that the check sees first, and how many draws of these of each published model


def confused(recall: Floats) -> Floats:
    """Confusion probabilities (C, C) of classes with these recalls (C,), errors spread evenly."""
    count = len(recall)
    table = np.repeat((1 - recall)[:, None] / (count - 1), count, axis=1)
    np.fill_diagonal(table, recall)
    return table


def muddled(count: int, right: float, partner: float) -> Floats:
    """Classes that come in pairs which the model can hardly tell apart (C, C)."""
    table = np.full((count, count), (1 - right - partner) / (count - 2))
    at = np.arange(count)
    table[at, at], table[at, at ^ 1] = right, partner
    return table


def swallowed(count: int, right: float, into: int) -> Floats:
    """What heavy pruning leaves (C, C): ``right`` of every class, and the rest of it in one of a few others."""
    at = np.arange(count)
    table = np.zeros((count, count))
    table[at, at] = right
    table[at, at % into] += 1 - right
    return table


def uneven(count: int, right: float) -> Floats:
    """Classes whose wrong answers are mostly a few others, each class its own (C, C)."""
    table = (1 - right) * np.random.default_rng(count).dirichlet(np.full(count, 0.3), count)
    table[np.arange(count), np.arange(count)] += right
    return table


def drawn(table: Floats, support: Counts, ring: int = 0) -> Draw:
    """Draws of labels and predictions by ``table``, the first ``ring`` outputs in each other's place."""
    limits = np.cumsum(table, axis=1)
    limits[:, -1] = 2
    named = np.arange(len(support))
    named[:ring] = np.roll(named[:ring], -1)

    def draw(rng: np.random.Generator) -> tuple[Counts, Counts]:
        found = [np.searchsorted(limits[c], rng.random(int(n)), "right") for c, n in enumerate(support)]
        return np.repeat(np.arange(len(support)), support), named[np.concatenate(found)]

    return draw


def stopped(labels: Counts, predicted: Counts, count: int) -> str:
    """Why a run with these predictions is stopped: "order", "chance" or ""."""
    model = Outputs(name="model", predicted=predicted)
    names = tuple(map(str, range(count)))
    try:
        alignment.check(Predictions(classes=names, ids=("",) * len(labels), labels=labels, models=(model,)))
    except AlignmentError as error:
        return "chance" if "as often as chance" in error.message else "order"
    return ""


def right_orders() -> Iterator[tuple[str, int, int, Floats]]:
    """Truths of models whose order is right: a name, classes, samples per class, confusion."""
    for count, n in ((10, 30), (10, 200), (100, 5), (100, 30), (1000, 5)):
        for recall in (0.9, 0.6, 0.3):
            yield f"recall {recall:g}", count, n, confused(np.full(count, recall))
        spread = np.random.default_rng(count).uniform(0.05, 0.95, count)
        yield "recalls .05 to .95", count, n, confused(spread)
        for right, partner in ((0.45, 0.45), (0.4, 0.5)):
            yield (
                f"all pairs muddled, {right:g} right, {partner:g} as the other",
                count,
                n,
                muddled(count, right, partner),
            )
        for right, into in ((0.4, max(2, count // 20)), (0.15, 2), (0.05, count // 3)):
            yield f"pruned: {right:g} right, the rest in {into} classes", count, n, swallowed(count, right, into)
        for right in (0.4, 0.15):
            yield f"{right:g} right, each class with errors of its own", count, n, uneven(count, right)


def wrong_orders() -> Iterator[tuple[str, int, int, Floats, int]]:
    """Truths of models of which a few outputs are in each other's place, as many as come last."""
    for count, n in ((10, 100), (100, 30), (100, 50), (1000, 50)):
        for ring, recall in ((2, 0.2), (2, 0.3), (3, 0.3), (2, 0.4), (3, 0.4)):
            recalls = np.full(count, 0.7)
            recalls[:ring] = recall
            name = "two classes exchanged" if ring == 2 else "three classes in a ring"
            yield f"{name}, recall {recall:g} (others .7)", count, n, confused(recalls), ring


def rates(draw: Draw, count: int, times: int) -> tuple[float, float]:
    """Shares of runs that are stopped for their order, and as near chance."""
    rng = np.random.default_rng(count)
    found = [stopped(*draw(rng), count) for _ in range(times)]
    return found.count("order") / times, found.count("chance") / times


def published() -> Iterator[tuple[str, list[str]]]:
    """What becomes of the published models on all samples and on many draws of the first few hundred."""
    folder = SHARED / "cifar10.1-v4-predictions"
    files = sorted(folder.glob("*.json"))
    if not files:
        return
    labels: npt.NDArray[np.int64] = np.load(folder / "labels.npy").astype(np.int64)
    whole, heads, rng = [], [], np.random.default_rng(1)
    for file in files:
        predicted = np.array(json.loads(file.read_text()), np.int64)
        whole.append(stopped(labels, predicted, 10))
        for _ in range(HEADS):
            some = rng.permutation(len(labels))[:FIRST]
            heads.append(stopped(labels[some], predicted[some], 10))
    yield f"{len(files)} published models on CIFAR-10.1, all samples", whole
    yield f"the same, {HEADS} draws of {FIRST} samples each", heads


def main() -> None:
    """Measure and write."""
    lines = ["| truth | classes | n | runs | stopped, % | as chance, % |", "| --- | --- | --- | --- | --- | --- |"]
    for name, found in published():
        shares = (100 * found.count(why) / len(found) for why in ("order", "chance"))
        lines.append(f"| {name} | 10 | | {len(found)} | " + " | ".join(f"{share:.1f}" for share in shares) + " |")
    cells = [(*cell, 0) for cell in right_orders()] + list(wrong_orders())
    for name, count, n, table, ring in cells:
        times = {10: 1000, 100: 300, 1000: 30}[count]
        order, chance = rates(drawn(table, np.full(count, n), ring), count, times)
        lines.append(f"| {name} | {count} | {n} | {times} | {100 * order:.1f} | {100 * chance:.1f} |")
        print(lines[-1], flush=True)
    _checks.write(TITLE, f"{HOW}\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
