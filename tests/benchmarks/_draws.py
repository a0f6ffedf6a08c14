"""The grid of the calibration: what is true in each cell, and audits drawn from it.

A truth is four probabilities per class (both right, lost, gained, neither), so that every number an audit estimates
has a known value. Class sizes are fixed, as in a labelled data set. A cell's random numbers follow from its name, so
that cells can be run in any order, alone or by two processes, and stay the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from prune_audit.core import Array, Counts, Floats

SEED = 2206_02976
TESTS = 20_000
"""Class tests per cell: the standard error is then .0015 at 5 % and .0002 at .1 %."""

MARGIN, ASSURE, RETAINED = 0.02, 0.05, 0.95
"""The defaults of an audit's margin, assurance limit and retention margin: where a boundary cell puts its truth."""

GAINED = {"none": 0.0, "low": 0.03, "high": 0.10}
"""Churn beyond the drop: P(gained), and as much more P(lost). Capped where a class has too few wrong answers."""

CLASSES = (2, 10, 100, 1000)
SUPPORTS = ("10", "30", "100", "1000", "uneven")
ACCURACIES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """One truth and how many audits are drawn from it; ``row`` is the row of the grid that it belongs to.

    ``focus`` (C,) marks the classes whose tests are counted.
    """

    row: str
    name: str
    n: Counts  # (C,)
    truth: Floats  # (C, 4) both, lost, gained, neither
    audits: int
    focus: Array  # (C,) bool

    @property
    def dense(self) -> Floats:
        """True dense recalls (C,)."""
        return self.truth[:, 0] + self.truth[:, 1]

    @property
    def pruned(self) -> Floats:
        """True pruned recalls (C,)."""
        return self.truth[:, 0] + self.truth[:, 2]

    @property
    def drop(self) -> Floats:
        """True drops (C,)."""
        return self.truth[:, 1] - self.truth[:, 2]

    @property
    def retention(self) -> Floats:
        """What each class kept over what the rest kept (C,)."""
        p, q = self.n * self.dense, self.n * self.pruned
        ratio: Floats = (q / p) / ((q.sum() - q) / (p.sum() - p))
        return ratio

    def balance(self, recall: Floats) -> Floats:
        """Balances (C,) of true recalls (C,)."""
        accuracy = float(self.n @ recall) / float(self.n.sum())
        return recall / accuracy - 1

    def draw(self) -> Counts:
        """(audits, C, 4): both, lost, gained, neither."""
        rng = np.random.default_rng([SEED, zlib.crc32(f"{self.row} {self.name}".encode())])
        return rng.multinomial(self.n, self.truth, size=(self.audits, len(self.n)))


