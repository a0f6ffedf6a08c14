"""Cells against one another: is alpha larger at a sparser density, under another method, in a smaller network?

And does a cell differ from the control, whatever its density? Every test here is a difference, its standard error and
degrees of freedom, so that one function finds all p-values. Each answers for new seeds on these samples; beside it
stands the interval for new seeds and new samples.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.special import stdtrit

from prune_audit.core import Floats
from prune_audit.render import rounded
from prune_audit.study import _shown as shown
from prune_audit.study.new_samples import Key, Limits, Mean, NewSamples, reasons, split
from prune_audit.study.student import LEVEL, ROUNDING, bonferroni, interval, student, welch
from prune_audit.study.tables import NAMES, SEEDS, Column, Row, Table, column, number, shows, table

if TYPE_CHECKING:
    from pandas import DataFrame

Alphas: TypeAlias = dict[Key, dict[Hashable, float]]  # of each cell by seed; a cell without any is empty

CELL = ["network", "method", "density"]
NOT_SHOWN = "not shown"
EQUAL = "equal in every run"


def keys_of(key: Key) -> Row:
    """The start of a row."""
    return dict(zip(CELL, key, strict=True))


def mean_of(values: Floats) -> float | None:
    """The mean of ``values`` (N,), None of none."""
    return float(values.mean()) if len(values) else None


def value_of(row: Row, name: str) -> float:
    """The number that a row has under ``name``."""
    value = row[name]
    assert isinstance(value, (int, float))
    return value


def finished_of(runs: DataFrame) -> DataFrame:
    """Those of ``runs`` that did not fail."""
    return runs[runs["failed"].isna()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    """A mean difference of alphas, with the error and the degrees of freedom of its t, NaN where there is no test."""

    seeds: int
    difference: float | None
    error: float = math.nan
    freedom: float = math.nan
    absent: str | None = None

    def mean(self, confidence: float) -> Mean:
        """The difference with its t interval."""
        half = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        value = self.difference if self.difference is not None else math.nan
        return Mean.of(value, value - half, value + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One row of a table of tests. ``family`` is what its p is corrected for; ``fits`` whether both cells do, and
    ``both`` the interval for new seeds and new samples, or why there is none."""

    keys: Row
    family: Hashable
    moved: _Moved
    fits: bool
    both: Limits | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells that are tested: their alphas, which of them a line describes, and what is known of new samples."""

    alphas: Alphas
    fits: Mapping[Key, bool]
    beyond: NewSamples

    def paired(self, keys: Row, family: Hashable, more: Key, less: Key) -> _Asked:
        """``more`` less ``less``, over the seeds that have both."""
        seeds = [seed for seed in self.alphas[more] if seed in self.alphas[less]]
        moved = _paired(self.alphas[more], self.alphas[less])
        both = self.beyond.paired(more, less, seeds, moved.mean(self.beyond.confidence))
        return _Asked(keys=keys, family=family, moved=moved, fits=self.fits[more] and self.fits[less], both=both)


def _paired(more: Mapping[Hashable, float], less: Mapping[Hashable, float]) -> _Moved:
    """Of the seeds that have both, as `scipy.stats.ttest_rel`."""
    both = [seed for seed in more if seed in less]
    moved = np.array([more[seed] - less[seed] for seed in both])  # (N,)
    difference = mean_of(moved)
    if difference is None or len(both) < 2:
        return _Moved(seeds=len(both), difference=difference, absent="a paired test needs 2 seeds")
    if np.ptp(moved) <= ROUNDING:
        return _Moved(seeds=len(both), difference=difference, absent=same(difference))
    error = float(moved.std(ddof=1)) / math.sqrt(len(both))
    return _Moved(seeds=len(both), difference=difference, error=error, freedom=len(both) - 1)


def same(difference: float) -> str:
    """Why there is no test of a difference that every run has."""
    return EQUAL if abs(difference) <= ROUNDING else f"the same difference in every run: {rounded.ratio(difference)}"


def _independent(more: Mapping[Hashable, float], less: Mapping[Hashable, float]) -> _Moved:
    """Welch's, as `scipy.stats.ttest_ind` without equal variances. ``seeds`` are those of ``more``."""
    groups = [np.array(list(group.values())) for group in (more, less)]
    if not all(map(len, groups)):
        return _Moved(seeds=len(more), difference=None, absent="a test needs 2 seeds of each network")
    difference = float(groups[0].mean() - groups[1].mean())
    if min(map(len, groups)) < 2:
        return _Moved(seeds=len(more), difference=difference, absent="a test needs 2 seeds of each network")
    if all(np.ptp(group) <= ROUNDING for group in groups):
        return _Moved(seeds=len(more), difference=difference, absent=same(difference))
    one, other = (np.array([group.var(ddof=1)]) for group in groups)
    error, freedom = welch(one, other, len(groups[0]), len(groups[1]))
    return _Moved(seeds=len(more), difference=difference, error=float(error[0]), freedom=float(freedom[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """What a table of tests asks. ``below`` and ``above`` are the findings, by the side of 0 of the difference."""

    title: str
    columns: tuple[Column, ...]
    about: str
    greater: bool
    below: str
    above: str


def tested(name: str, asked: Sequence[_Asked], beyond: NewSamples) -> Table:
    """The table called ``name`` of all that was ``asked``, with p-values corrected within its families."""
    design, confidence = DESIGNS[name], beyond.confidence
    differences, errors, freedoms = (
        np.array([getattr(each.moved, of) for each in asked], dtype=np.float64)  # (K,), and None is NaN
        for of in ("difference", "error", "freedom")
    )
    t, p = student(differences, errors, freedoms, greater=design.greater)
    adjusted = bonferroni(p, [each.family for each in asked])
    intervals = [each.moved.mean(confidence).over_seeds or (None, None) for each in asked]
    rows = [
        each.keys
        | {"seeds": each.moved.seeds, "difference": each.moved.difference, "absent": each.moved.absent}
        | dict(zip(("low", "high"), intervals[n], strict=True))
        | {"t": number(t[n]), "p": number(p[n]), "p_adjusted": number(adjusted[n])}
        for n, each in enumerate(asked)
    ]
    for row, each in zip(rows, asked, strict=True):
        low, high, unknown = split(each.both)
        row |= {"both_low": low, "both_high": high}
        if row["p_adjusted"] is not None and not each.fits:  # the alphas may well differ, but that is no word on gaps
            row["absent"] = shown.UNFIT
        if beyond.kept:
            row["absent"] = reasons((str(row["absent"] or ""), unknown))
        if row["p_adjusted"] is None:
            continue
        if each.fits:
            found = design.below if value_of(row, "difference") < 0 else design.above
            row["finding"] = found if value_of(row, "p_adjusted") < LEVEL else NOT_SHOWN
    telling = [at for at, row in enumerate(rows) if row.get("finding") not in (None, NOT_SHOWN)]
    about = f"{design.about} {_corrected(confidence, new=shows(rows, 'both_low'))}"
    return table(name, design.title, about, design.columns, rows, telling)


def steps(of: Cells) -> list[_Asked]:
    """Consecutive densities of a network and method."""
    return [
        of.paired(keys_of(dense) | {"sparser": sparse[2]}, dense[:2], sparse, dense)
        for dense, sparse in pairwise(of.alphas)
        if dense[:2] == sparse[:2]
    ]


def pairs(of: Cells) -> list[_Asked]:
    """All pairs of methods of a network and density."""
    return [
        of.paired(keys_of(one) | {"other": other[1]}, one[::2], other, one)
        for network, densities in _densities(of.alphas).items()
        for density in densities
        for one, other in combinations([key for key in of.alphas if key[::2] == (network, density)], 2)
    ]


def controlled(of: Cells, controls: Sequence[Key], runs: DataFrame) -> list[_Asked]:
    """Every cell of a network against each of its ``controls``, with what it did to accuracy."""
    done = finished_of(runs)
    accuracies = {key: own.set_index("seed")["accuracy"].dropna() for key, own in done.groupby(CELL)}
    asked = []
    for control in controls:
        for key in of.alphas:
            if key[0] != control[0] or key == control or key not in accuracies or control not in accuracies:
                continue
            moved = (accuracies[key] - accuracies[control]).dropna()
            keys = keys_of(key) | {"control": control[1], "control_density": control[2]}
            keys |= {"accuracy_difference": mean_of(moved.to_numpy())}
            low, high = interval(moved.to_numpy(), of.beyond.confidence)
            keys |= {"accuracy_low": low, "accuracy_high": high}
            low, high, _ = split(of.beyond.of_all(key, moved.index.to_list(), control))
            keys |= {"accuracy_both_low": low, "accuracy_both_high": high}
            asked.append(of.paired(keys, control, key, control))
    return asked


def _densities(alphas: Alphas) -> dict[str, list[float]]:
    """Of each network its densities, from dense to sparse."""
    networks = dict.fromkeys(key[0] for key in alphas)
    return {name: sorted({key[2] for key in alphas if key[0] == name}, reverse=True) for name in networks}


def by_size(runs: DataFrame) -> dict[str, float]:
    """The networks whose size is known, by their number of parameters."""
    sizes = runs.groupby("network", sort=False)["parameters"].mean().dropna()
    return {str(network): float(size) for network, size in sizes.sort_values(kind="stable").items()}


def sizes_of(of: Cells, sizes: Mapping[str, float]) -> list[_Asked]:
    """Consecutive sizes of network, for each method and density that both have."""
    alphas, asked = of.alphas, []
    for small, large in pairwise(sizes):
        if sizes[small] == sizes[large]:  # neither is the smaller
            continue
        for one in [key for key in alphas if key[0] == small]:
            other = (large, *one[1:])
            if other in alphas:
                keys = keys_of(one) | {"larger": large, "seeds_larger": len(alphas[other])}
                moved = _independent(alphas[one], alphas[other])
                sides = (one, list(alphas[one])), (other, list(alphas[other]))
                both = of.beyond.independent(*sides, moved.mean(of.beyond.confidence))
                fits = of.fits[one] and of.fits[other]
                asked.append(_Asked(keys=keys, family=(small, large, one[1]), moved=moved, fits=fits, both=both))
    return asked


# ---------------------------------------------------------------------------------------------------------- words


TEST = (
    column("difference", "difference", "ratio"), column("low", "low", "ratio"), column("high", "high", "ratio"),
    column("both_low", "interval, new samples", "ratio"), column("both_high", "high", "ratio"),
    column("t", "t", "number", wide=True), column("p", "p", "p", wide=True), column("p_adjusted", "adjusted p", "p"),
    column("finding", "finding", "label"), column("absent", "why absent", "label"),
)  # fmt: skip

DESIGNS: Mapping[str, _Design] = {
    "controls": _Design(
        title="Against the control",
        columns=(
            NAMES["network"], NAMES["method"], NAMES["density"], NAMES["control"], NAMES["control_density"], SEEDS,
            *TEST, column("accuracy_difference", "difference of accuracy", "points"),
            column("accuracy_low", "low", "points"), column("accuracy_high", "high", "points"),
            column("accuracy_both_low", "interval, new samples", "points"),
            column("accuracy_both_high", "high", "points"),
        ),
        about=(
            "Whether a cell differs in alpha from the control of its network, whatever their densities: a two-sided "
            "paired t test over the seeds that have both, and the difference is the cell's less the control's. Unless "
            "another is named, a control is what was tuned with all of its weights. Each p is multiplied by the number "
            "of tests against the same control (Bonferroni)."
        ),
        greater=False,
        below="lower",
        above="higher",
    ),
    "densities": _Design(
        title="From density to density",
        columns=(NAMES["network"], NAMES["method"], NAMES["density"], NAMES["sparser"], SEEDS, *TEST),
        about=(
            "Whether alpha is larger at the sparser of two neighbouring densities: a one-sided paired t test over the "
            "seeds that have both, and the difference is the sparser less the denser. Each p is multiplied by the "
            "number of tests of the same network and method (Bonferroni)."
        ),
        greater=True,
        below=NOT_SHOWN,
        above="more intensification",
    ),
    "methods": _Design(
        title="Method against method",
        columns=(NAMES["network"], NAMES["density"], NAMES["method"], NAMES["other"], SEEDS, *TEST),
        about=(
            "Whether two methods differ in alpha: a two-sided paired t test over the seeds that have both. The "
            "difference is the other less the method, so that lower says that the other has the lower alpha. Each p is "
            "multiplied by the number of tests of the same network and density (Bonferroni)."
        ),
        greater=False,
        below="lower",
        above="higher",
    ),
    "networks": _Design(
        title="Smaller against larger network",
        columns=(
            NAMES["network"], NAMES["larger"], NAMES["method"], NAMES["density"], SEEDS,
            column("seeds_larger", "seeds of the larger", "count", wide=True), *TEST,
        ),
        about=(
            "Whether the smaller of two networks next to each other in size has the larger alpha: a one-sided Welch t "
            "test, and the difference is the smaller less the larger. Each p is multiplied by the number of tests, one "
            "a density, of the same two networks and method (Bonferroni)."
        ),
        greater=True,
        below=NOT_SHOWN,
        above="more intensification",
    ),
}  # fmt: skip


def _corrected(confidence: float, *, new: bool) -> str:
    """What holds of all tests; ``new`` says that there are intervals for new samples."""
    beyond = "Both answer for new seeds on these samples" + (
        "; the interval called new samples is of the pigeonhole bootstrap and answers for new seeds and new samples"
        if new
        else ""
    )
    return (
        f"A finding has an adjusted p below {LEVEL:g}; intervals are two-sided t intervals of the difference at "
        f"{rounded.limit(confidence)} %, corrected for nothing, so that one may hold 0 beside a finding. {beyond}."
    )
