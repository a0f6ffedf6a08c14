"""Rows to what people read: the CSV, the page in docs/, and its five lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from tests.benchmarks._bars import ENOUGH, ERRORS, MEANING, Row

COLUMNS = ("section", "row", "cell", "quantity", "value", "error", "bar", "sense", "verdict", "worst_class")
MEAN = "mean of the row"
ROW_BAR = 0.94
"""What 95 % intervals must hold on average over a row of the grid (.93 for alpha's, cell by cell)."""

UNBARRED = ("interval of alpha", "interval of change, clusters ignored")
"""Intervals whose mean over a row has no bar: alpha's has one in every cell, and the other is no interval of ours."""

PLAIN = ("lambda", "alpha corrected / truth", "alpha naive / truth", "tau / truth", "gaps / truth")
"""Quantities that are no rates: shown as they are, not in per cent."""

WHY = {
    "alpha corrected / truth": (
        "One of ten classes has ten samples, the others a thousand: what is subtracted as noise is mostly what ten "
        "samples show of theirs. Of such audits more than half print no alpha, and of the rest nearly all say `at "
        "least` (alpha printed, alpha bounded), which holds."
    ),
}
"""Why a bar is missed, by quantity; what is not listed here is not understood."""

HOW = """\
# Calibration, measured

The tests, intervals and verdicts of an audit, on simulated pairs of which the truth is known; all but those of
calibration error and top-k recall, which need scores. To reproduce this page:

    python -m tests.benchmarks.calibration

It takes about {minutes} minutes of processor time, in two processes, needs nothing that `pip install -e ".[test]"` does
not bring, and writes this page and [calibration.csv](calibration.csv), one line per cell and quantity. Seeds are fixed,
so the numbers come out the same. `--quick` runs a small part of the grid in half a minute; the test suite runs that
part too. `--only Gaps` runs one section anew and leaves the others as they were measured; `--share .02` runs the whole
grid with a fiftieth of the audits.

A *cell* is one truth: class sizes and, per class, the probabilities of both right, lost, gained and neither. From
each, as many audits are drawn as give 20,000 class tests (where whole audits are the unit: 40 to 4,000 audits, and
the standard errors say how sure that is), and they go through the code that `prune-audit compare` runs. A *row* of
the grid is one number of classes and one support (samples per class; "uneven" is 10 to 1,000 in equal ratios). *Kept*
is the share of its recall that each class keeps. *Churn* is what is lost and gained beyond the drop: none, 3 % each
way (low) or 10 % (high), or as much as the class's wrong answers allow. *At the margin* every class has lost exactly
2 points, *at the assurance limit* 5, and *at the retention margin* a quarter of the classes keep exactly .95 of what
the others keep. Two samples of a cluster agree with a correlation of .3; clusters have 10 samples, or 2 or 20 of each
class.

A cell's value is the mean over its classes, which can hide one of them. So the *worst class* stands beside it: the
worst of the classes by itself, of more than ten the worst of ten parts of them, in the order of their recalls (and
sizes, where they differ). It is shown where each part has {enough} tests or more, has no bar, and is by luck alone some
.7 to 1.7 points worse than it would be in the long run, since it is the worst of ten.

A bar is *not met* where the value lies beyond it by more than {errors} of its own standard errors; every such value is
in **bold** below. The bars were set before the first run, save that of `fine`: 72 %, where the first was of an interval
with a one-sided limit, which the verdict does not take.
"""

BEFORE = """
**{absent} cells of the grid were added after this page was measured, and are not on it.** Formulas may have changed
since, too; the changelog says which.
"""


def row_means(rows: Sequence[Row]) -> list[Row]:
    """The mean coverage of every row of the grid with its bar."""
    grouped: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.quantity.startswith("interval of") and row.quantity not in UNBARRED:
            grouped.setdefault((row.section, row.row, row.quantity), []).append(row)
    found = []
    for (section, name, quantity), members in grouped.items():
        value = float(np.mean([row.value for row in members]))
        error = float(np.sqrt(sum(row.error**2 for row in members))) / len(members)
        found.append(
            Row(
                section=section,
                row=name,
                cell=MEAN,
                quantity=quantity,
                value=value,
                error=error,
                bar=ROW_BAR,
                sense="least",
            )
        )
    return found


def to_csv(rows: Iterable[Row]) -> str:
    """One line per row; shares as shares."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        bar = "" if row.bar is None else f"{row.bar:g}"
        sense = "" if row.bar is None else f"at {row.sense}"
        value = f"{row.value:.6g}", f"{row.error:.3g}", bar, sense, row.verdict
        worst = "" if row.worst is None else f"{row.worst:.6g}"
        writer.writerow((row.section, row.row, row.cell, row.quantity, *value, worst))
    return text.getvalue()


def from_csv(text: str) -> list[Row]:
    """The rows of `to_csv`, to the digits that it writes."""
    return [
        Row(
            section=line["section"],
            row=line["row"],
            cell=line["cell"],
            quantity=line["quantity"],
            value=float(line["value"]),
            error=float(line["error"]),
            bar=float(line["bar"]) if line["bar"] else None,
            sense="least" if line["sense"] == "at least" else "most",
            worst=float(line["worst_class"]) if line["worst_class"] else None,
        )
        for line in csv.DictReader(io.StringIO(text))
    ]


def _worst(rows: Iterable[Row]) -> Row:
    """The row nearest to its bar or farthest beyond it; without a bar, the largest."""
    return max(rows, key=lambda row: row.value if row.sense == "most" else -row.value)


def _worst_classes(rows: Iterable[Row]) -> float | None:
    """The worst class of any cell in ``rows``; None where no cell can tell."""
    found = [(row.quantity, row.worst) for row in rows if row.worst is not None]
    if not found:
        return None
    worst = min if found[0][0].startswith("interval of") else max
    return worst(value for _, value in found)


def _number(quantity: str, value: float) -> str:
    if quantity in PLAIN:
        return f"{value:.3f}"
    digits = 2 if ".1 %" in quantity else 1
    return f"{100 * value:.{digits}f} %"


def summary(rows: Sequence[Row]) -> list[str]:
    """Five lines that sum it up, in Markdown."""
    by: dict[str, list[Row]] = {}
    for row in rows:
        if row.cell != MEAN:
            by.setdefault(row.quantity, []).append(row)

    def worst(quantity: str) -> str:
        return _number(quantity, _worst(by[quantity]).value)

    def where(quantity: str) -> str:
        row = _worst([row for row in by[quantity] if row.bar is not None])
        return f"{_number(quantity, row.value)} ({row.row}; {row.cell})"

    def average(quantity: str) -> str:
        return _number(quantity, float(np.mean([row.value for row in by[quantity]])))

    def one_class(quantity: str) -> str:
        found = _worst_classes(by[quantity])
        return "" if found is None else f", of one class {_number(quantity, found)}"

    def at(quantity: str, row: str, cell: str) -> str:
        found = next(r for r in by[quantity] if row in r.row and cell in r.cell)
        return _number(quantity, found.value)

    barred = [row for row in rows if row.bar is not None]
    missed = [row for row in barred if row.verdict == "not met"]
    cells = len({(row.section, row.row, row.cell) for row in rows if row.cell != MEAN})
    drop, ten = "one class of 100 lost 30 points", "one class of 100 lost 10 points"
    paired = "found by McNemar's q"
    pairs = by["identical pair fails"][0].cell
    return [
        f"**False alarms**, worst of {cells} cells, of tests at 5 %: no change {where('McNemar 5 %')}, margin "
        f"{where('margin test 5 %')} and exactly at it {where('at the margin 5 %')}, retention "
        f"{where('retention 5 %')}, harm {where('harm 5 %')}. The delta method: {worst('delta method 5 %')}. The rule "
        f"|new balance| > |old balance| flags {average('naive rule')} of classes when nothing changed.",
        f"**False discovery**, worst list: McNemar's q {where('FDR of q')}, `regressed` {where('FDR of regressed')}, "
        f"harmed {where('FDR of harmed')}; under Holm any false flag in {where('FWER of regressed, Holm')} and "
        f"{where('FWER of harmed, Holm')} of audits. Flags by the delta method: {worst('FDR of delta method')}.",
        f"**95 % intervals** hold the truth in {average('interval of change')} (change), "
        f"{average('interval of retention')} (retention) and {average('interval of balance')} (balance) of cases; "
        f"in the worst cell {where('interval of change')}{one_class('interval of change')}; "
        f"{where('interval of retention')}{one_class('interval of retention')}; and "
        f"{where('interval of balance')}{one_class('interval of balance')}; alpha's in {where('interval of alpha')}, "
        f"that of gaps in {where('interval of gaps')} and that of the spread of drops in {where('interval of tau')}.",
        f"**Power**: one class of 100 x 100 samples that lost 30 points is found in "
        f"{at('found regressed', drop, '100 x 100')} of audits; one that lost 10 "
        f"of 200 by McNemar's q in {at(paired, ten, '100 x 200')} (unpaired test: "
        f"{at('found by unpaired test', ten, '100 x 200')}); an unchanged class of 200 samples reads `fine` in "
        f"{at('found fine', 'nothing changed', '100 x 200')}; a spread of true drops of 2 points over 1,000 classes of "
        f"50 is seen in {at('tau = 0 rejected', '1000 x 50', 'mean drop 0')}.",
        f"**Identical pairs**: of {pairs}, {worst('identical pair fails')} fail a check. "
        f"{len(barred) - len(missed)} of {len(barred)} bars are met; `docs/calibration.md` says which "
        f"{len(missed)} {'is' if len(missed) == 1 else 'are'} not, by how much and why.",
    ]


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---"] * len(header)
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (header, rule, *lines)
    )


def _bar(row: Row) -> str:
    return "" if row.bar is None else f"at {row.sense} {_number(row.quantity, row.bar)}"


def _quantities(rows: Sequence[Row]) -> str:
    lines = []
    for quantity, meaning in MEANING.items():
        here = [row for row in rows if row.quantity == quantity and row.cell != MEAN]
        if not here:
            continue
        worst = _worst([row for row in here if row.bar is not None] or here)
        values = [row.value for row in here]
        bars = sorted({_bar(row) for row in here if row.bar is not None})
        barred = [row for row in here if row.bar is not None]
        missed = sum(row.verdict == "not met" for row in barred)
        verdict = "" if not bars else "met" if not missed else f"**not met in {missed} of {len(barred)}**"
        one_class = _worst_classes(here)
        lines.append(
            (
                quantity,
                meaning,
                " or ".join(bars) or "none",
                str(len(here)),
                _number(quantity, float(np.mean(values))),
                f"{_number(quantity, min(values))} to {_number(quantity, max(values))}",
                f"{worst.row}; {worst.cell}",
                "" if one_class is None else _number(quantity, one_class),
                verdict,
            )
        )
    places = ("worst or largest in", "worst class of any")
    return _table(("quantity", "what it is", "bar", "cells", "mean", "range", *places, "verdict"), lines)


def _missed(rows: Sequence[Row]) -> str:
    missed: dict[str, list[Row]] = {}
    for row in rows:
        if row.verdict == "not met":
            missed.setdefault(row.quantity, []).append(row)
    if not missed:
        return "None."
    lines = []
    for quantity, members in missed.items():
        barred = [row for row in rows if row.quantity == quantity and row.bar is not None]
        means = sum(row.cell == MEAN for row in members)
        of_means = sum(row.cell == MEAN for row in barred)
        counted = f"{len(members) - means} of {len(barred) - of_means} cells"
        if means:
            counted += f" and {means} of {of_means} means of rows"
        worst = max(members, key=lambda row: abs(row.value - (row.bar or 0)))
        lines.append(
            f"- **{quantity}**: {counted}. Worst {_number(quantity, worst.value)}, standard error "
            f"{_number(quantity, worst.error)}, bar {_bar(worst)} ({worst.row}; {worst.cell}). "
            f"{WHY.get(quantity, 'Not explained.')}"
        )
    return "\n".join(lines)


def _cells(rows: Sequence[Row]) -> str:
    """One line per cell, one column per quantity, of one section."""
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        text = _number(row.quantity, row.value).removesuffix(" %")
        text = f"**{text}**" if row.verdict == "not met" else text
        if row.worst is not None:
            text += f" ({_number(row.quantity, row.worst).removesuffix(' %')})"
        lines.setdefault((row.row, row.cell), {})[row.quantity] = text
    body = [(*names, *(found.get(quantity, "") for quantity in quantities)) for names, found in lines.items()]
    return _table(("row", "cell", *quantities), body)


def to_markdown(rows: Sequence[Row], minutes: int, absent: int = 0) -> str:
    """The page; ``absent`` cells of the grid have not been measured."""
    parts = [
        HOW.format(minutes=minutes, errors=ERRORS, enough=ENOUGH),
        BEFORE.format(absent=absent) if absent else "",
        "## In five lines\n",
        "\n".join(f"- {line}" for line in summary(rows)),
        "\n## Which bars are not met, by how much, and why\n",
        _missed(rows),
        "\n## Every quantity\n",
        _quantities(rows),
        f"\n## Every cell\n\nIn per cent, save {', '.join(PLAIN)}; in brackets the worst class. The means over rows of "
        f"the grid, with a bar of at least {100 * ROW_BAR:g} %, close each table.",
    ]
    for section in dict.fromkeys(row.section for row in rows):
        here = [row for row in rows if row.section == section]
        parts.append(f"\n### {section}\n\n{_cells(here)}")
    return "\n".join(part for part in parts if part) + "\n"
