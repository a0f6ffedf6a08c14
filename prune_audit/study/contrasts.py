"""The comparisons that the file of a study announces before it runs: methods against one of them, by one outcome.

What is compared after the results are known is one of many things that could have been; what was announced is not. So
these few have a table of their own, corrected for nothing but one another (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.errors import UsageError
from prune_audit.render import rounded
from prune_audit.study.student import LEVEL, ROUNDING, holm, interval, student
from prune_audit.study.tables import NAMES, SEEDS, Kind, Row, Table, column, number, table

if TYPE_CHECKING:
    from pandas import DataFrame

OUTCOMES: Mapping[str, tuple[str, Kind]] = {
    "accuracy": ("accuracy", "points"),
    "worst-recall": ("recall of the worst class", "points"),
    "harmed": ("harmed classes of a run", "number"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasts:
    """Each of ``methods`` less the method ``against``, both at ``density``, by ``outcome``, one of `OUTCOMES`."""

    outcome: str
    against: str
    methods: tuple[str, ...]
    density: float

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise UsageError(
                f"expected one of {', '.join(OUTCOMES)}, found {self.outcome!r}", hint="one outcome is announced"
            )
        if not self.methods or self.against in self.methods or len({*self.methods}) < len(self.methods):
            raise UsageError(
                f"expected different methods, {self.against!r} not among them, found {list(self.methods)!r}",
                hint="each is compared with that one",
            )


def tested(asked: Contrasts, runs: DataFrame, confidence: float) -> Table:
    """The table of all contrasts, of every network: a two-sided paired t over the seeds that have both.

    ``runs`` has network, method, density, seed and the outcome, NaN in runs that did not finish.
    """
    name = asked.outcome.replace("-", "_")
    here = runs[np.isclose(runs["density"], asked.density) & runs[name].notna()]
    rows: list[Row] = []
    statistics: list[tuple[float, float, float]] = []  # difference, error, degrees of freedom
    for network in dict.fromkeys(runs["network"]):
        own = here[here["network"] == network]
        of = {method: of_method.set_index("seed")[name] for method, of_method in own.groupby("method")}
        for method in asked.methods:
            row: Row = {"network": network, "density": asked.density, "method": method, "other": asked.against}
            pair = [of[each] for each in (method, asked.against) if each in of]
            moved = (pair[0] - pair[1]).dropna().to_numpy(np.float64) if len(pair) == 2 else np.empty(0)  # (S,)
            low, high = interval(moved, confidence)
            row |= {"seeds": len(moved), "difference": float(moved.mean()) if len(moved) else None}
            row |= {"low": low, "high": high}
            error = float(moved.std(ddof=1)) / len(moved) ** 0.5 if len(moved) > 1 else np.nan
            if len(moved) < 2:
                row["absent"] = "a paired test needs 2 seeds"
            elif np.ptp(moved) <= ROUNDING:
                row["absent"], error = "the same difference in every run", np.nan
            rows.append(row)
            statistics.append((float(moved.mean()) if len(moved) else np.nan, error, float(len(moved) - 1)))
    found = np.array(statistics, dtype=np.float64).reshape(-1, 3).T
    _, p = student(*found, greater=False)
    adjusted = holm(p)
    for row, each, corrected, difference in zip(rows, p, adjusted, found[0], strict=True):
        row |= {"p": number(each), "p_adjusted": number(corrected)}
        if row["p_adjusted"] is not None:
            row["finding"] = ("lower" if difference < 0 else "higher") if corrected < LEVEL else "not shown"
    title, kind = OUTCOMES[asked.outcome]
    columns = (
        NAMES["network"], NAMES["density"], NAMES["method"], NAMES["other"], SEEDS,
        column("difference", "difference", kind), column("low", "low", kind), column("high", "high", kind),
        column("p", "p", "p", wide=True), column("p_adjusted", "adjusted p", "p"),
        column("finding", "finding", "label"), column("absent", "why absent", "label"),
    )  # fmt: skip
    about = (
        f"Announced in the file of the study before it ran: the {title}, of the method less that of the other, by a "
        "two-sided paired t test over the seeds that have both. p is corrected for all of these tests and for no other "
        f"(Holm); a finding has an adjusted p below {LEVEL:g}. Intervals are of the difference, over seeds on these "
        f"samples, at {rounded.limit(confidence)} %, corrected for nothing."
    )
    telling = [n for n, row in enumerate(rows) if row.get("finding") in ("lower", "higher")]
    return table("contrasts", "What was announced", about, columns, rows, telling)
