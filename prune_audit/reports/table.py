"""The table (.txt, and what `compare` prints): who was compared, the classes worst first, and what it means in words.

Names are shown literally, never taken for markup, and nothing depends on colour. A file gets every class, since it
has no screen to fit.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table

from prune_audit.core import Audit, Comparison, Settings, View, lookup
from prune_audit.printable import printable
from prune_audit.render import class_table as classes
from prune_audit.render import consoles, rounded, wording
from prune_audit.render.bars import ASCII, LINES, Glyphs
from prune_audit.render.consoles import Text
from prune_audit.reports import _gate as gate
from prune_audit.reports import _looks as looks
from prune_audit.reports import _variants as variants
from prune_audit.reports._words import words as words_of

SUFFIXES = (".txt",)
WIDTH = 120  # of the file
NARROW = 88  # of a cell of a notebook
DIGEST = 12  # of the data's digest: enough to tell data sets apart by eye
ROWS = 20  # of a table on the screen, unless all are asked for
CHECKS = 8  # that are told under a gate, likewise


def render(audit: Audit) -> str:
    """The whole table as plain text."""
    return text(audit, consoles.Console(io.StringIO(), WIDTH, ROWS, colours=False), show_all=True)


def short(audit: Audit) -> str:
    """The table as `compare` prints it: the worst classes, and what to do next."""
    return text(audit, consoles.Console(io.StringIO(), NARROW, ROWS, colours=False)).rstrip("\n")


def text(audit: Audit, console: Console, *, show_all: bool = False) -> str:
    """The table as ``console`` would show it, without the blanks at the ends of its lines."""
    return plain(renderable(audit, show_all=show_all), console)


def plain(part: RenderableType, console: Console) -> str:
    """``part`` as ``console`` would show it, without the blanks at the ends of its lines."""
    with console.capture() as capture:
        console.print(part, crop=False)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def renderable(
    audit: Audit, *, show_all: bool = False, saved: str | None = None, brief: bool = False
) -> RenderableType:
    """The table for a rich console, fitted to its width.

    ``show_all`` prints every class; ``saved`` is where the audit lies as JSON, None where it does not. What is
    ``brief`` is for a job that judges: what changed, the strata that a finding or a check is about, and the verdict.
    """
    return _Report(audit, show_all, saved, brief and not show_all)


@dataclass(frozen=True, slots=True)
class _Report:
    audit: Audit
    show_all: bool
    saved: str | None
    brief: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        audit, width, glyphs = self.audit, options.max_width, ASCII if options.ascii_only else LINES
        yield from looks.opening(audit)
        if self.brief:
            yield from looks.changes(audit)
        yield from _head(audit, width, glyphs, self.brief)
        told = lookup.densest_first(audit.comparisons)
        if len(told) > 1:
            yield from _side_by_side(audit, width, glyphs, self.show_all)
            told = told if self.show_all else gate.telling(audit)
        for comparison in told:
            if self.brief:
                yield from _concerned(audit, comparison, width, glyphs)
            else:
                yield from _variant(audit, comparison, width, glyphs, self.show_all)
                yield from looks.sections(comparison, width, glyphs, self.show_all)
        if not told:
            said = f"Nothing is flagged in any variant; --all shows every {wording.task(audit).stratum[0]} of each."
            yield _below(Text(said, style="bold"))
        yield from _checks(audit, self.show_all)
        yield Text(gate.told(audit), style=classes.STYLES.get(audit.outcome, "bold"))
        if chosen := gate.sparsest(audit):
            yield Text(chosen, style="bold")
        for said, command in wording.next_steps(audit, self.saved):
            yield Text(printable(said))
            yield _Whole(printable(command))
        if self.brief:
            every = wording.task(audit).stratum[0]
            yield Text(f"--all shows every {every}, and how models and data were read", style="dim")


@dataclass(frozen=True, slots=True)
class _Whole:
    """A command, on a line that nothing breaks, however narrow the console, since people copy it."""

    command: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from (Segment(f"  {self.command}"), Segment.line())


def _below(part: RenderableType) -> RenderableType:
    return Padding(part, (0, 0, 1, 0))


def _grid(rows: list[tuple[str, str]]) -> RenderableType:
    """Names and what there is to say of them."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, said in rows:
        grid.add_row(Text(name), Text(printable(said)))
    return grid


