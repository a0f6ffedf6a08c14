"""The table (.txt, and what `compare` prints): who was compared, the classes worst first, and what it means in words.

Names are shown literally, never taken for markup, and nothing depends on colour. A file gets every class, since it
has no screen to fit.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from prune_audit.core import Audit, Comparison, Settings, Value, View
from prune_audit.reports import _classes as classes
from prune_audit.reports import _gate as gate
from prune_audit.reports import _words as w
from prune_audit.reports._classes import Column

SUFFIXES = (".txt",)
WIDTH = 120  # of the file
DIGEST = 12  # of the data's digest: enough to tell data sets apart by eye
ROWS = 20  # of a table on the screen, unless all are asked for
CHECKS = 8  # that are told under a gate, likewise


def render(audit: Audit) -> str:
    """The whole table as plain text."""
    console = Console(file=io.StringIO(), width=WIDTH, height=ROWS, color_system=None)
    return text(audit, console, show_all=True)


def text(audit: Audit, console: Console, *, show_all: bool = False) -> str:
    """The table as ``console`` would show it, without the blanks at the ends of its lines."""
    with console.capture() as capture:
        console.print(renderable(audit, show_all=show_all))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def renderable(audit: Audit, *, show_all: bool = False) -> RenderableType:
    """The table for a rich console, fitted to its width; ``show_all`` prints every class."""
    return _Report(audit, show_all)


@dataclass(frozen=True, slots=True)
class _Report:
    audit: Audit
    show_all: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        audit = self.audit
        yield from _head(audit)
        if len(audit.comparisons) > 1:
            yield _below(_summary(audit, options.max_width))
        for comparison in audit.comparisons:
            yield from _variant(audit, comparison, options.max_width, self.show_all)
        yield from _checks(audit, self.show_all)
        yield Text(gate.told(audit), style=classes.STYLES.get(audit.outcome, "bold"))


def _below(part: RenderableType) -> RenderableType:
    return Padding(part, (0, 0, 1, 0))


def _grid(rows: list[tuple[str, str]]) -> RenderableType:
    """Names and what there is to say of them."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, said in rows:
        grid.add_row(Text(name), Text(w.printable(said)))
    return grid


def _head(audit: Audit) -> Iterator[RenderableType]:
    """What was compared on what: models, data, preprocessing, notes."""
    p = audit.provenance
    dense = audit.comparisons[0].dense
    sampled = f"{p.samples:,} of {p.available:,} samples" if p.limited else w.several(p.samples, "sample")
    view = w.by_class(audit.comparisons[0])
    of = f", {w.several(len(view.strata), 'class', 'classes')}" if view else ""
    rows = [("dense", f"{dense.name}: {dense.format}, {w.weights(dense)}")]
    rows += [("pruned", f"{c.pruned.name}: {c.pruned.format}, {w.weights(c.pruned)}") for c in audit.comparisons]
    rows += [("data", f"{p.data}: {sampled}{of}, digest {p.data_digest[:DIGEST]}")]
    rows += [("inputs", p.preprocess.describe() if p.preprocess else "fed as they are")]
    rows += [("asked", w.question(audit))]
    rows += [("counted", said) for said in w.counted(p.settings)]
    rows += [("skipped", f"{sample}: {reason}") for sample, reason in p.skipped]
    rows += [("note", note) for note in p.notes]
    yield _below(_grid(rows))
    if p.limited:
        said = f" A SAMPLE ONLY: {p.samples:,} of {p.available:,} samples were audited. This never gates. "
        yield _below(Text(said, style="bold reverse yellow"))


