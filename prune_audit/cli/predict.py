"""prune-audit predict: the predictions of one model, as a file that `compare` takes for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prune_audit.cli import _options as o

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model: PATH, or NAME=PATH@module:factory(...).")]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="Where to: .parquet, .csv, .json or .npz.", rich_help_panel=o.OUTPUT),
]


def run(
    model: Model,
    data: o.Data,
    output: Output,
    classes: o.Classes = None,
    class_map: o.ClassMap = None,
    drop_class: o.DropClass = None,
    scores: o.Scores = None,
    model_output: o.ModelOutput = None,
    state_key: o.StateKey = None,
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
    quiet: o.Quiet = False,
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
) -> None:
    """Predict labelled data with one model, and write the predictions as a file that `compare` takes for a model.

    A line holds a sample's id, label and predicted class, and of its scores what an audit needs: the confidence, the
    probability of the label and its rank. So a phone or a cluster can predict, and an audit be made elsewhere.

    Example: prune-audit predict pruned.onnx --data val/ -o pruned.parquet
    """
    from prune_audit import models
    from prune_audit.core import DataSource, Settings

    settings = Settings(
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
    models.check_predictions_path(output)
    asked = models.parse(model)
    store = o.store(cache, off=no_cache, verify=verify_data)
    models.prepare([asked], settings, store)
    # While what runs the model is imported in another process.
    from prune_audit import audit
    from prune_audit.cli import _terminal
    from prune_audit.render import wording

    with _terminal.progress(quiet=quiet) as progress:
        predictions, provenance = audit.predict(asked, source, settings, store=store, progress=progress)
    [outputs] = predictions.models
    models.write_predictions(output, outputs, predictions.ids, predictions.labels, predictions.classes)
    if not quiet:
        for said in wording.assumed(provenance.assumptions, [outputs.name]):
            _terminal.note(f"assumes {said}")
        for note in provenance.notes:
            _terminal.note(f"note: {note}")
