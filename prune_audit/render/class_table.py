"""The rows of the table: the classes worst first, in the columns for which there is room.

A column has a rank of need. Those least needed go until the rest fits the width at hand, so that the same code serves
80 columns and 200, two classes and a thousand, short names and long ones; the verdict has rank 0 and never goes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table

from prune_audit.core import CANNOT_TELL, FINE, HARMED, REGRESSED, Settings, Value, View, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.bars import LEAST, MOST, Glyphs, bar
from prune_audit.render.consoles import Text

STYLES = {
    **dict.fromkeys((REGRESSED, *map(wording.paid, HARMED), "failed"), "bold red"),
    **dict.fromkeys((CANNOT_TELL, "inconclusive"), "yellow"),
    **dict.fromkeys((FINE, "passed"), "green"),
}
ESSENTIAL = 4  # columns of this rank or below are worth wrapped names
CRAMPED = 6  # ... and of this one or below, narrow gaps
WRAPPED = 40  # the least that a column of sentences is worth showing in
NARROW, NAME = 12, 32  # width at which names wrap where room is short, and where it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column, its cells row by row, and the measure that it shows; the higher its ``rank``, the sooner it goes.

    ``bars`` are the recalls of both models, row by row, of a column that draws them.
    """

    title: str
    cells: tuple[str, ...]
    rank: int
    number: bool = True
    measure: str = ""
    meaning: str = ""
    wraps: bool = False
    bars: tuple[tuple[Value, Value], ...] = ()

    @property
    def width(self) -> int:
        """The terminal cells that it needs: its natural width, or less where it may wrap."""
        natural = max(cell_len(text) for text in (*self.title.splitlines(), *self.cells))
        natural = max(natural, LEAST) if self.bars else natural
        return min(natural, WRAPPED) if self.wraps else natural


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The columns for which there is room, the blanks between them, and what is left for the names and for bars."""

    columns: tuple[Column, ...]
    gap: int
    name: int
    bar: int = LEAST


def flagged(view: View) -> list[bool]:
    """Which strata are findings."""
    verdicts = zip(lookup.column(view, "verdict"), lookup.column(view, "distortion"), strict=True)
    return [verdict == REGRESSED or distortion in HARMED for verdict, distortion in verdicts]


def columns(view: View, settings: Settings, rows: list[int], glyphs: Glyphs) -> tuple[Column, ...]:
    """Every column that the view has something for, in the order of the table, for the strata at ``rows``."""
    pair, rate = view.pair, view.pair.task.rates[0]
    change = lookup.find(view, "change")
    limits = zip(change.low, change.high, strict=True) if change else ()
    names = {"stratum": [printable(name) for name in view.strata]}
    counts = {name: [f"{n:,}" for n in getattr(pair, name).tolist()] for name in ("support", "lost", "gained")}
    intervals = {"interval": [rounded.between(low, high) for low, high in limits]}
    made = names | counts | intervals
    kind = "sequence" if pair.sequential else "interval"
    meaning = "of the change, in points; holds at any time" if pair.sequential else ""
    lost, gained = "dense right, pruned wrong", "dense wrong, pruned right"
    detectable = f"the smallest loss that so many {lookup.things(view)[1]} would show"
    shared = (
        ("ties", "pruned_ties", rounded.count, 6, "samples whose highest pruned score several classes share"),
        ("ties shared", "change_ties_shared", rounded.points, 5, "the change if such ties were shared equally"),
    )
    plan = (
        (lookup.heading(view), "stratum", str, 0, ""),
        ("n", "support", str, 4, lookup.things(view)[1]),
        (f"dense\n{rate}", "dense_recall", rounded.percent, 3, ""),
        ("bar", "bar", str, 5, glyphs.legend),
        (f"pruned\n{rate}", "pruned_recall", rounded.percent, 3, ""),
        ("change", "change", rounded.points, 1, ""),
        (f"{rounded.limit(settings.confidence)} % {kind}", "interval", str, 2, meaning),
        *(shared if pair.ties is not None else ()),
        ("lost", "lost", str, 6, lost),
        ("gained", "gained", str, 6, gained),
        ("spared", "samples_spared", rounded.count, 5, "samples that were there and were not run"),
        ("e regressed", "e_regressed", rounded.ratio, 7, "what bets on a drop beyond the margin have made of 1"),
        ("e fine", "e_fine", rounded.ratio, 7, "what bets on a drop below the assurance limit have made of 1"),
        ("q", "q_value", rounded.probability, 8, "corrected p-value of no change at all"),
        ("detectable", "detectable_drop", rounded.percent, 9, detectable),
        ("retention", "retention", rounded.ratio, 7, f"{rate} kept, relative to what the rest kept"),
        ("I_c", "intensification", rounded.ratio, 10, f"pruned over dense {rate} balance"),
        ("dense AP", "dense_average_precision", rounded.percent, 11, "COCO's average precision, which is not judged"),
        ("pruned AP", "pruned_average_precision", rounded.percent, 11, ""),
        ("verdict", "verdict", rounded.label, 0, ""),
        ("paid more\nthan rest?", "distortion", wording.paid, 1, ""),
        ("why", "reason", rounded.label, 11, ""),
    )
    found = []
    both = tuple(zip(lookup.column(view, "dense_recall"), lookup.column(view, "pruned_recall"), strict=True))
    for title, name, shown, rank, meaning in plan:
        if name == "bar" and lookup.find(view, "dense_recall") and lookup.find(view, "pruned_recall"):
            drawn = tuple(both[i] for i in rows)
            found.append(Column(title=title, cells=(), rank=rank, number=False, meaning=meaning, bars=drawn))
        values = made.get(name) or (lookup.column(view, name) if lookup.find(view, name) else None)
        if name == "change" and pair.sequential:  # there is but the sequence
            continue
        if values:
            found.append(
                Column(
                    title=title,
                    cells=tuple(shown(values[i]) for i in rows),
                    rank=rank,
                    number=shown not in (rounded.label, wording.paid),
                    measure=name,
                    meaning=meaning,
                    wraps=name == "reason",
                )
            )
    return tuple(found)


def fit(candidates: tuple[Column, ...], width: int) -> Fit:
    """Drop the columns least needed until the rest fits ``width``; the first one holds the names."""
    natural = candidates[0].width

    def room(kept: list[Column], gap: int, name: int) -> int:
        return min(name, natural) + sum(gap + column.width for column in kept[1:])

    for last in sorted({column.rank for column in candidates}, reverse=True):
        kept = [column for column in candidates if column.rank <= last]
        name = NAME if last > ESSENTIAL else NARROW
        gap = 2 if last > CRAMPED or room(kept, 2, name) <= width else 1
        # Sentences would take the room that makes bars long, so they come only where there is enough for both.
        both = any(column.wraps for column in kept) and any(column.bars for column in kept)
        if room(kept, gap, name) + (MOST - LEAST if both else 0) <= width:
            break
    spare = width - room(kept, gap, 0)
    drawn = min(MOST, LEAST + max(0, spare - natural)) if any(column.bars for column in kept) else LEAST
    return Fit(columns=tuple(kept), gap=gap, name=max(NARROW, spare - (drawn - LEAST)), bar=drawn)


def table(fitted: Fit, marked: list[bool], glyphs: Glyphs, breaks: Collection[int] = ()) -> Table:
    """The rows in the columns of ``fitted``; those that are marked come first and are set apart.

    Where rows belong together, ``breaks`` are the positions of the last ones.
    """
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, fitted.gap - 1, 0, 0))
    for n, column in enumerate(fitted.columns):
        grid.add_column(
            Text(column.title, style="bold"),
            justify="right" if n and column.number else "left",
            no_wrap=n > 0 and not column.wraps,
            max_width=None if n else fitted.name,
            overflow="fold",
        )
    for line, mark in enumerate(marked):
        cells = []
        for n, column in enumerate(fitted.columns):
            if column.bars:
                cells.append(bar(*column.bars[line], fitted.bar, glyphs))
            else:
                cell = column.cells[line]
                cells.append(Text(cell, style=STYLES.get(cell, "") if n else "bold" if mark else ""))
        grid.add_row(*cells)
        if line in breaks or (mark and not all(marked[: line + 2])):
            grid.add_section()
    return grid


def dashes(view: View, fitted: Fit, rows: list[int]) -> dict[str, list[str]]:
    """Why there are dashes in the ``rows`` shown: reason -> all strata that it holds for, cut ones too.

    What stands before the colon of a reason is common to the strata, what stands behind it belongs to one.
    """
    found: dict[str, dict[str, None]] = {}
    for column in fitted.columns:
        measure = lookup.find(view, column.measure)
        if measure:
            for i in sorted(measure.absent):
                found.setdefault(measure.absent[i].partition(":")[0], {})[view.strata[i]] = None
    shown = {view.strata[i] for i in rows}
    return {reason: list(strata) for reason, strata in found.items() if shown & strata.keys()}
