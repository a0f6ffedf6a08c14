"""prune-audit prune: make a pruned network, and audit it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from prune_audit.choices import Export
from prune_audit.cli import _completion as complete
from prune_audit.cli import _mitigation_options as m
from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g
from prune_audit.cli import _pruning_options as p
from prune_audit.errors import UsageError

if TYPE_CHECKING:
    from prune_audit.prune import Pruned
    from prune_audit.search import Search

Written = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="Where the pruned network goes, in the format of DENSE.", rich_help_panel=o.OUTPUT
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What is trained and what is audited on."""

    PANEL: ClassVar[str] = o.DATA

    data: Annotated[Path | None, typer.Option("--data", "-d", help="Labelled data to score and train on.")] = None
    audit: Annotated[
        Path | None,
        typer.Option(help="Other labelled data: compare with DENSE on them, and judge by the gate."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What is written beside the network."""

    PANEL: ClassVar[str] = o.OUTPUT

    report: p.Report = None
    export: Annotated[
        Export | None, typer.Option(metavar="onnx", help="Also write the network as ONNX, beside the output.")
    ] = None
    shown: o.Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """How what was pruned is mended."""

    PANEL: ClassVar[str] = m.MITIGATION

    mitigate: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Mend the pruned network by this method, and show its controls: see `list mitigations`. The --epochs "
            "are then those of a method that trains. `prune-audit mitigate` has its options.",
            autocompletion=complete.plugin("mitigations"),
        ),
    ] = None


def run(
    context: typer.Context,
    dense: o.Dense,
    output: Written,
    cutting: p.Cutting,
    given: Data,
    tuning: p.Tuning,
    mending: Mending,
    parts: o.Parts,
    reading: o.Reading,
    asked: g.Asked,
    reports: Reports,
    machine: o.Machine,
    caching: o.Caching,
    allow_pickle: o.AllowPickle = False,
    exit_zero: g.ExitZero = False,
    progress: o.Watched = "auto",
) -> int:
    """Prune a network, train what is left, and see in one go which classes pay for it.

    The result is of the format that was read: weights for the same factory, a transformers folder, ONNX. A training
    that is killed goes on when the same command is given again. With --audit the exit code is the gate's.

    Example: prune-audit prune dense.pth@nets:resnet20 --density 0.1 --data train/ --epochs 10 -o pruned.pth
    --audit val/
    """
    from prune_audit import audit as auditing
    from prune_audit import mitigate, models, prune, search
    from prune_audit.cli import _terminal
    from prune_audit.core import Audit, ModelSource, Settings
    from prune_audit.reports import check_writable

    quiet = reports.shown.quiet
    if cutting.until_harm and given.audit is None:
        raise UsageError("--until-harm needs labelled data that tell what is harm", hint="give them with --audit")
    if cutting.accept_unsettled and not cutting.until_harm:
        raise UsageError("--accept-unsettled is of the search of --until-harm", hint="give that, too, or leave it out")
    if mending.mitigate is not None and (given.data is None or given.audit is None):
        raise UsageError("--mitigate learns from data, and judges on others", hint="give them with --data and --audit")
    if mending.mitigate is not None and (cutting.until_harm or reports.export is not None):
        raise UsageError(
            "--mitigate goes with neither --until-harm nor --export",
            hint="prune first, then give what comes of it to prune-audit mitigate",
        )
    if cutting.shrink and (cutting.until_harm or mending.mitigate is not None):
        raise UsageError(
            "--shrink goes with neither --until-harm nor --mitigate, which would judge or train another network",
            hint="leave it out, or give the density that was found and leave out the others",
        )
    if reports.report and given.audit is None:
        raise UsageError("there is no audit to report", hint="give labelled data with --audit")
    named = models.parse(dense)
    settings = Settings(
        seed=tuning.seed,
        threads=machine.threads,
        device=machine.device,
        isolate="never",  # what is trained runs here, before and after
        allow_pickle=allow_pickle,
        model_output=tuple(parts.model_output or ()),
        # What is written holds the weights that were used and no others.
        state_key=tuple(each if "=" in each else f"{named.name}={each}" for each in parts.state_key or ()),
    )
    recipe = cutting.recipe(tuning.training())
    beside = p.beside(output, reports.export)
    for path in reports.report or ():
        check_writable(path)
    o.apart(reports.report or (), [named.path])
    o.apart([output, *([] if beside is None else [beside]), *(reports.report or ())], [given.data, given.audit])
    shapes = None  # an export is made by those of samples, and proven on some
    if (beside is not None or cutting.shrink) and not tuning.epochs:
        shapes = given.audit
    trained_on = given.data or shapes
    training = reading.source(trained_on) if trained_on is not None else None
    judged = g.policy(context, asked.policy) if given.audit is not None else None
    g.told(judged, quiet=quiet)
    store = caching.store()
    with _terminal.progress(progress, quiet=quiet) as stages:
        if mending.mitigate is not None and given.data is not None and given.audit is not None:
            cut, mended = mitigate.prune_and_run(
                named,
                output,
                recipe,
                mitigate.Mitigation(method=mending.mitigate),
                settings,
                source=reading.source(given.data),
                audited=reading.source(given.audit),
                policy=judged,
                store=store,
                progress=stages,
            )
            kept = f"{cutting.method} kept {100 * cut.density:.2f} % of the weights that may be cut"
            if not quiet:
                _tell_tables(cut, output)
            code = m.deliver(mended, f"{mending.mitigate}; {kept}", m.Written(), reports.report or (), reports.shown)
            return g.leave(code, exit_zero=exit_zero)

        def audited(*made: ModelSource) -> Audit:
            assert given.audit is not None  # without it nothing is audited
            data = reading.source(given.audit)
            done = auditing.run(named, made, data, settings, policy=judged, store=store, progress=stages)
            learnt = None if given.data is None else str(given.data)
            notes = done.provenance.notes
            if given.data is not None and given.data.resolve() == given.audit.resolve():
                notes = (
                    f"{given.audit} was learnt from and audited on: what a network has learnt by heart it gets right, "
                    "so that these numbers flatter it; --audit takes other samples",
                    *notes,
                )
            return replace(done, provenance=replace(done.provenance, trained_on=learnt, notes=notes))

        if cutting.until_harm:
            found = search.until_harm(
                named,
                output,
                recipe,
                settings,
                audited,
                accept_unsettled=cutting.accept_unsettled,
                source=training,
                export=beside,
                progress=stages,
            )
            pruned, done = found.pruned, found.last
        else:
            pruned = prune.run(
                named,
                output,
                recipe,
                settings,
                source=training,
                export=beside,
                shrink=cutting.shrink,
                progress=stages,
            )
            done = None
        if pruned is not None and given.audit is not None:
            done = audited(*pruned.written)
            done = replace(done, provenance=replace(done.provenance, notes=(*done.provenance.notes, *pruned.notes)))
        if cutting.until_harm and done is not None:
            done = search.noted(done, found)
    if not quiet:
        if cutting.until_harm:
            _tell_search(found)
        if pruned is not None:
            _tell(pruned, cutting.method, [output, *([beside] if beside is not None else [])])
    if done is None:
        return 0
    code = _terminal.deliver(done, reports.report or (), show_all=reports.shown.show_all, quiet=quiet, verbose=False)
    if pruned is None and code == 0:  # what cannot be told passes a gate, and is no answer to a search
        code = 3
    return g.leave(code, exit_zero=exit_zero)


def _tell(pruned: Pruned, method: str, paths: Sequence[Path]) -> None:
    """What was written, layer by layer."""
    from prune_audit.cli import _terminal, inspect
    from prune_audit.render import rounded
    from prune_audit.render.consoles import Text

    card = pruned.card
    with _terminal.printing() as out:
        kept = f"{100 * pruned.density:.2f} % of the {pruned.counted}"
        # Unwrapped, so that paths can be copied.
        out.print(Text(f"{', '.join(map(str, paths))}: {method} kept {kept}", style="bold"), soft_wrap=True)
        if pruned.history:
            last = pruned.history[-1]
            lowest = [epoch.held_out for epoch in pruned.history if epoch.held_out is not None]
            told = f", lowest on held out samples {min(lowest):.4f}" if lowest else ""
            out.print(Text(f"trained for {len(pruned.history)} epochs: loss {last.loss:.4f}{told}"))
        if card.compressed is not None:
            size = f"{_terminal.in_bytes(card.size)} on disk, {_terminal.in_bytes(card.compressed)} compressed by zstd"
            out.print(Text(size))
        if pruned.dead[0]:
            out.print(Text(f"{pruned.dead[0]:,} of {rounded.several(pruned.dead[1], 'output')} have no weight left"))
        if pruned.left:
            out.print(Text(f"left whole, as they cannot be cut: {inspect.some(pruned.left)}"))
        if pruned.shrunk is not None:
            size = _terminal.in_bytes(pruned.shrunk.card.size)
            out.print(Text(f"{pruned.shrunk.source.path}: {size} on disk"), soft_wrap=True)
        for note in pruned.notes:
            out.print(Text(note))
    _tell_tables(pruned, paths[0])
    with _terminal.printing() as out:
        out.print()
        out.print(inspect.layers(card))
        out.print()


def _tell_tables(pruned: Pruned, output: Path) -> None:
    """What else was written beside the network at ``output``."""
    from prune_audit import prune
    from prune_audit.cli import _terminal
    from prune_audit.render.consoles import Text

    with _terminal.printing() as out:
        for table in pruned.tables:
            out.print(Text(f"{prune.beside(output, f'{table.name}.csv')}: {table.title}"), soft_wrap=True)
            for note in table.notes:
                out.print(Text(note))


def _tell_search(search: Search) -> None:
    """Every density that was tried, and what came of it."""
    from prune_audit.cli import _terminal
    from prune_audit.render.consoles import Text

    with _terminal.printing() as out:
        for each in search.tried:
            out.print(Text(f"density {each.told}"))
        for sentence in search.told():
            out.print(Text(sentence))
        if search.pruned is None:
            out.print(Text("The audit of the last one:"))
        out.print()