def _head(audit: Audit, width: int, glyphs: Glyphs, brief: bool) -> Iterator[RenderableType]:
    """What was compared on what: models, data, preprocessing, notes; where it is ``brief``, data and notes alone."""
    p = audit.provenance
    if not brief:
        models = variants.models(audit)
        yield _below(classes.table(classes.fit(models, width), [False] * len(models[0].cells), glyphs))
    sampled = (
        f"{p.samples:,} of {p.available:,} samples" if p.limited else rounded.several(p.samples, *wording.things(audit))
    )
    view = lookup.by_class(audit.comparisons[0])
    of = f", {rounded.several(len(view.strata), *lookup.noun(view))}" if view else ""
    rows = [("data", f"{p.data}: {sampled}{of}, digest {p.data_digest[:DIGEST]}")]
    if not brief:
        rows += [("inputs", wording.inputs(audit))]
        rows += [("assumes", said) for said in wording.assumed(p.assumptions, wording.models(audit))]
        rows += [("scope", wording.scope(audit))]
        rows += [("density", said) for said in wording.densities(audit)]
        rows += [("counted", said) for said in wording.counted(audit)]
        rows += [("settled", said) for said in wording.sequential(audit)]
    rows += [("skipped", f"{sample}: {reason}") for sample, reason in p.skipped]
    rows += [("note", note) for note in p.notes]
    yield _below(_grid(rows))
    for doubt in audit.comparisons[0].doubts:
        yield _below(Text(f" {wording.doubted(audit, doubt)} ", style="bold reverse yellow"))
    if p.limited:
        said = f" A SAMPLE ONLY: {p.samples:,} of {p.available:,} samples were audited. This never gates. "
        yield _below(Text(said, style="bold reverse yellow"))


def _side_by_side(audit: Audit, width: int, glyphs: Glyphs, show_all: bool) -> Iterator[RenderableType]:
    """Several variants: a line for each, and the classes that break with the density at which they do."""
    lines = variants.summary(audit)
    yield _below(classes.table(classes.fit(lines, width), [False] * len(audit.comparisons), glyphs))
    broken = variants.broken(audit)
    shown = broken if show_all else broken[:ROWS]
    if not shown:
        return
    yield classes.table(classes.fit(variants.breaks(audit, shown), width), [False] * len(shown), glyphs)
    if len(broken) > len(shown):
        yield Text(f"{len(broken) - len(shown):,} more that break; --all shows them", style="dim")
    yield Text(variants.legend(audit), style="dim")
    yield Text()


def _variant(
    audit: Audit, comparison: Comparison, width: int, glyphs: Glyphs, show_all: bool
) -> Iterator[RenderableType]:
    """One pruned variant: accuracy, tables, model, words; of several, the rows that are flagged."""
    several = len(audit.comparisons) > 1
    settings = audit.provenance.settings
    yield _named(comparison)
    for view in comparison.views:
        rows, marks = lookup.worst_first(view), classes.flagged(view)
        shown = rows if show_all else rows[: min(ROWS, sum(marks)) if several and any(marks) else ROWS]
        if view.by != "class":
            yield Text(
                f"by {printable(view.by)}: {rounded.several(len(view.strata), *lookup.noun(view))}", style="bold"
            )
        else:
            yield from _accuracy(view, settings)
        yield Text()
        fitted = classes.fit(classes.columns(view, settings, shown, glyphs), width)
        yield classes.table(fitted, [marks[i] for i in shown], glyphs)
        if len(rows) > len(shown):
            more = sum(marks[i] for i in rows[len(shown) :])
            also = f", {more:,} of them flagged" if more else ""
            yield Text(f"{len(rows) - len(shown):,} more{also}; --all shows them", style="dim")
        yield Text()
        yield _below(_grid(_notes(view, settings, fitted, shown)))
        yield from _sentences(view, settings)
        yield Text()


