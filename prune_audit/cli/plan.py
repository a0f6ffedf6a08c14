"""prune-audit plan: how many samples it takes, before an audit and after one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g
from prune_audit.errors import UsageError

if TYPE_CHECKING:
    from prune_audit.planning import Design, ShoppingList

Saved = Annotated[
    Path | None,
    typer.Argument(
        metavar="AUDIT", help="An audit.json that left classes undecided; without it, --classes.", show_default=False
    ),
]
Power = Annotated[
    float,
    typer.Option(
        metavar="PERCENT", help="How many of 100 audits are to reach the verdict with so many samples: 50 or more."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What is planned for where there is no audit yet."""

    PANEL: ClassVar[str] = "Before there are data"

    classes: Annotated[int | None, typer.Option(metavar="N", help="Number of classes that the audit is to be of.")] = (
        None
    )
    limit: Annotated[
        float,
        typer.Option(
            metavar="POINTS",
            help="A class is 'fine' when a loss of this size is ruled out: what `compare` calls --assure.",
        ),
    ] = 5
    churn: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            help="How many of 100 samples of an unchanged class flip, half of them lost and half gained.",
        ),
    ] = 6
    margin: g.Margin = None
    confidence: g.Confidence = None
    correction: g.Corrected = None

    def design(self, power: float) -> Design:
        """What these options ask a plan for."""
        from prune_audit.core import Settings
        from prune_audit.planning import Design

        if self.classes is None:
            raise UsageError(
                "there is nothing to plan for", hint="name a finished audit.json, or say how many classes: --classes 10"
            )
        limit = o.points("--limit", self.limit)
        margin = Settings().margin if self.margin is None else o.points("--margin", self.margin)
        if 0 < limit < margin:
            raise UsageError(
                f"--limit {self.limit:g} is below the margin of {100 * margin:g} points",
                hint=f"what is fine cannot have regressed: give --margin {self.limit:g}, too",
            )
        settings = Settings(margin=min(margin, limit), assure=limit)
        if self.confidence is not None:
            settings = replace(settings, confidence=self.confidence)
        if self.correction is not None:
            settings = replace(settings, correction=self.correction)
        return Design(classes=self.classes, churn=self.churn / 100, power=power, settings=settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What is planned for after an audit."""

    PANEL: ClassVar[str] = "After an audit"

    budget: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Say on which classes N further samples are best spent: so that most of them are settled."
        ),
    ] = None
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="Plan for the values of this column, which the audit is by.")
    ] = "class"

    def list(self, saved: Path, power: float) -> ShoppingList:
        """What the ``saved`` audit lacks."""
        from prune_audit import document, gate, planning

        audit = gate.mended(document.read_audit(saved))
        return planning.shopping(audit, by=o.views([self.by])[0], power=power, budget=self.budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is written and printed."""

    PANEL: ClassVar[str] = o.OUTPUT

    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Write the plan to this file, .csv or .md; repeats."),
    ] = None
    dialect: o.Spreadsheet = None
    shown: o.Shown


def run(
    context: typer.Context,
    ahead: Ahead,
    behind: Behind,
    written: Written,
    audit: Saved = None,
    power: Power = 80,
) -> None:
    """Say how many samples it takes: for so many classes before an audit, or to settle what an audit left undecided.

    Before there are data: the samples a class so that one that did not change reads fine, so that all of them do, and
    the smallest drop that will then read regressed. After an audit: a shopping list, which classes need how many more.

    Every outcome is counted out by the rules that `compare` judges by; nothing is simulated, and what is taken for
    granted is printed with the option that sets it.

    Example: prune-audit plan --classes 100 --limit 5 --churn 6

    Example: prune-audit plan audit.json --budget 500 -o shopping.csv
    """
    from prune_audit import planning
    from prune_audit.cli import _terminal
    from prune_audit.planning import writing

    paths, dialects = written.output or [], o.dialects(written.dialect, "csv")
    writing.check(paths)
    o.apart(paths, [audit])
    if audit is None:
        _only(context, ("budget", "by"), "there is no audit", "name one, or leave it out")
        sheet = writing.of_plan(planning.plan(ahead.design(power / 100)))
    else:
        judge = "judge it by another limit first: `prune-audit check AUDIT --assure 3 -o again.json`"
        ahead_of = ("classes", "limit", "churn", "margin", "confidence", "correction")
        _only(context, ahead_of, "the audit says that of itself", judge)
        sheet = writing.of_list(behind.list(audit, power / 100))
    for path in paths:
        writing.write(sheet, path, dialects)
    if not written.shown.quiet:
        with _terminal.printing() as out:
            out.print(writing.renderable(sheet, out.width, show_all=written.shown.show_all))


def _only(context: typer.Context, others: tuple[str, ...], why: str, hint: str) -> None:
    """Refuse options of the ``others``, which mean nothing here."""
    for name in others:
        if (flag := g.origin(context, name)) is not None and flag.startswith("--"):
            raise UsageError(f"{flag}: {why}", hint=hint)