def cell(
    row: str,
    name: str,
    n: Array | int,
    dense: Array,
    pruned: Array,
    churn: str | Array,
    *,
    tests: int = TESTS,
    audits: int | None = None,
    focus: Array | None = None,
) -> Cell:
    """A cell from true recalls (C,) and churn; ``audits`` follow from ``tests`` and the classes in ``focus``."""
    p, q = np.asarray(dense, np.float64), np.asarray(pruned, np.float64)
    wanted = GAINED[churn] if isinstance(churn, str) else churn
    gained = np.minimum(wanted, np.minimum(0.9 * (1 - p), 0.9 * q))
    lost = p - q + gained
    if (lost < 0).any():
        raise ValueError(f"{row} {name}: more is gained than the churn allows")
    shown = np.ones(len(p), bool) if focus is None else focus
    return Cell(
        row=row,
        name=name,
        n=np.broadcast_to(np.asarray(n, np.int64), p.shape).copy(),
        truth=np.stack([q - gained, lost, gained, 1 - p - gained], axis=1),
        audits=audits or -(-tests // int(shown.sum())),
        focus=shown,
    )


def sizes(support: str, classes: int) -> Counts:
    """(C,) samples per class; "uneven" is from 10 to 1,000 in equal ratios, the weak classes being the rare ones."""
    if support == "uneven":
        return np.geomspace(10, 1000, classes).round().astype(np.int64)
    return np.full(classes, int(support))


def recalls(accuracy: float, classes: int) -> Floats:
    """(C,) true recalls about ``accuracy``: .3 to .7 about .5, .86 to .94 about .9."""
    return accuracy + np.linspace(-1, 1, classes) * 0.4 * (1 - accuracy)


def everywhere(*, quick: bool) -> Iterator[Cell]:
    """All classes keep the same share of their recall: no class changes its place, and kept 1 means no change."""
    for classes, support in product((2, 10, 100) if quick else CLASSES, ("10", "100") if quick else SUPPORTS):
        for accuracy, kept, churn in product((0.5, 0.99) if quick else ACCURACIES, (1.0, 0.95, 0.8), GAINED):
            if (kept == 1 and churn == "none") or (quick and (kept, churn) not in {(1.0, "high"), (0.8, "none")}):
                continue  # no churn and no drop is an identical pair, which has a cell of its own
            p = recalls(accuracy, classes)
            name = f"accuracy {accuracy:g}, kept {kept:g}, churn {churn}"
            tests = TESTS // 5 if quick else TESTS
            yield cell(f"{classes} x {support}", name, sizes(support, classes), p, kept * p, churn, tests=tests)


def at_drop(drop: float, *, quick: bool) -> Iterator[Cell]:
    """Every class has lost exactly ``drop``."""
    supports, accuracies = (("30", "1000"), (0.9,)) if quick else (SUPPORTS, ACCURACIES)
    for support, accuracy, churn in product(supports, accuracies, GAINED):
        p = recalls(accuracy, 10)
        name = f"accuracy {accuracy:g}, churn {churn}"
        row = f"drop of {100 * drop:g} x {support}"
        yield cell(row, name, sizes(support, 10), p, p - drop, churn, tests=TESTS // 5 if quick else TESTS)


def at_retention(*, quick: bool) -> Iterator[Cell]:
    """A quarter of the classes keep exactly .95 of what their rest keeps; they alone are counted."""
    supports, accuracies = (("30", "100"), (0.9,)) if quick else (SUPPORTS, ACCURACIES)
    for classes, support, accuracy, churn in product((2, 10) if quick else CLASSES, supports, accuracies, GAINED):
        n, p, low = sizes(support, classes), recalls(accuracy, classes), quarter(classes)
        name = f"accuracy {accuracy:g}, churn {churn}"
        tests = TESTS // 5 if quick else TESTS
        q = retained(n, p, low, kept=0.95)
        yield cell(f"{classes} x {support}, retention .95", name, n, p, q, churn, tests=tests, focus=low)


def quarter(classes: int) -> Array:
    """(C,) marks every fourth class, at least one."""
    marked: Array = np.arange(classes) % 4 == 1
    return marked


def retained(n: Counts, dense: Floats, low: Array, *, kept: float, ratio: float = RETAINED) -> Floats:
    """Pruned recalls (C,) where classes ``low`` keep ``ratio`` of what all others keep, and the rest keep ``kept``."""
    weight = n * dense
    w = weight[low]
    # For class c of the low ones: (W - w_c) r_c - ratio * sum over other low j of w_j r_j = ratio * kept * W_high.
    system = np.diag(weight.sum() - w) - ratio * (w[None, :] - np.diag(w))
    share = np.full(len(dense), kept)
    share[low] = np.linalg.solve(system, np.full(len(w), ratio * kept * weight[~low].sum()))
    return share * dense


def edges(*, quick: bool) -> Iterator[Cell]:
    """The shapes on which simpler tests break."""
    tests = TESTS // 5 if quick else TESTS
    first = np.arange(10) == 0
    p = recalls(0.9, 10)
    for support in (30, 100, 1000):
        q = np.where(first, p, 0.8 * p)
        churn = np.where(first, 0.0, GAINED["low"])
        row = "one class never flips, the rest keep .8"
        yield cell(row, f"support {support}", support, p, q, churn, tests=tests, focus=first)
    for kept, churn_name in product((1.0, 0.95, 0.8), ("low", "high")):
        tiny, huge = np.where(first, 10, 1000), np.where(first, 10_000, 100)
        name = f"kept {kept:g}, churn {churn_name}"
        yield cell("one tiny class (10 beside 1000)", name, tiny, p, kept * p, churn_name, tests=tests, focus=first)
        row = "one dominant class (10000 beside 100)"
        yield cell(row, f"that class, {name}", huge, p, kept * p, churn_name, tests=tests, focus=first)
        yield cell(row, f"the others, {name}", huge, p, kept * p, churn_name, tests=tests, focus=~first)
        for n in (np.array([95, 5]), np.array([950, 50])):
            two = np.array([0.95, 0.7])
            yield cell("two classes, 95 / 5", f"{n.sum()} samples, {name}", n, two, kept * two, churn_name, tests=tests)


def unequal(*, quick: bool) -> Iterator[Cell]:
    """Classes of which one is 20 or 100 times as common, or as rare, as the nine others."""
    tests = TESTS // 5 if quick else TESTS
    for row, n in one_apart((20,) if quick else (20, 100)):
        for accuracy, kept, churn in product((0.99,) if quick else (0.9, 0.99), (1.0, 0.95), ("low", "high")):
            p = recalls(accuracy, 10)
            yield cell(row, f"accuracy {accuracy:g}, kept {kept:g}, churn {churn}", n, p, kept * p, churn, tests=tests)


def one_apart(ratios: Sequence[int]) -> Iterator[tuple[str, Counts]]:
    """The row and the sizes (10,) of ten classes, the last of which is so many times as common or as rare."""
    for ratio in ratios:
        rare = 1000 // ratio
        yield f"10: nine of {rare}, one of 1000", np.array([rare] * 9 + [1000])
        yield f"10: nine of 1000, one of {rare}", np.array([1000] * 9 + [rare])


def spread_out(classes: int, sd: float, accuracy: float = 0.8) -> Floats:
    """(C,) recalls about ``accuracy`` whose balances have the standard deviation ``sd``, evenly spaced."""
    x = np.linspace(-1, 1, classes)
    balances: Floats = sd * x / x.std()
    return accuracy * (1 + balances)


def slopes(*, quick: bool) -> Iterator[Cell]:
    """Gaps between classes that grow or shrink by a known alpha; accuracy .8."""
    many = ((100, 100, 0.1),) if quick else ALPHA_SHAPES
    rows = [(f"{classes} x {support}", np.full(classes, support), sd) for classes, support, sd in many]
    # The last class leads: here the class that leads, or the others, are the rare ones.
    rows += [(row, n, 0.1) for row, n in one_apart(() if quick else (20, 100))]
    for row, n, sd in rows:
        classes = len(n)
        for alpha, kept in ((1.0, 1.0), (1.0, 0.95), (1.3, 0.95), (1.8, 0.88), (0.7, 0.95)):
            p = spread_out(classes, sd)
            x = p / p.mean() - 1
            name = f"spread {100 * sd:g} %, kept {kept:g}, alpha {alpha:g}"
            q = kept * p.mean() * (1 + alpha * x)
            churn = GAINED["low"] + np.maximum(q - p, 0)
            if ((q > 0.99) | (churn > 0.9 * (1 - p))).any():
                continue
            audits = 100 if quick else 400 if classes == 1000 else 1000
            yield cell(row, name, n, p, q, churn, audits=audits)


ALPHA_SHAPES = (
    (2, 100, 0.1),
    (2, 1000, 0.1),
    (10, 100, 0.06),
    (10, 100, 0.1),
    (10, 1000, 0.02),
    (10, 1000, 0.06),
    (10, 1000, 0.1),
    (100, 30, 0.1),
    (100, 100, 0.06),
    (100, 100, 0.1),
    (100, 1000, 0.06),
    (1000, 50, 0.06),
    (1000, 50, 0.1),
)
"""Classes, samples of each, standard deviation of balances: lambda from .1 to .98."""


def gaps(*, quick: bool) -> Iterator[Cell]:
    """Balances whose spread changes by a known ratio, classes in the order that they had or in another; accuracy .8."""
    many = ((10, 1000, 0.1),) if quick else GAP_SHAPES
    rows = [(f"{classes} x {support}", np.full(classes, support), sd) for classes, support, sd in many]
    rows += [(row, n, 0.1) for row, n in one_apart(() if quick else (20,))]
    for row, n, sd in rows:
        classes = len(n)
        p = spread_out(classes, sd)
        x = p / p.mean() - 1
        another = np.random.default_rng(SEED).permutation(classes) if classes > 2 else np.array([1, 0])
        for ratio, (order, y) in product((1.0, 1.3, 0.6, 0.1), (("kept", x), ("another", x[another]))):
            q = 0.9 * p.mean() * (1 + ratio * y)
            churn = GAINED["low"] + np.maximum(q - p, 0)
            if ((q > 0.99) | (churn > 0.9 * (1 - p))).any():
                continue
            name = f"spread {100 * sd:g} %, ratio {ratio:g}, order {order}"
            yield cell(row, name, n, p, q, churn, audits=100 if quick else 150)


GAP_SHAPES = ((2, 1000, 0.1), (10, 100, 0.1), (10, 1000, 0.1), (100, 100, 0.1))
"""Classes, samples of each, standard deviation of balances."""


def drops(*, quick: bool) -> Iterator[Cell]:
    """True drops with a known standard deviation between classes, in points; the mean drop is 0 or 5 points."""
    shapes = ((100, 100, (0, 4)), (1000, 50, (0, 2)))
    more = ((10, 100, (0, 4)), (10, 1000, (0, 2)), (100, 30, (0, 4)), (100, 1000, (0, 2)))
    for classes, support, sds in shapes if quick else (*shapes, *more):
        for sd, mean in product(sds, (0.0, 5.0)):
            # Drops are put to classes in an order that has nothing to do with their recalls.
            order = np.random.default_rng(SEED).permutation(classes)
            x = np.linspace(-1, 1, classes)[order]
            d = mean / 100 + (sd / 100) * x / x.std(ddof=1)
            p = recalls(0.85, classes)
            churn = GAINED["low"] + np.maximum(-d, 0)
            name = f"spread {sd} points, mean drop {mean:g}"
            audits = 50 if quick else 1000 if classes == 1000 else 2000
            yield cell(f"{classes} x {support}", name, support, p, p - d, churn, audits=audits)
    yield from _one_stands_out(quick=quick)


def _one_stands_out(*, quick: bool) -> Iterator[Cell]:
    """One class of ten lost much, the others 1 point; also where it is 20 or 100 times as rare or as common as they."""
    rows = [(str(n), np.full(10, n)) for n in ((100,) if quick else (10, 30, 100, 1000))]
    for times in () if quick else (20, 100):
        rows += [
            (f"{1000 // times}, 1 of 1000", np.array([1000] + [1000 // times] * 9)),
            (f"1000, 1 of {1000 // times}", np.array([1000 // times] + [1000] * 9)),
        ]
    for name, n in rows:
        for points in (30,) if quick else (10, 30, 90):
            d = np.array([points / 100] + [0.01] * 9)
            p = np.full(10, 0.95)
            yield cell(f"10 x {name}", f"one class lost {points}", n, p, p - d, "low", audits=50 if quick else 2000)


def lists(*, quick: bool) -> Iterator[Cell]:
    """Whole lists of flags: nothing changed, everything at a boundary, and true findings among either."""
    shapes = ((2, 100), (100, 100)) if quick else LIST_SHAPES
    rows = [(f"{classes} x {support}", np.full(classes, support), 0.9) for classes, support in shapes]
    if not quick:
        rows += [(f"2 x {support}, accuracy .99", np.full(2, support), 0.99) for support in (100, 1000)]
        rows += [(row, n, 0.9) for row, n in one_apart((20,))]
    for row, n, accuracy in rows:
        classes = len(n)
        p, few = recalls(accuracy, classes), quarter(classes)
        some = np.arange(classes) % 10 == 5 if classes > 2 else few
        worst = 0.7 * p  # loses 27 points or so
        truths = {
            "nothing changed": p,
            "all at the margin": p - MARGIN,
            "a tenth lost 30 %, the rest at the margin": np.where(some, worst, p - MARGIN),
            "a tenth lost 30 %, the rest unchanged": np.where(some, worst, p),
            "a quarter at retention .95": retained(n, p, few, kept=1.0),
        }
        for name, q in truths.items():
            found = "lost 30 %" in name
            audits = {2: 4000, 10: 4000, 100: 1000, 1000: 100}[classes]
            if found or "retention" in name:  # audits that bear flags are measured in full
                audits = min(audits, 1000 if not found else 40 if classes == 1000 else 120)
            if quick:
                audits = min(audits, 20 if found else 100)
            # Where nothing is gained a drop is binomial, and its tail is the longest.
            more = ("none",) if name == "all at the margin" else ()
            for churn in (*more, "low") if quick or found else (*more, "low", "high"):
                yield cell(row, f"{name}, churn {churn}", n, p, q, churn, audits=audits)


LIST_SHAPES = (
    *((2, 100), (2, 200), (2, 1000), (10, 30), (10, 100), (10, 300), (10, 1000)),
    *((100, 30), (100, 100), (100, 1000), (1000, 50)),
)


def powers(*, quick: bool) -> Iterator[tuple[str, Cell]]:
    """What must be found: the quantity and its cell. One class of 100 changes, or none where `fine` is wanted."""
    p = np.full(100, 0.9)
    first = np.arange(100) == 0
    audits = 30 if quick else 400
    for support, points in ((50, 30), (100, 30), (100, 10), (200, 10), (1000, 10)):
        q = np.where(first, p - points / 100, p)
        row = f"one class of 100 lost {points} points"
        yield "regressed", cell(row, f"100 x {support}", support, p, q, "low", audits=audits, focus=first)
    for classes, support in ((100, 30), (100, 100), (1000, 50)):
        p, first = np.full(classes, 0.9), np.arange(classes) == 0
        q = np.where(first, 0.6 * p, p)
        row = "one class lost 40 % of its recall"
        few = audits // 4 if classes == 1000 else audits
        yield "harmed", cell(row, f"{classes} x {support}", support, p, q, "low", audits=few, focus=first)
    p = np.full(100, 0.9)
    for support in (50, 100, 200, 500):
        tests = TESTS // 5 if quick else TESTS
        yield "fine", cell("nothing changed, churn 6 %", f"100 x {support}", support, p, p, "low", tests=tests)


def weighted(*, quick: bool) -> Iterator[tuple[Cell, tuple[float, ...]]]:
    """Classes whose shares in use are not those of the sample: the cell, and the weights (C,)."""
    shapes = [
        ((10_000, 10), (0.999, 0.5), (0.8, 0.2)),
        ((5000, 20), (0.99, 0.5), (0.7, 0.3)),
        ((2000, 30), (0.98, 0.6), (0.5, 0.5)),
        ((1000, 50), (0.95, 0.7), (0.5, 0.5)),
        ((1000, 50), (0.95, 0.7), (0.9, 0.1)),
        ((200, 200), (0.95, 0.5), (0.5, 0.5)),
        ((500,) * 9 + (20,), (0.99,) * 9 + (0.5,), (0.07,) * 9 + (0.37,)),
        ((30,) * 10, (0.95,) * 10, tuple(range(1, 11))),
    ]
    for n, recall, weights in shapes[:3] if quick else shapes:
        p = np.array(recall)
        size = f"{n[0]:,} x {len(n)}" if len(set(n)) == 1 else " and ".join(f"{each:,}" for each in dict.fromkeys(n))
        shares = ", ".join(f"{each:g}" for each in dict.fromkeys(weights))
        name = f"{size}; weights {shares}; recalls {' and '.join(f'{each:g}' for each in dict.fromkeys(recall))}"
        yield cell("classes weighted", name, np.array(n), p, 0.98 * p, "low", audits=100 if quick else 2000), weights


def confusions(*, quick: bool) -> Iterator[Cell]:
    """For statistics that need to know what was predicted instead."""
    for support, accuracy, kept in product((30, 100), (0.6, 0.9), (1.0, 0.9)):
        p = recalls(accuracy, 10)
        name = f"accuracy {accuracy:g}, kept {kept:g}"
        yield cell(f"10 x {support}", name, support, p, kept * p, "low", audits=60 if quick else 2000)


def guessing(*, quick: bool) -> Iterator[Cell]:
    """Pruned models that are right one time in C, whatever the dense one was."""
    for classes, support in ((2, 100), (10, 30), (10, 100), (100, 100)):
        p = recalls(0.9, classes)
        n, chance = np.full(classes, support), 1 / classes
        truth = np.stack([p * chance, p * (1 - chance), (1 - p) * chance, (1 - p) * (1 - chance)], axis=1)
        audits = 8 if quick else 300
        everything = np.ones(classes, bool)
        name = f"{classes} x {support}"
        yield Cell(row="guesses", name=name, n=n, truth=truth, audits=audits, focus=everything)


def people(*, quick: bool) -> Iterator[tuple[Cell, Counts]]:
    """Samples in clusters: the cell, and the cluster of each sample (N,), class after class."""
    shapes = ((50, 100),) if quick else ((50, 100), (50, 300))
    for (classes, support), kept, within in product(shapes, (1.0, 0.9), (True, False)):
        p = recalls(0.8, classes)
        name = f"kept {kept:g}, clusters of {'one class' if within else 'many classes'}"
        labels, one_by_one = np.repeat(np.arange(classes), support), np.tile(np.arange(support), classes)
        cluster = np.empty(len(labels), np.int64)
        # Ten follow one another, of the class that changes least often along them, or of as many as there are.
        cluster[np.lexsort((labels, labels if within else one_by_one))] = np.arange(len(labels)) // 10
        row = f"{classes} x {support}"
        yield cell(row, name, support, p, kept * p, "low", audits=10 if quick else 400), cluster
    yield from _few_people(quick=quick)


def _few_people(*, quick: bool) -> Iterator[tuple[Cell, Counts]]:
    """A few clusters that each have samples of all classes: 2 of a rare one, 20 of a common one."""
    rare = np.arange(10) < 5
    each = np.where(rare, 2, 20)
    p = recalls(0.8, 10)[np.argsort(np.arange(10) % 2, kind="stable")]  # either kind has weak and strong classes
    for clusters, kept in product((6, 30) if quick else (6, 10, 30, 100), (1.0, 0.9)):
        cluster = np.concatenate([np.repeat(np.arange(clusters), size) for size in each])
        for focus, which in ((rare, "2 of a class in each"), (~rare, "20 of a class in each")):
            audits = 40 if quick else 400
            row, name = f"{clusters} clusters", f"kept {kept:g}, {which}"
            yield cell(row, name, clusters * each, p, kept * p, "low", audits=audits, focus=focus), cluster


def ties(*, quick: bool) -> Iterator[tuple[Cell, float]]:
    """Pruned models in which so large a share of the samples ties with the class before; drawn, nothing is lost."""
    for support, share in product((1000,) if quick else (100, 1000), (0.1,) if quick else (0.01, 0.04, 0.1)):
        p = np.full(10, 0.8)
        name = f"{100 * share:g} % of samples tie"
        yield cell(f"10 x {support}", name, support, p, p, "low", audits=40 if quick else 400), share
