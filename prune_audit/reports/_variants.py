"""Models and variants side by side: what pruning bought, what each variant lost, and where each class breaks.

Variants stand in the order of their density, the densest first, because that is the question that is put to them: how
far can one go. A class breaks at the first variant in which it regressed or is harmed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prune_audit.core import CANNOT_TELL, HARMED, REGRESSED, Audit, Value, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.class_table import Column, flagged
from prune_audit.reports import _gate as gate

BROKEN, UNSURE = " !", " ?"


def legend(audit: Audit) -> str:
    """What `breaks` shows."""
    change = "the change is at most, in points" if _sequential(audit) else "change in points"
    return f"{change}; ! regressed or harmed, ? cannot tell"


def _sequential(audit: Audit) -> bool:
    return any(view.pair.sequential for comparison in audit.comparisons for view in comparison.views)


def models(audit: Audit) -> tuple[Column, ...]:
    """What pruning bought: one row for the dense model and for each variant."""
    cards = [audit.comparisons[0].dense, *(c.pruned for c in lookup.densest_first(audit.comparisons))]
    nonzero = [card.nonzero if card.layers else None for card in cards]

    def column(title: str, cells: Sequence[str], rank: int, *, number: bool = True) -> list[Column]:
        known = any(cell != rounded.DASH for cell in cells)
        return [Column(title=title, cells=tuple(cells), rank=rank, number=number)] if known else []

    return (
        Column(title="model", cells=tuple(printable(card.name) for card in cards), rank=0),
        *column("format", [printable(card.format) for card in cards], 3, number=False),
        *column("density", [wording.density(card) for card in cards], 1),
        *column("nonzero", [rounded.short(n) for n in nonzero], 2),
        *column("MACs", [rounded.short(card.macs) for card in cards], 4),
        *column("size", [rounded.short(card.size or None, "B") for card in cards], 5),
        *column("zstd", [rounded.short(card.compressed, "B") for card in cards], 6),
    )


def summary(audit: Audit) -> tuple[Column, ...]:
    """What each variant lost: one row for each."""
    comparisons = lookup.densest_first(audit.comparisons)
    views = [lookup.by_class(comparison) for comparison in comparisons]
    worst = [wording.worst(view) for view in views]
    one = wording.task(audit).stratum[0]

    def overall(name: str) -> list[Value]:
        return [lookup.overall(view, name) for view in views]

    def counted(name: str, verdicts: Collection[str]) -> tuple[str, ...]:
        return tuple(
            f"{len(lookup.those(v, name, verdicts)):,}" if v and lookup.find(v, name) else rounded.DASH for v in views
        )

    columns = [
        Column(title="variant", cells=tuple(printable(c.pruned.name) for c in comparisons), rank=0),
        Column(title="density", cells=tuple(wording.kept(c) for c in comparisons), rank=2),
        Column(
            title=lookup.overall_rate(views[0]).replace(" ", "\n"),
            cells=tuple(rounded.percent_sign(value, 2) for value in overall("pruned_recall")),
            rank=4,
        ),
        Column(title="change,\npoints", cells=tuple(rounded.points(value, 2) for value in overall("change")), rank=1),
        Column(title="alpha", cells=tuple(rounded.ratio(value) for value in overall("intensification")), rank=5),
        Column(title="regressed", cells=counted("verdict", [REGRESSED]), rank=0),
        Column(title="drop:\ncannot tell", cells=counted("verdict", [CANNOT_TELL]), rank=6),
        Column(title="harmed", cells=counted("distortion", HARMED), rank=0),
        Column(title="harm:\ncannot tell", cells=counted("distortion", [CANNOT_TELL]), rank=7),
        Column(
            title=f"worst {one}",
            cells=tuple(f"{_short(printable(each[0]))} {each[1]}" if each else rounded.DASH for each in worst),
            rank=3,
            number=False,
        ),
    ]
    if _sequential(audit):  # which knows verdicts alone
        columns = [column for column in columns if any(cell != rounded.DASH for cell in column.cells)]
    if audit.policy is not None:
        outcomes = tuple(gate.short_outcome(audit, comparison) for comparison in comparisons)
        columns.append(Column(title="gate", cells=outcomes, rank=0, number=False))
    return tuple(columns)


def broken(audit: Audit) -> list[str]:
    """The classes that regressed or are harmed in any variant: those that break at the densest one first."""
    found: dict[str, None] = {}
    for comparison in lookup.densest_first(audit.comparisons):
        if view := lookup.by_class(comparison):
            marks = flagged(view)
            found |= {view.strata[i]: None for i in lookup.worst_first(view) if marks[i]}
    return list(found)


def breaks(audit: Audit, strata: Sequence[str]) -> tuple[Column, ...]:
    """Each of ``strata`` by variant: its change, and the density at which it breaks."""
    comparisons = lookup.densest_first(audit.comparisons)
    columns, at = [], dict.fromkeys(strata, rounded.DASH)
    for n, comparison in enumerate(comparisons):
        view = lookup.by_class(comparison)
        if view is None:
            continue
        position, marks = {stratum: i for i, stratum in enumerate(view.strata)}, flagged(view)
        changes, verdicts = lookup.moves(view), lookup.column(view, "verdict")
        cells = []
        for stratum in strata:
            i = position[stratum]
            mark = BROKEN if marks[i] else UNSURE if verdicts[i] == CANNOT_TELL else "  "
            cells.append(rounded.points(changes[i]) + mark)
            if marks[i] and at[stratum] == rounded.DASH:
                at[stratum] = (
                    wording.kept(comparison) if comparison.kept is not None else printable(comparison.pruned.name)
                )
        title = _short(printable(comparison.pruned.name))
        if comparison.kept is not None:
            title += f"\n{wording.kept(comparison)}"
        columns.append(Column(title=title, cells=tuple(cells), rank=1 + len(comparisons) - n))
    names = tuple(printable(stratum) for stratum in strata)
    return (
        Column(title=wording.task(audit).stratum[0], cells=names, rank=0),
        *columns,
        Column(title="breaks at", cells=tuple(at.values()), rank=0),
    )


def _short(name: str, most: int = 16) -> str:
    """A name that has a column to share."""
    return name if len(name) <= most else f"{name[: most - 3]}..."
