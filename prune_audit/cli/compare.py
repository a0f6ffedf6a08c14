"""prune-audit compare: dense against pruned, class by class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g

if TYPE_CHECKING:
    from prune_audit.core import Audit, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What is known of the models."""

    PANEL: ClassVar[str] = o.MODELS

    outputs: o.Outputs
    expected: g.Expected
    no_plausibility: Annotated[
        bool,
        typer.Option(
            "--no-plausibility",
            help="Do not try on a few hundred samples whether another usual preprocessing fits the dense model better.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What is measured."""

    PANEL: ClassVar[str] = g.STATISTICS

    losses: g.Losses
    top_k: Annotated[
        int, typer.Option(metavar="K", help="Also count samples whose label is among the K highest scores.")
    ] = 5
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Audit the values of a column, too; class,COLUMN crosses it with the classes; repeats.",
        ),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of what samples belong to where they are not independent: a person, a film.",
        ),
    ] = None
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Share of each class in use (CSV class,weight or JSON): weighs accuracy, never recalls.",
        ),
    ] = None
    tests: g.Tests

    def laid_over(self, settings: Settings, context: typer.Context) -> Settings:
        """``settings`` with these statistics."""
        from prune_audit import data

        return replace(
            g.laid_over(settings, self.losses, self.tests, context),
            top_k=self.top_k,
            by=o.views(self.by),
            cluster=self.cluster,
            weights=data.weights(self.weights) if self.weights is not None else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """Whether the run ends by itself."""

    PANEL: ClassVar[str] = o.RUN

    until_settled: Annotated[
        bool,
        typer.Option(
            "--until-settled",
            help="Draw samples of each class until it has regressed or is fine for every variant, and stop there: "
            "its verdicts may be looked at all the while. --limit N is then the most samples to run. What takes the "
            "number of samples for fixed is left out (accuracy, alpha, harm), and its rules are inconclusive.",
        ),
    ] = False
    append: Annotated[
        Path | None,
        typer.Option(
            metavar="AUDIT",
            help="Add newly labelled --data to the audit.json of an earlier run with --until-settled, of the same "
            "models, classes and limits, and go on where it stopped; samples that it saw are refused.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether and how the audit is judged, and judged again."""

    PANEL: ClassVar[str] = g.GATE

    gate: Annotated[
        bool,
        typer.Option(
            "--gate",
            envvar=f"{g.PREFIX}GATE",
            show_envvar=False,
            help="Judge by the project's policy, or by the default one: exit with 1 when a check fails.",
        ),
    ] = False
    asked: g.Asked
    exit_zero: g.ExitZero = False
    confirm: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Judge the sparsest variant that passes again, on these fresh data; asks for a gate. The exit code is "
            "of both: 1 where any variant failed on either data. Reports go to NAME.confirm.SUFFIX beside the others.",
        ),
    ] = None
    confirm_only: Annotated[
        bool,
        typer.Option(
            "--confirm-only",
            help="With --confirm: exit with the code of the variant that was confirmed, by what the fresh data say of "
            "it, whatever else failed. Where none passes the gate, the code is as without.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What is written and printed."""

    PANEL: ClassVar[str] = o.OUTPUT

    logged: o.Logged
    shown: o.Shown
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print how the run went, and the versions of libraries.")
    ] = False
    thumbnails: o.Thumbnails = 0
    flips: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Samples of each variant that only one model gets right, of which the audit lists up to N. Unless "
            "given: 200, and all where -o flips.csv asks for the list.",
        ),
    ] = None
    reproducible: Annotated[
        bool,
        typer.Option("--reproducible", help="Leave out how the run went, so that equal runs write equal files."),
    ] = False


DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check on a few hundred samples whether everything fits, and stop.", rich_help_panel=o.RUN
    ),
]