def _concerned(audit: Audit, comparison: Comparison, width: int, glyphs: Glyphs) -> Iterator[RenderableType]:
    """Of one variant the accuracy, the strata that a finding or a check is about, and what that means in words."""
    settings = audit.provenance.settings
    yield _named(comparison)
    about = gate.subjects(audit, comparison)
    for view in comparison.views:
        marks = classes.flagged(view)
        rows = [i for i in lookup.worst_first(view) if marks[i] or lookup.subject(view, view.strata[i]) in about]
        yield from _accuracy(view, settings) if view.by == "class" else ()
        if rows:
            yield Text()
            fitted = classes.fit(classes.columns(view, settings, rows[:ROWS], glyphs), width)
            yield classes.table(fitted, [marks[i] for i in rows[:ROWS]], glyphs)
        if len(rows) > ROWS:
            yield Text(f"{len(rows) - ROWS:,} more; --all shows them", style="dim")
        yield Text()
        yield from _sentences(view, settings)
        yield Text()


def _named(comparison: Comparison) -> RenderableType:
    names = f"{printable(comparison.pruned.name)} against {printable(comparison.dense.name)}"
    return Rule(Text(names, style="bold"), align="left", style="dim")


def _accuracy(view: View, settings: Settings) -> Iterator[RenderableType]:
    """What both models have of all samples, where it may be told."""
    before, after = (lookup.find(view, name) for name in ("dense_recall", "pruned_recall"))
    if before and after:
        was, now = (rounded.percent_sign(measure.overall, 2) for measure in (before, after))
        yield Text(f"{lookup.overall_rate(view)} {was} -> {now}, change {wording.change_of_accuracy(view, settings)}")


def _sentences(view: View, settings: Settings) -> Iterator[RenderableType]:
    """What the verdicts of a view come to."""
    whole = (wording.fall(view, settings), wording.collapse(view)) if view.by == "class" else ()
    for sentence in (*whole, wording.drops(view, settings), wording.distortions(view, settings)):
        if sentence:
            yield Text(sentence, style="bold")


def _notes(view: View, settings: Settings, fitted: classes.Fit, rows: list[int]) -> list[tuple[str, str]]:
    """What the model as a whole did, and why there are dashes."""
    notes = wording.model(view, settings)
    meanings = [f"{column.title}: {column.meaning}" for column in fitted.columns if column.meaning]
    task = view.pair.task
    recall, within = task.rates[0], task.rate(view.by)
    recall = recall if within == recall else f"{recall} (within a group: {within})"
    if len(rows) > 1 and not view.pair.same_model:
        notes.append(("rows", wording.ordered(view)))
    shown = "change in points" if lookup.find(view, "dense_recall") is None else f"{recall} in %, change in points"
    if view.by != "class" and settings.weights is not None:
        meanings.append("groups are as they were sampled, without --weights")
    notes.append(("columns", "; ".join([shown, *meanings])))
    if any(column.measure == "distortion" for column in fitted.columns) and (said := words_of(view, rows, settings)):
        notes.append(("words", said))
    for reason, strata in classes.dashes(view, fitted, rows).items():
        notes.append((rounded.DASH, f"{reason} ({rounded.listed(strata)})"))
    return notes


def _checks(audit: Audit, show_all: bool) -> Iterator[RenderableType]:
    """The checks that did not pass or were waived, the worst first."""
    if audit.policy is None or audit.provenance.limited:
        return
    several = len(audit.comparisons) > 1
    told = gate.notable(audit, ("failed", "waived", "inconclusive"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3 + several):
        grid.add_column(overflow="fold")
    for name, check in told if show_all else told[:CHECKS]:
        said = "warning" if check.level == "warn" and check.outcome != "waived" else check.outcome
        cells = [check.rule, *([name] if several else []), check.subject, check.message]
        grid.add_row(Text(said, style=classes.STYLES.get(said, "")), *(Text(printable(cell)) for cell in cells))
    if told:
        yield grid
    if len(told) > CHECKS and not show_all:
        yield Text(f"{len(told) - CHECKS:,} more; --all shows them", style="dim")
    if told:
        yield Text()
