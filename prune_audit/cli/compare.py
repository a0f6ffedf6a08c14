"""prune-audit compare: dense against pruned, class by class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g

if TYPE_CHECKING:
    from prune_audit.core import Audit

Confirm = Annotated[
    Path | None,
    typer.Option(
        metavar="DATA",
        exists=True,  # it is read after the long run, and the path should not be wrong then
        help="Judge the sparsest variant that passes again, on these fresh data; asks for a gate. The exit code is of "
        "both: 1 where any variant failed on either data. Reports go to NAME.confirm.SUFFIX beside the others.",
        rich_help_panel=g.PANEL,
    ),
]
ConfirmOnly = Annotated[
    bool,
    typer.Option(
        "--confirm-only",
        help="With --confirm: exit with the code of the variant that was confirmed, by what the fresh data say of it, "
        "whatever else failed. Where none passes the gate, the code is as without.",
        rich_help_panel=g.PANEL,
    ),
]


def run(
    context: typer.Context,
    dense: o.Dense,
    pruned: o.Pruned,
    data: o.Data,
    classes: o.Classes = None,
    class_map: o.ClassMap = None,
    drop_class: o.DropClass = None,
    scores: o.Scores = None,
    model_output: o.ModelOutput = None,
    state_key: o.StateKey = None,
    expect_accuracy: o.ExpectAccuracy = None,
    expect_tolerance: o.ExpectTolerance = None,
    no_plausibility: o.NoPlausibility = False,
    path_column: o.PathColumn = None,
    label_column: o.LabelColumn = None,
    id_column: o.IdColumn = None,
    skip_bad: o.SkipBad = 0,
    limit: o.Limit = None,
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
    margin: o.Margin = 2,
    assure: o.Assure = None,
    retention_margin: o.RetentionMargin = 0.95,
    top_k: o.TopK = 5,
    by: o.By = None,
    cluster: o.Cluster = None,
    weights: o.Weights = None,
    reference: o.Reference = "accuracy",
    confidence: o.Confidence = 0.95,
    correction: o.Correct = "fdr_bh",
    gate: o.Gate = False,
    policy: g.Chosen = None,
    rule: g.Rule = None,
    strict: g.Strict = False,
    exit_zero: g.ExitZero = False,
    confirm: Confirm = None,
    confirm_only: ConfirmOnly = False,
    output: o.Outputs = None,
    show_all: o.ShowAll = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    thumbnails: o.Thumbnails = 0,
    reproducible: o.Reproducible = False,
    dialect: o.Dialect = None,
    github: o.Github = False,
    log: o.Log = None,
    allow_pickle: o.AllowPickle = False,
    seed: o.Seed = 0,
    batch_size: o.BatchSize = None,
    workers: o.Workers = None,
    threads: o.Threads = None,
    device: o.Device = "cpu",
    runtime: o.Runtime = "own",
    isolate: o.Isolate = "never",
    memory: o.Memory = None,
    sample_timeout: o.SampleTimeout = 60,
    cache: o.Cache = None,
    no_cache: o.NoCache = False,
    verify_data: o.VerifyData = False,
    dry_run: o.DryRun = False,
) -> int:
    """Compare a dense model with pruned variants, class by class, on labelled data.

    Every sample is decoded once and shown to all models, and no prediction is made twice: what earlier runs predicted
    is read back. A model may also be a file of predictions that were made elsewhere. Without --gate or --policy the
    audit is reported and the exit code is 0.

    Example: prune-audit compare dense.pt pruned.onnx --data val/ -o audit.json --gate
    """
    from dataclasses import replace

    from prune_audit import data as data_room
    from prune_audit import models
    from prune_audit.core import DataSource, Settings
    from prune_audit.errors import UsageError

    if confirm_only and confirm is None:
        raise UsageError("--confirm-only: there is nothing to confirm", hint="name fresh data with --confirm DATA")
    given = {name: g.origin(context, name) or f"--{name}" for name in ("margin", "assure", "correction", "reference")}
    settings = Settings(
        confidence=confidence,
        correction=o.correction(given["correction"], correction),  # type: ignore[arg-type]  # checked there
        margin=o.points(given["margin"], margin),
        assure=o.points(given["assure"], max(5, margin) if assure is None else assure),
        retention_margin=retention_margin,
        by=o.views(by),
        cluster=cluster,
        weights=data_room.weights(weights) if weights is not None else None,
        reference=o.reference(given["reference"], reference),  # type: ignore[arg-type]  # checked there
        top_k=top_k,
        seed=seed,
        limit=limit,
        batch_size=batch_size,
        workers=workers,
        threads=threads,
        device=device,
        skip_bad=skip_bad,
        allow_pickle=allow_pickle,
        drop_class=tuple(drop_class or ()),
        scores=tuple(scores or ()),
        model_output=tuple(model_output or ()),
        state_key=tuple(state_key or ()),
        plausibility=not no_plausibility,
        **o.expected(expect_accuracy, expect_tolerance),
        **o.isolation(isolate, memory, sample_timeout),
        runtime=o.runtime(runtime),  # type: ignore[arg-type]  # checked there
    )
    source = DataSource(
        path=data,
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
    sources = models.parse(dense), [models.parse(each) for each in pruned]
    store = None if dry_run else o.store(cache, off=no_cache, verify=verify_data)
    models.prepare([sources[0], *sources[1]], settings, store)
    # While what runs the models is imported in another process.
    from prune_audit import audit, reports
    from prune_audit.cli import _dry_run, _terminal

    if dry_run:
        _dry_run.show(audit.trial(*sources, source, settings))
        if output:
            names = ", ".join(map(str, output))
            _terminal.note(f"note: a dry run makes no report: {names} not written")
        return 0
    judged = g.asked(context, policy, gate=gate or confirm is not None)
    g.told(judged, quiet=quiet)
    dialects = o.dialects(dialect)
    services = o.log(log, one=confirm is None)
    for path in output or ():
        reports.check_writable(path)
    with _terminal.progress(quiet=quiet) as progress:
        done = audit.run(
            *sources, source, settings, policy=judged, store=store, thumbnails=thumbnails, progress=progress
        )
        audits = [(done, list(output or ()))]
        choice = done.sparsest
        if confirm is not None and (done.exit_code == 0 if choice is None else choice.name is not None):
            fresh = replace(source, path=confirm)
            beside = [reports.beside(path, "confirm") for path in output or ()]
            audits.append((audit.confirm(done, *sources, fresh, store=store, progress=progress), beside))
    if confirm is not None and len(audits) == 1:
        _terminal.note("note: nothing was confirmed, because no variant passes the gate")
    codes = []
    for each, paths in audits:
        shown = replace(each, provenance=replace(each.provenance, run={})) if reproducible else each
        codes.append(
            _terminal.deliver(
                shown,
                paths,
                show_all=show_all,
                quiet=quiet,
                verbose=verbose,
                github=github,
                dialects=dialects,
                log=services,
            )
        )
    # A variant that failed is not made good by another one that was confirmed, unless that is all that was asked for.
    both = next((code for code in (1, 3) if code in codes), 0)
    if both != codes[-1] and not exit_zero:
        told = _why(both, done, audits[-1][0], codes[-1], confirm_only=confirm_only)
        _terminal.note(f"note: {told}")
    return g.leave(codes[-1] if confirm_only else both, exit_zero=exit_zero)


def _why(both: int, done: Audit, fresh: Audit, confirmed: int, *, confirm_only: bool) -> str:
    """Where the exit code comes from: ``both`` of the audits leave another than ``fresh``, which is shown last."""
    from dataclasses import replace

    names = [each.pruned.name for each in done.comparisons if replace(done, comparisons=(each,)).exit_code == both]
    first = f"{', '.join(names)} on {done.provenance.data}"
    last = f"{fresh.comparisons[0].pruned.name}, judged again on {fresh.provenance.data}"
    if confirm_only:
        return f"exit code {confirmed} is that of {last}, alone (--confirm-only); {first} would leave {both}"
    return f"exit code {both} is that of {first}; {last}, would leave {confirmed}"
