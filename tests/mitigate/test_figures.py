"""The figures of the documents are those of the tables under docs/mitigations, which `mitigate --controls` wrote,
and of the studies of mitigations under docs/studies."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from prune_audit.core import Counts, Floats
from prune_audit.mitigate import controls
from prune_audit.study import results, samples, two_way
from tests.conftest import ROOT

TAIL, BALANCED = "mitigations-long-tail", "mitigations-balanced"

TABLES = sorted((ROOT / "docs" / "mitigations").glob("*.csv"))


def shown(path: Path) -> str:
    """The table at ``path`` as the documents have it."""
    lines = [
        "| network | accuracy, % | worst recall, % | largest excess drop, points | harmed | regressed |",
        "|---|---|---|---|---|---|",
    ]
    for row in csv.DictReader(path.read_text("utf-8").splitlines()):
        cells = []
        for name in ("accuracy", "worst_recall", "largest_excess_drop"):
            value, low, high = (100 * float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
            cells.append(f"{value:.1f} ({low:.1f} to {high:.1f})")
        lines.append("| " + " | ".join([row["network"], *cells, row["harmed"], row["regressed"]]) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_document_shows_the_table(path: Path) -> None:
    assert shown(path) in (ROOT / "docs" / "mitigate.md").read_text("utf-8")


def test_what_the_documents_say_of_draws() -> None:
    assert (controls.DRAWS, controls.LEVEL) == (2000, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A method at a density: means over seeds, and what it has ``more`` than the control of that density, in points:
    the mean, the interval over seeds, and the one over seeds and samples."""

    accuracy: float
    worst: float
    more: tuple[float, ...] = ()
    worst_more: tuple[float, ...] = ()


def cells(study: str, control: str) -> dict[tuple[float, str], Cell]:
    """Every cell of ``study``. Intervals over seeds are Student's t. Those over seeds and samples are of a two-way
    analysis of variance for accuracies, and of a bootstrap that draws both for the worst recall; seeds that are drawn
    anew scatter less than seeds do, so the latter is never narrower than the one over seeds."""
    _, runs, classes, right = results.read([ROOT / "docs" / "studies" / study])
    sizes, found = samples.read(right, classes)
    ((network, n),) = sizes.items()
    seeds = sorted(runs["seed"].unique())

    def bits(method: str, density: float) -> Floats:
        return np.array([found[network, method, density, seed].pruned for seed in seeds], float)  # (S, N)

    made: dict[tuple[float, str], Cell] = {}
    for density in map(float, runs["density"].unique()):
        for method in map(str, runs.loc[runs["density"] == density, "method"].unique()):
            hits, base = bits(method, density), bits(control, density)
            cell = Cell(accuracy=100 * hits.mean(), worst=100 * worst(hits, n).mean())
            if method != control:
                moved = 100 * (hits - base)
                both = two_way.intervals(moved, np.array([n.sum()]), 0.95)
                more = (*over_seeds(moved.mean(1)), float(both.low[0]), float(both.high[0]))
                mean, low, high = over_seeds(100 * (worst(hits, n) - worst(base, n)))
                ends = drawn(hits, base, n)
                cell = replace(cell, more=more, worst_more=(mean, low, high, min(low, ends[0]), max(high, ends[1])))
            made[density, method] = cell
    return made


def worst(hits: Floats, n: Counts) -> Floats:
    """The lowest recall of each seed, (S,), of ``hits`` (S, N), class by class."""
    recalls: Floats = np.add.reduceat(hits, np.cumsum(n) - n, axis=1) / n
    lowest: Floats = recalls.min(1)
    return lowest


def over_seeds(values: Floats) -> tuple[float, float, float]:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return values.mean(), values.mean() - half, values.mean() + half


