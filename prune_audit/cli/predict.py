"""prune-audit predict: the predictions of one model, as a file that `compare` takes for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prune_audit.cli import _options as o

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write: .parquet, .csv, .json or .npz; none of a --shard, which is kept in --cache DIR.",
        rich_help_panel=o.OUTPUT,
    ),
]


def run(
    model: o.Model,
    *,
    data: o.Data,
    output: Output = None,
    shard: o.Part = None,
    outputs: o.Outputs,
    reading: o.Reading,
    sample: o.Sample,
    running: o.Running,
    pinned: o.Pinned,
    quiet: o.Quiet = False,
    progress: o.Watched = "auto",
) -> None:
    """Predict labelled data with one model, and write the predictions as a file that `compare` takes for a model.

    A line holds a sample's id, label and predicted class, and of its scores what an audit needs: the confidence, the
    probability of the label and its rank. So a phone or a cluster can predict, and an audit be made elsewhere.

    With --shard I/N, as many machines each predict a part, into one folder or several (--cache DIR), which a later
    `compare` with that folder takes for its own work, and completes where a part is missing. All are pinned alike.

    Example: prune-audit predict pruned.onnx --data val/ -o pruned.parquet
    """
    from prune_audit import models
    from prune_audit.errors import UsageError

    settings, source = o.settings(outputs, sample, running), reading.source(data)
    part, asked = o.shard(shard), models.parse(model)
    if (output is None) == (shard is None):
        raise UsageError(
            "predictions go to a file" if shard is None else "--shard: a part is kept in the cache, and makes no file",
            hint="name one: -o predictions.parquet" if shard is None else "leave -o out, and name --cache DIR",
        )
    if output is not None:
        models.check_predictions_path(output)
        o.apart([output], [asked.path, *o.of_source(source)])
    store, pins = pinned.store(), pinned.pins(shard=shard is not None)
    models.prepare([asked], settings, store)
    # While what runs the model is imported in another process.
    from prune_audit import audit
    from prune_audit.cli import _terminal
    from prune_audit.render import wording

    with _terminal.progress(progress, quiet=quiet) as stages:
        predictions, provenance = audit.predict(
            asked, source, settings, store=store, pins=pins, shard=part, progress=stages
        )
    [predicted] = predictions.models
    if output is not None:
        models.write_predictions(output, predicted, predictions.ids, predictions.labels, predictions.classes)
    if not quiet:
        for said in wording.assumed(provenance.assumptions, [predicted.name]):
            _terminal.note(f"assumes {said}")
        for note in provenance.notes:
            _terminal.note(f"note: {note}")