def _summary(audit: Audit, width: int) -> RenderableType:
    """One line for each of several variants."""
    views = [w.by_class(comparison) for comparison in audit.comparisons]
    densities = [comparison.pruned.density for comparison in audit.comparisons]

    def overall(name: str) -> list[Value]:
        found = [w.find(view, name) for view in views]
        return [measure.overall if measure else None for measure in found]

    def counted(name: str, verdicts: Collection[str]) -> tuple[str, ...]:
        return tuple(f"{len(w.those(v, name, verdicts)):,}" if v and w.find(v, name) else w.DASH for v in views)

    columns = [
        Column(title="variant", cells=tuple(w.printable(c.pruned.name) for c in audit.comparisons), rank=0),
        Column(title="density", cells=tuple(w.DASH if d is None else f"{100 * d:.4g} %" for d in densities), rank=3),
        Column(title="accuracy", cells=tuple(w.percent_sign(value, 2) for value in overall("pruned_recall")), rank=4),
        Column(title="change,\npoints", cells=tuple(w.points(value, 2) for value in overall("change")), rank=1),
        Column(title="regressed", cells=counted("verdict", [w.REGRESSED]), rank=0),
        Column(title="drop:\ncannot tell", cells=counted("verdict", [w.CANNOT_TELL]), rank=1),
        Column(title="harmed", cells=counted("distortion", w.HARMED), rank=0),
        Column(title="harm:\ncannot tell", cells=counted("distortion", [w.CANNOT_TELL]), rank=2),
    ]
    if audit.policy is not None:
        outcomes = tuple(gate.outcome_of(audit, comparison) for comparison in audit.comparisons)
        columns.append(Column(title="gate", cells=outcomes, rank=0, number=False))
    return classes.table(classes.fit(tuple(columns), width), [False] * len(views))


def _variant(audit: Audit, comparison: Comparison, width: int, show_all: bool) -> Iterator[RenderableType]:
    """One pruned variant: accuracy, tables, model, words."""
    settings = audit.provenance.settings
    names = f"{w.printable(comparison.pruned.name)} against {w.printable(comparison.dense.name)}"
    yield Rule(Text(names, style="bold"), align="left", style="dim")
    for view in comparison.views:
        rows = w.worst_first(view)
        shown = rows if show_all else rows[:ROWS]
        before, after = (w.find(view, name) for name in ("dense_recall", "pruned_recall"))
        if view.by != "class":
            yield Text(f"by {w.printable(view.by)}: {w.several(len(view.strata), *w.noun(view))}", style="bold")
        elif before and after:
            yield Text(
                f"accuracy {w.percent_sign(before.overall, 2)} -> {w.percent_sign(after.overall, 2)}, "
                f"change {w.change_of_accuracy(view, settings)}"
            )
        yield Text()
        fitted = classes.fit(classes.columns(view, settings, shown), width)
        marks = classes.flagged(view)
        yield classes.table(fitted, [marks[i] for i in shown])
        if len(rows) > len(shown):
            more = sum(marks[i] for i in rows[len(shown) :])
            also = f", {more:,} of them flagged" if more else ""
            yield Text(f"{len(rows) - len(shown):,} more{also}; --all shows them", style="dim")
        yield Text()
        yield _below(_grid(_notes(view, settings, fitted, shown)))
        whole = (w.fall(view, settings), w.collapse(view)) if view.by == "class" else ()
        for sentence in (*whole, w.drops(view, settings), w.distortions(view, settings)):
            if sentence:
                yield Text(sentence, style="bold")
        yield Text()


def _notes(view: View, settings: Settings, fitted: classes.Fit, rows: list[int]) -> list[tuple[str, str]]:
    """What the model as a whole did, and why there are dashes."""
    notes = w.model(view, settings)
    meanings = [f"{column.title}: {column.meaning}" for column in fitted.columns if column.meaning]
    recall = "recall" if view.by == "class" else "recall (within a group: accuracy)"
    if view.by != "class" and settings.weights is not None:
        meanings.append("groups are as they were sampled, without --weights")
    notes.append(("columns", "; ".join([f"{recall} in %, change in points", *meanings])))
    for reason, strata in classes.dashes(view, fitted, rows).items():
        notes.append((w.DASH, f"{reason} ({w.listed(strata)})"))
    return notes


def _checks(audit: Audit, show_all: bool) -> Iterator[RenderableType]:
    """The checks that did not pass, the worst first."""
    if audit.policy is None or audit.provenance.limited:
        return
    several = len(audit.comparisons) > 1
    told = gate.notable(audit)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3 + several):
        grid.add_column(overflow="fold")
    for name, check in told if show_all else told[:CHECKS]:
        said = "warning" if check.level == "warn" else check.outcome
        cells = [check.rule, *([name] if several else []), check.subject, check.message]
        grid.add_row(Text(said, style=classes.STYLES.get(said, "")), *(Text(w.printable(cell)) for cell in cells))
    if told:
        yield grid
    if len(told) > CHECKS and not show_all:
        yield Text(f"{len(told) - CHECKS:,} more; --all shows them", style="dim")
    if told:
        yield Text()
