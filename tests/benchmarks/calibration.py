"""How often an audit is wrong where the truth is known: ``python -m tests.benchmarks.calibration``.

Simulates paired audits over the grid of `_draws`, sends them through the package's own statistics, holds every rate
against its bar (`_bars`), and writes calibration.csv and calibration.md (``--out DIR``, by default docs/; ``--quick``
for a small part of the grid; ``--only SECTION`` for one section, beside what was measured of the others; ``--share X``
for the whole grid with that share of the audits of each cell, to see that it runs). Prints five lines that sum it up.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from tests.benchmarks import _checks, _classes, _flags, _models, _samples
from tests.benchmarks import _draws as draws
from tests.benchmarks._bars import Row
from tests.benchmarks._calibration_report import MEAN, from_csv, row_means, summary, to_csv, to_markdown
from tests.conftest import ROOT

Job: TypeAlias = "partial[list[Row]]"  # the section comes first

PAIRS, PART = 10_000, 500
"""Identical pairs, and how many of them one process takes at a time."""


def jobs(*, quick: bool) -> Iterator[Job]:
    """Every cell with what is measured on it, in the order of the page."""
    grids = (
        ("Same share kept", _classes.per_class, draws.everywhere(quick=quick)),
        ("At the margin", _classes.per_class, draws.at_drop(0.02, quick=quick)),
        ("At the assurance limit", _classes.per_class, draws.at_drop(0.05, quick=quick)),
        ("At the retention margin", _classes.per_class, draws.at_retention(quick=quick)),
        ("Edges", _classes.per_class, draws.edges(quick=quick)),
        ("Unequal sizes", _classes.per_class, draws.unequal(quick=quick)),
        ("Lists of flags", _flags.flag_lists, draws.lists(quick=quick)),
        ("Alpha", _models.slope, draws.slopes(quick=quick)),
        ("Gaps", _models.gaps, draws.gaps(quick=quick)),
        ("All classes at once", _models.between, draws.drops(quick=quick)),
        ("Precision and F1", _samples.calls, draws.confusions(quick=quick)),
        ("Collapse", _samples.collapse, draws.guessing(quick=quick)),
    )
    for section, measure, cells in grids:
        for cell in cells:
            yield partial(measure, section, cell)
    for cell, cluster in draws.people(quick=quick):
        yield partial(_samples.clustered, "Clusters", cell, cluster)
    for cell, tie in draws.ties(quick=quick):
        yield partial(_samples.tied, "Exact ties", cell, tie)
    for cell, weights in draws.weighted(quick=quick):
        yield partial(_models.in_use, "Weights", cell, weights)
    for quantity, cell in draws.powers(quick=quick):
        yield partial(_flags.power, "Power", quantity, cell)
    pairs = 50 if quick else PAIRS
    for part in range(-(-pairs // PART)):
        yield partial(_samples.identical, "Identical pairs", min(pairs, PART), part)


def run(*, quick: bool, processes: int, only: str | None = None, share: float = 1.0) -> list[Row]:
    """All rows, or those of one section, in the order of the page; the means of rows of the grid come last.

    Of the audits of each cell ``share`` is drawn, at least two.
    """
    todo = [_fewer(job, share) for job in jobs(quick=quick) if only in (None, job.args[0])]
    if processes == 1:
        rows = [row for job in todo for row in job()]
    else:
        rows = []
        with ProcessPoolExecutor(processes) as pool:
            for found in pool.map(_done, todo):
                if not rows or rows[-1].section != found[0].section:
                    print(found[0].section, file=sys.stderr, flush=True)  # minutes pass
                rows += found
    if identical := [row for row in rows if row.quantity == _samples.IDENTICAL]:
        rows = [row for row in rows if row.quantity != _samples.IDENTICAL] + [_together(identical)]
    return rows + row_means(rows)


def merged(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """``old`` with the sections of ``new`` in the place of its own, in the order of the page."""
    order = list(dict.fromkeys(job.args[0] for job in jobs(quick=False)))
    fresh = {row.section for row in new}
    rows = [*(row for row in old if row.section not in fresh), *new]
    return sorted(rows, key=lambda row: (row.cell == MEAN, order.index(row.section)))


def unmeasured(rows: Sequence[Row]) -> int:
    """How many cells of the grid have no row in ``rows``, because they were added after these were measured."""
    grid = {(job.args[0], c.row, c.name) for job in jobs(quick=False) for c in job.args if isinstance(c, draws.Cell)}
    return len(grid - {(row.section, row.row, row.cell) for row in rows})


def _fewer(job: Job, share: float) -> Job:
    """``job`` with that share of its cell's audits; parts of identical pairs, which have no cell, as they are."""

    def fewer(arg: object) -> object:
        return replace(arg, audits=max(2, round(arg.audits * share))) if isinstance(arg, draws.Cell) else arg

    return partial(job.func, *map(fewer, job.args))


def _done(job: Job) -> list[Row]:
    return job()


def _together(parts: Sequence[Row]) -> Row:
    """The identical pairs, which were drawn in parts of one size, as one row."""
    pairs = sum(int(part.cell) for part in parts)
    share = sum(part.value for part in parts) / len(parts)
    return replace(parts[0], cell=f"{pairs:,} pairs without a flip", value=share)


def write(rows: Sequence[Row], out: Path, minutes: int) -> list[str]:
    """Write both files into ``out`` and return five lines that sum them up; all from the digits that the CSV holds."""
    text = to_csv(rows)
    rows = from_csv(text)
    out.mkdir(parents=True, exist_ok=True)
    (out / "calibration.csv").write_text(text, encoding="utf-8")
    page = out / "calibration.md"
    checks = _checks.section(page.read_text(encoding="utf-8")) if page.exists() else ""  # which other benchmarks write
    page.write_text(to_markdown(rows, minutes, unmeasured(rows)) + checks, encoding="utf-8")
    return summary(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How often an audit is wrong where the truth is known.")
    parser.add_argument("--out", type=Path, default=None, help="default: docs/; with --quick, build/calibration/")
    parser.add_argument("--quick", action="store_true", help="a small part of the grid, in half a minute")
    parser.add_argument("--only", metavar="SECTION", default=None, help="one section; the others stay as they are")
    parser.add_argument("--share", type=float, default=1.0, help="of the audits of each cell; a trial, into build/")
    asked = parser.parse_args()
    if not 0 < asked.share <= 1:
        parser.error("--share: more than 0, at most 1")
    found = run(quick=asked.quick, processes=2, only=asked.only, share=asked.share)
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    took = -(-int(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime) // 60)
    trial = asked.quick or asked.share < 1
    folder = asked.out or (ROOT / "build" / "calibration" if trial else ROOT / "docs")
    if asked.only is not None:
        found = merged(from_csv((folder / "calibration.csv").read_text(encoding="utf-8")), found)
        said = re.search(r"about (\d+) minutes", (folder / "calibration.md").read_text(encoding="utf-8"))
        took = int(said[1]) if said else took
    print("\n".join(f"- {line}" for line in write(found, folder, took)))