def drawn(hits: Floats, base: Floats, n: Counts) -> tuple[float, float]:
    """The interval of the mean difference in the worst recall, in points, where seeds and samples are drawn anew."""
    rng = np.random.default_rng(0)
    at = np.concatenate([[0], np.cumsum(n)])
    blocks = [slice(first, end) for first, end in pairwise(at)]
    times = [rng.multinomial(size, np.full(size, 1 / size), 2000).astype(float) for size in n]  # (D, n) each
    mine, theirs = (
        np.min([of @ each[:, block].T / of.shape[1] for of, block in zip(times, blocks, strict=True)], axis=0)
        for each in (hits, base)
    )  # (D, S)
    seeds = rng.integers(len(hits), size=mine.shape)
    found = 100 * np.take_along_axis(mine - theirs, seeds, 1).mean(1)
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def compared(study: str, control: str) -> str:
    """The cells of ``study`` as the documents have them."""
    lines = [
        f"| kept | network | accuracy, % | worst recall, % | accuracy beyond {control} | worst beyond {control} |",
        "|---|---|---|---|---|---|",
    ]
    for (density, method), cell in cells(study, control).items():
        means = [f"{100 * density:g} %", method, f"{cell.accuracy:.1f}", f"{cell.worst:.1f}"]
        lines.append("| " + " | ".join([*means, told(cell.more), told(cell.worst_more)]) + " |")
    return "\n".join(lines)


def told(of: tuple[float, ...]) -> str:
    if not of:
        return "-"
    mean, *ends = (f"{each:.1f}".replace("-0.0", "0.0") for each in of)
    return f"{mean} ({ends[0]} to {ends[1]}; {ends[2]} to {ends[3]})"


@pytest.mark.parametrize(("study", "control"), [(TAIL, "tuned-balanced"), (BALANCED, "tuned")])
def test_the_document_shows_what_the_studies_found(study: str, control: str) -> None:
    assert compared(study, control) in (ROOT / "docs" / "mitigate.md").read_text("utf-8")


def test_the_documents_say_what_the_studies_found() -> None:
    page = " ".join((ROOT / "docs" / "mitigate.md").read_text("utf-8").split())
    tail, balanced = cells(TAIL, "tuned-balanced"), cells(BALANCED, "tuned")
    five, ten = (tail[density, "equal-loss"] for density in (0.05, 0.1))
    said = f"{less(ten.more)} less accuracy at 10 % kept, and {less(five.more)} less at 5 %"
    assert f"`equal-loss` has {said}" in page
    others = [cell for cell in tail.values() if cell.more]
    assert len(others) == 8
    assert all(cell.more[2] < 0 and cell.more[4] < 0 for cell in others)  # less accuracy, by both intervals
    assert not any(cell.worst_more[3] > 0 for cell in others)
    assert ten.worst_more[4] < 0 < five.worst_more[4]
    plain = tail[0.05, "tuned"]
    assert f"({plain.accuracy:.1f} to {five.accuracy:.1f} % at 5 %)" in page
    assert abs(plain.accuracy - tail[0.05, "weighted"].accuracy) < 0.5
    mended = [cell for cell in balanced.values() if cell.more]
    assert len(mended) == 3
    assert all(cell.more[3] < 0 < cell.more[4] for cell in mended)  # no harm shown, and none excluded
    mean, *_, low, high = balanced[0.05, "equal-loss"].worst_more
    assert low > 0
    assert f"lifts the worst class by {mean:.1f} points ({low:.1f} to {high:.1f})" in page
    assert f"up to {max(-cell.more[3] for cell in mended):.1f} points" in page


def less(of: tuple[float, ...]) -> str:
    """By how much less something is, with the interval over seeds and samples."""
    return f"{-of[0]:.1f} points ({-of[4]:.1f} to {-of[3]:.1f})"


def test_the_readme_shows_a_mitigation_with_the_figures_of_the_document() -> None:
    page, readme = ((ROOT / name).read_text("utf-8") for name in ("docs/mitigate.md", "README.md"))
    after = page.partition("The published ResNet-32 of CIFAR-10")[2].partition("## Over seeds")[0]
    for name, called in (("untuned cut", "cut to 30 % (dense: 88.4 %)"), ("recalibrated", "mended")):
        [row] = [line for line in after.splitlines() if line.startswith(f"| {name} |")]
        accuracy, worst_, _, harmed, regressed = (cell.split()[0] for cell in row.split("|")[2:-1])
        assert f"| {called} | {accuracy} % | {worst_} % | {harmed} | {regressed} |" in readme
