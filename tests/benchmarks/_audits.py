"""Draws to what the package says of them, and that to rows: what all measurements of the calibration share.

Per-class statistics see many audits at once, as one pair whose strata are all classes of all audits: to them every
stratum is alone. Those that relate a class to the rest of its audit are called with that rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from prune_audit.core import Array, Counts, Floats, Measure, Pair, Settings
from prune_audit.stats import _retention
from prune_audit.stats._retention import Side
from tests.benchmarks._bars import Row, rate, worst_part
from tests.benchmarks._draws import Cell

LEVELS = ((0.05, "5 %"), (0.001, ".1 %"))
HARMED = ("intensified", "flipped", "created", "harmed")
DEFAULT = Settings()
ALONE = Settings(correction="none")
EQUAL = 1e-9
"""Truths are sums of floats: nearer than this is equal."""


def named(measured: Sequence[Measure]) -> dict[str, Measure]:
    return {measure.name: measure for measure in measured}


def floats(values: Sequence[object]) -> Floats:
    """(S,), NaN where absent."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def flattened(draws: Counts) -> Pair:
    """All classes of all audits (A, C, 4) as strata of one pair."""
    return Pair.of(draws.reshape(-1, 4))


def sides(draws: Counts, focus: Array) -> tuple[Side, Side, Array]:
    """The classes in ``focus`` and the rest of each one's audit, (A * K,) each, and which of them have a retention."""
    own = draws[:, focus]  # (A, K, 4)
    rest = draws.sum(axis=1, keepdims=True) - own

    def side(counts: Counts) -> Side:
        table = counts.reshape(-1, 4)
        return Side(both=table[:, 0], lost=table[:, 1], gained=table[:, 2], n=table.sum(axis=1))

    a, b = side(own), side(rest)
    usable: Array = (a.dense > 0) & (b.dense > 0) & (b.pruned > 0)
    filler = Side(**dict.fromkeys(("both", "lost", "gained", "n"), np.ones(len(a.n), np.int64)))
    return filler.where(usable, a), filler.where(usable, b), usable


def p_of_harm(draws: Counts, focus: Array) -> Floats:
    """One-sided p (A, K) of a retention below the margin, NaN where there is none; as `distortion` computes it."""
    own, rest, usable = sides(draws, focus)
    p = ndtr(_retention.skewness_corrected(own, rest, np.full(len(usable), DEFAULT.retention_margin)))
    return np.where(usable, p, np.nan).reshape(len(draws), -1)


class Found:
    """Rows of one cell, as they are found."""

    def __init__(self, section: str, cell: Cell) -> None:
        self.section, self.cell, self.rows = section, cell, list[Row]()

    def add(
        self,
        quantity: str,
        found: tuple[float, float],
        *,
        most: float | None = None,
        least: float | None = None,
        worst: float | None = None,
    ) -> None:
        """A value with its error, the bar that it has and its worst class; nothing where nothing could be counted."""
        value, error = found
        if np.isnan(value):
            return
        bar, cell = (most if least is None else least), self.cell
        row = Row(section=self.section, row=cell.row, cell=cell.name, quantity=quantity, value=value, error=error)
        self.rows.append(replace(row, bar=bar, sense="most" if least is None else "least", worst=worst))

    def alarms(self, quantity: str, hits: Array, counted: Array | None = None, *, most: float | None = None) -> None:
        """How often classes (A, K) are flagged, of those ``counted``, and in the worst of them."""
        self.add(quantity, rate(hits, counted), most=most, worst=worst_part(hits, counted, "most"))

    def levels(self, quantity: str, p: Floats, *, most: float, counted: Array | None = None) -> None:
        """Rates of p-values (A, K) at 5 % (bar ``most``) and at .1 % (bar .4 %)."""
        for level, name in LEVELS:
            if level == 0.05:
                self.alarms(f"{quantity} {name}", p <= level, counted, most=most)
            else:  # of a class there are too few
                self.add(f"{quantity} {name}", rate(p <= level, counted), most=0.004)

    def coverage(self, quantity: str, low: Floats, high: Floats, truth: Floats) -> None:
        """Of intervals (A, K), NaN where there is none: of classes with 30 samples or more where a cell has such."""
        n = self.cell.n[self.cell.focus]
        large = n >= 30 if (n >= 30).any() else np.ones(len(n), bool)
        held = (low <= truth + EQUAL) & (truth - EQUAL <= high)
        counted = ~np.isnan(low) & large
        worst = worst_part(held, counted, "least")
        self.add(quantity, rate(held, counted), least=0.925 if (n >= 30).any() else None, worst=worst)
