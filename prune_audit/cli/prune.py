"""prune-audit prune: make a pruned network, and audit it at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g
from prune_audit.cli import _pruning_options as p
from prune_audit.errors import UsageError

if TYPE_CHECKING:
    from prune_audit.prune import Pruned
    from prune_audit.search import Search

Written = Annotated[
    Path, typer.Option("--output", "-o", help="The pruned network, in the format of DENSE.", rich_help_panel=o.OUTPUT)
]
TrainingData = Annotated[
    Path | None,
    typer.Option("--data", "-d", help="Labelled data to score and train on.", rich_help_panel=o.DATA),
]
AuditData = Annotated[
    Path | None,
    typer.Option("--audit", help="Other labelled data: compare with DENSE on them, and gate.", rich_help_panel=o.DATA),
]
Export = Annotated[
    str | None, typer.Option(metavar="onnx", help="Also write it as ONNX, beside.", rich_help_panel=o.OUTPUT)
]
Reports = Annotated[
    list[Path] | None,
    typer.Option("--report", "-r", help="Write a report of the audit, by suffix; repeats.", rich_help_panel=o.OUTPUT),
]


def run(
    context: typer.Context,
    dense: o.Dense,
    output: Written,
    method: p.Method = "undecayed",
    density: p.Density = None,
    data: TrainingData = None,
    audit: AuditData = None,
    scope: p.Scope = "global",
    exempt: p.Exempt = None,
    schedule: p.Schedule = None,
    steps: p.Rounds = 10,
    score_samples: p.Samples = None,
    c_rate: p.CRate = None,
    until_harm: p.UntilHarm = False,
    epochs: p.Epochs = 0,
    lr: p.Rate = 0.01,
    weight_decay: p.Decay = 5e-4,
    optimizer: p.Optimizer = "sgd",
    lr_schedule: p.RateSchedule = "cosine",
    balanced: p.Balanced = False,
    hold_out: p.HeldOut = 0.1,
    batch_size: p.BatchSize = 128,
    seed: p.Seed = 0,
    model_output: o.ModelOutput = None,
    state_key: o.StateKey = None,
    classes: o.Classes = None,
    class_map: o.ClassMap = None,
    path_column: o.PathColumn = None,
    label_column: o.LabelColumn = None,
    id_column: o.IdColumn = None,
    preset: o.Preset = None,
    size: o.Size = None,
    resize: o.Resize = None,
    crop: o.Crop = None,
    mean: o.Mean = None,
    std: o.Std = None,
    channels: o.Channels = None,
    interpolation: o.Resample = None,
    exif: o.Exif = None,
    text_column: o.TextColumn = None,
    tokenizer: o.Tokenizer = None,
    max_length: o.MaxLength = None,
    sample_rate: o.SampleRate = None,
    seconds: o.Seconds = None,
    features: o.Features = None,
    policy: g.Chosen = None,
    rule: g.Rule = None,
    strict: g.Strict = False,
    exit_zero: g.ExitZero = False,
    report: Reports = None,
    export: Export = None,
    show_all: o.ShowAll = False,
    quiet: o.Quiet = False,
    allow_pickle: o.AllowPickle = False,
    threads: o.Threads = None,
    device: o.Device = "cpu",
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
) -> int:
    """Prune a network, train what is left, and see in one go which classes pay for it.

    The result is of the format that was read: weights for the same factory, a transformers folder, ONNX. A training
    that is killed goes on when the same command is given again. With --audit the exit code is the gate's.

    Example: prune-audit prune dense.pth@nets:resnet20 --density 0.1 --data train/ --epochs 10 -o pruned.pth
    --audit val/
    """
    from prune_audit import audit as auditing
    from prune_audit import models, prune, reports, search
    from prune_audit.cli import _terminal
    from prune_audit.core import Audit, DataSource, ModelSource, Settings
    from prune_audit.nets.train_loop import Training

    if until_harm and audit is None:
        raise UsageError("--until-harm needs labelled data that tell what is harm", hint="give them with --audit")
    if density is not None and c_rate:
        raise UsageError("a density and c_rates were given, of which one decides", hint="leave out one of the two")
    if report and audit is None:
        raise UsageError("there is no audit to report", hint="give labelled data with --audit")
    named = models.parse(dense)
    settings = Settings(
        seed=seed,
        threads=threads,
        device=device,
        allow_pickle=allow_pickle,
        model_output=tuple(model_output or ()),
        # What is written holds the weights that were used and no others.
        state_key=tuple(each if "=" in each else f"{named.name}={each}" for each in state_key or ()),
    )
    recipe = prune.Recipe(
        method=method,
        density=search.LOWEST if until_harm and density is None else density,
        scope=p.choice("--scope", scope, ("global", "layer")),  # type: ignore[arg-type]  # checked there
        exempt=tuple(exempt or ()),
        c_rates=p.c_rates(c_rate),
        schedule=p.schedule(schedule),  # type: ignore[arg-type]  # checked there
        rounds=steps,
        samples=score_samples,
        training=Training(
            epochs=epochs,
            lr=lr,
            weight_decay=weight_decay,
            optimizer=p.choice("--optimizer", optimizer, ("sgd", "adamw")),  # type: ignore[arg-type]  # checked
            lr_schedule=p.choice("--lr-schedule", lr_schedule, ("cosine", "step", "constant")),  # type: ignore[arg-type]
            balanced=balanced,
            batch_size=batch_size,
            held_out=hold_out,
            seed=seed,
        ),
    )

    def source(path: Path) -> DataSource:
        return DataSource(
            path=path,
            classes=classes,
            class_map=class_map,
            path_column=path_column,
            label_column=label_column,
            id_column=id_column,
            text_column=text_column,
            features=o.columns(features),
            tokenizer=tokenizer,
            max_length=max_length,
            sample_rate=sample_rate,
            seconds=seconds,
            exif=o.exif(exif),  # type: ignore[arg-type]  # checked there
            preprocess=o.preprocess(preset, size, resize, crop, mean, std, channels, interpolation),
        )

    beside = p.check_paths(output, export)
    for path in report or ():
        reports.check_writable(path)
    training = source(data) if data is not None else source(audit) if beside and audit and not epochs else None
    judged = g.policy(context, policy) if audit is not None else None
    g.told(judged, quiet=quiet)
    store = o.store(cache, off=no_cache, verify=False)
    with _terminal.progress(quiet=quiet) as stages:

        def audited(made: ModelSource) -> Audit:
            assert audit is not None  # without it nothing is audited
            return auditing.run(named, [made], source(audit), settings, policy=judged, store=store, progress=stages)

        if until_harm:
            found = search.until_harm(
                named, output, recipe, settings, audited, source=training, export=beside, progress=stages
            )
            pruned, done = found.pruned, found.failed
        else:
            pruned = prune.run(named, output, recipe, settings, source=training, export=beside, progress=stages)
            done = None
        if pruned is not None and audit is not None:
            done = audited(pruned.source)
    if not quiet:
        if until_harm:
            _tell_search(found)
        if pruned is not None:
            _tell(pruned, method, [output, *([beside] if beside is not None else [])])
    if done is None:
        return 0
    code = _terminal.deliver(done, report or (), show_all=show_all, quiet=quiet, verbose=False)
    return g.leave(code, exit_zero=exit_zero)


def _tell(pruned: Pruned, method: str, paths: Sequence[Path]) -> None:
    """What was written, layer by layer."""
    from prune_audit.cli import _terminal, inspect
    from prune_audit.render.consoles import Text

    card = pruned.card
    with _terminal.printing() as out:
        kept = f"{100 * pruned.density:.2f} % of the weights that may be cut"
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
        if pruned.left:
            out.print(Text(f"left whole, as they cannot be cut: {inspect.some(pruned.left)}"))
        out.print()
        out.print(inspect.layers(card))
        out.print()


def _tell_search(search: Search) -> None:
    """Every density that was tried, and what came of it."""
    from prune_audit.cli import _terminal
    from prune_audit.render.consoles import Text

    words = {0: "passes", 1: "fails", 3: "cannot be told"}
    with _terminal.printing() as out:
        for density, code in search.tried:
            out.print(Text(f"density {100 * density:6.2f} %  {words[code]}"))
        if search.pruned is None:
            out.print(Text("No density passes, so nothing was written. The audit of the last one:"))
        else:
            out.print(Text("The sparsest that the gate lets through was chosen on these data: confirm it on others."))
        out.print()
