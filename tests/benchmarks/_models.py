"""What is said of a whole model: corrected alpha, gaps, the spread of true drops, bounds over all classes at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prune_audit.core import Floats, Pair
from prune_audit.stats import _alpha, alpha, change, excess_drop, recall, spread, spread_ratio, verdict
from tests.benchmarks import _rivals
from tests.benchmarks._audits import DEFAULT, EQUAL, Found, floats, named
from tests.benchmarks._bars import Row, rate
from tests.benchmarks._draws import Cell

LIMITS = ("overall_low", "overall_high")


def slope(section: str, cell: Cell) -> list[Row]:
    """Corrected alpha: its interval where it is printed, its bias over all draws, the test of alpha = 1."""
    draws, out = cell.draw(), Found(section, cell)
    x, y = cell.balance(cell.dense), cell.balance(cell.pruned)
    truth = float(x @ y / (x @ x))
    fits = [_alpha.fit(draw, np.ones(len(draw)))[0] for draw in draws]
    value = np.array([float(fit.alpha) for fit in fits])
    value = value[np.isfinite(value)]
    printed = [named(alpha.measure(Pair.of(draw), DEFAULT)) for draw in draws]
    before, after = _rivals.balances(draws)  # (A, C)
    squares = (before**2).sum(axis=1)
    some = squares > 0  # two classes can have equal recalls, and then there is no slope
    naive = (before * after).sum(axis=1)[some] / squares[some]
    real = float(x @ x / squares.mean())

    low, high = (floats([getattr(m["alpha_corrected"], name) for m in printed]) for name in LIMITS)
    shown = ~np.isnan(low)
    bounded = ~np.isnan(high)
    high = np.where(shown & ~bounded, np.inf, high)
    out.add("alpha bounded", rate(bounded, shown))
    out.add("lambda", (real, 0.0))
    out.add("alpha printed", rate(shown))
    out.add("interval of alpha", rate((low <= truth) & (truth <= high), shown), least=0.93)
    spread_of_median = 1.2533 * _robust_sd(value) / np.sqrt(len(value)) / abs(truth)
    ratio = float(np.median(value)) / truth
    biased = real >= 0.5 and len(cell.n) >= 10
    # "Within 5 %" is two bars; the nearer one is the row's.
    side = {"most": 1.05} if ratio >= 1 else {"least": 0.95}
    out.add("alpha corrected / truth", (ratio, spread_of_median), **(side if biased else {}))
    out.add("alpha naive / truth", (float(np.median(naive)) / truth, 0.0))
    if abs(truth - 1) < 1e-6:
        p = floats([m["alpha_p"].overall for m in printed])
        out.add("alpha = 1, 5 %", rate(p <= 0.05, ~np.isnan(p)), most=0.06)
    return out.rows


def gaps(section: str, cell: Cell) -> list[Row]:
    """The ratio of spreads: its interval where it is printed, and how often it is said that gaps grew or shrank."""
    draws, out = cell.draw(), Found(section, cell)
    x, y = cell.balance(cell.dense), cell.balance(cell.pruned)
    truth = float(np.sqrt(y @ y / (x @ x)))
    found = [named(spread_ratio.measure(Pair.of(draw), DEFAULT))["spread_ratio"] for draw in draws]
    value, low, high = (floats([getattr(m, name) for m in found]) for name in ("overall", *LIMITS))
    shown = ~np.isnan(low)
    bounded = ~np.isnan(high)
    high = np.where(shown & ~bounded, np.inf, high)
    out.add("gaps printed", rate(shown))
    out.add("gaps bounded", rate(bounded, shown))
    out.add("interval of gaps", rate((low <= truth + EQUAL) & (truth - EQUAL <= high), shown), least=0.925)
    out.add("gaps / truth", (float(np.median(value[shown])) / truth if shown.any() else np.nan, 0.0))
    if abs(truth - 1) < EQUAL:
        out.add("gaps told where none", rate((low > 1) | (high < 1), shown), most=0.06)
    else:
        out.add("gaps told", rate(low > 1 if truth > 1 else high < 1))
    return out.rows


def in_use(section: str, cell: Cell, weights: tuple[float, ...]) -> list[Row]:
    """Accuracies, and their change, under ``weights`` (C,)."""
    out, shares = Found(section, cell), np.array(weights) / sum(weights)
    settings = replace(DEFAULT, weights={str(at): weight for at, weight in enumerate(weights)})
    truths = {
        "dense_recall": float(shares @ cell.dense),
        "pruned_recall": float(shares @ cell.pruned),
        "change": -float(shares @ cell.drop),
    }
    limits: dict[str, list[tuple[float, float]]] = {name: [] for name in truths}
    for draw in cell.draw():
        pair = Pair.of(draw)
        found = named((*recall.measure(pair, settings), *change.measure(pair, settings)))
        for name in truths:
            limits[name].append((floats([found[name].overall_low])[0], floats([found[name].overall_high])[0]))
    for name, truth in truths.items():
        low, high = np.array(limits[name]).T
        what = "interval of weighted change" if name == "change" else "interval of weighted accuracy"
        out.add(
            f"{what}, {name.partition('_')[0]}".removesuffix(", change"),
            rate((low <= truth) & (truth <= high)),
            least=0.9,
        )
    return out.rows


def _robust_sd(values: Floats) -> float:
    """Standard deviation from the quartiles: corrected slopes have tails without a variance."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low) / 1.349


def between(section: str, cell: Cell) -> list[Row]:
    """The spread of true drops, and what is said of all classes at once."""
    draws, out = cell.draw(), Found(section, cell)
    truth = float(cell.drop.std(ddof=1))
    truth = 0.0 if truth < EQUAL else truth
    found = [named(spread.measure(Pair.of(draw), DEFAULT)) for draw in draws]
    tau, low, high = (floats([getattr(m["spread"], name) for m in found]) for name in ("overall", *LIMITS))
    p = floats([m["spread_p"].overall for m in found])
    printed = ~np.isnan(low)  # no interval without a flip
    out.add("interval of tau", rate(((low <= truth + EQUAL) & (truth <= high))[printed]), least=0.925)
    if truth:
        floor = 0.95 if (len(cell.n), int(cell.n[0])) == (1000, 50) else None
        out.add("tau = 0 rejected", rate(p <= 0.05), least=floor)
        out.add("tau / truth", (float(np.median(tau)) / truth, 0.0))
    else:
        out.add("tau = 0, 5 %", rate(p <= 0.05), most=0.06)

    few = draws[: max(len(draws) // 10, 1)]
    overall = float(cell.n @ cell.drop) / float(cell.n.sum())
    excess = cell.drop - overall
    measured = [named(excess_drop.measure(Pair.of(draw), DEFAULT)) for draw in few]
    low, high = (np.array([floats(getattr(m["excess_drop"], name)) for m in measured]) for name in ("low", "high"))
    out.coverage("interval of excess drop", low, high, excess)
    low, high = (floats([getattr(m["largest_excess_drop"], name) for m in measured]) for name in LIMITS)
    largest = float(excess.max())
    out.add("largest excess, simultaneous", rate((low <= largest + EQUAL) & (largest - EQUAL <= high)), least=0.94)
    worst = floats([named(verdict.judgements(Pair.of(draw), DEFAULT))["worst_plausible_drop"].overall for draw in few])
    out.add("worst drop, simultaneous", rate(worst >= cell.drop.max()), least=0.94)
    return out.rows