def run(
    context: typer.Context,
    dense: o.Dense,
    pruned: o.Pruned,
    *,
    data: o.DataIfAny = None,
    counting: o.Counting,
    of_models: Models,
    reading: o.Reading,
    sample: o.Sample,
    sequential: Sequential,
    statistics: Statistics,
    judging: Gate,
    output: Output,
    running: o.Running,
    pinned: o.Pinned,
    progress: o.Watched = "auto",
    dry_run: DryRun = False,
) -> int:
    """Compare a dense model with pruned variants, class by class, on labelled data.

    Every sample is decoded once and shown to all models, and no prediction is made twice: what earlier runs predicted
    is read back. A model may also be a file of predictions that were made elsewhere. Without --gate or --policy the
    audit is reported and the exit code is 0.

    Without --data the recorded answers of the dense model say what was asked, as those of language models do.

    Example: prune-audit compare dense.pt pruned.onnx --data val/ -o audit.json --gate
    """
    from prune_audit import data as labelled
    from prune_audit import models
    from prune_audit.errors import UsageError

    shown, written = output.shown, output.logged.reports
    if judging.confirm_only and judging.confirm is None:
        raise UsageError("--confirm-only: there is nothing to confirm", hint="name fresh data with --confirm DATA")
    if judging.confirm is not None and data is None:
        raise UsageError("--confirm: there are no other data to choose by", hint="name these with --data")
    if judging.confirm is not None:  # it is read after the long run, and the path should not be wrong then
        labelled.must_be(judging.confirm, "--confirm")
    counted = counting.settings()
    settings = replace(
        statistics.laid_over(o.settings(of_models.outputs, sample, running), context),
        plausibility=not of_models.no_plausibility,
        until_settled=sequential.until_settled or sequential.append is not None,
        **of_models.expected.settings(),
        **counted,
        named=tuple(name for name in counted if g.origin(context, name)),
    )
    source = reading.source_if_any(data)
    sources = models.parse(dense), [models.parse(each) for each in pruned]
    store, pins = None if dry_run else pinned.store(), pinned.pins()
    read = [*(each.path for each in (sources[0], *sources[1])), *o.of_source(source), judging.confirm]
    o.apart(written.output or (), read)
    models.prepare([sources[0], *sources[1]], settings, store)
    # While what runs the models is imported in another process.
    from prune_audit import audit, document, reports
    from prune_audit.cli import _dry_run, _terminal

    earlier = None if sequential.append is None else document.read_audit(sequential.append)
    if dry_run:
        _dry_run.show(audit.trial(*sources, source, settings, pins=pins))
        if written.output:
            names = ", ".join(map(str, written.output))
            _terminal.note(f"note: a dry run makes no report: {names} not written")
        return 0
    judged = g.asked(context, judging.asked.policy, gate=judging.gate or judging.confirm is not None)
    g.told(judged, quiet=shown.quiet)
    dialects, services = written.dialects(), output.logged.services(one=judging.confirm is None)
    paths, printed = written.paths(), written.printed(one=judging.confirm is None)
    listed = output.flips
    if listed is None:
        listed = audit.EVERY if any(map(reports.lists_flips, paths)) else audit.FLIPS_KEPT
    with _terminal.progress(progress, quiet=shown.quiet) as stages:
        done = audit.run(
            *sources,
            source,
            settings,
            policy=judged,
            store=store,
            pins=pins,
            thumbnails=output.thumbnails,
            flips=listed,
            earlier=earlier,
            progress=stages,
        )
        audits = [(done, paths)]
        choice = done.sparsest
        if judging.confirm is not None and (done.exit_code == 0 if choice is None else choice.name is not None):
            assert source is not None
            fresh = replace(source, path=judging.confirm)
            beside = [reports.beside(path, "confirm") for path in paths]
            audits.append((audit.confirm(done, *sources, fresh, store=store, progress=stages), beside))
    if judging.confirm is not None and len(audits) == 1:
        _terminal.note("note: nothing was confirmed, because no variant passes the gate")
    codes = []
    for each, files in audits:
        codes.append(
            _terminal.deliver(
                replace(each, provenance=replace(each.provenance, run={})) if output.reproducible else each,
                files,
                show_all=shown.show_all,
                quiet=shown.quiet,
                verbose=output.verbose,
                github=written.github,
                printed=printed,
                dialects=dialects,
                log=services,
            )
        )
    # A variant that failed is not made good by another one that was confirmed, unless that is all that was asked for.
    both = next((code for code in (1, 3) if code in codes), 0)
    if both != codes[-1] and not judging.exit_zero:
        told = _why(both, done, audits[-1][0], codes[-1], confirm_only=judging.confirm_only)
        _terminal.note(f"note: {told}")
    return g.leave(codes[-1] if judging.confirm_only else both, exit_zero=judging.exit_zero)


def _why(both: int, done: Audit, fresh: Audit, confirmed: int, *, confirm_only: bool) -> str:
    """Where the exit code comes from: ``both`` of the audits leave another than ``fresh``, which is shown last."""
    names = [each.pruned.name for each in done.comparisons if replace(done, comparisons=(each,)).exit_code == both]
    first = f"{', '.join(names)} on {done.provenance.data}"
    last = f"{fresh.comparisons[0].pruned.name}, judged again on {fresh.provenance.data}"
    if confirm_only:
        return f"exit code {confirmed} is that of {last}, alone (--confirm-only); {first} would leave {both}"
    return f"exit code {both} is that of {first}; {last}, would leave {confirmed}"
