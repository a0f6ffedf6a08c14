"""prune-audit predict: the predictions of one model, as a file that `compare` takes for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prune_audit.cli import _options as o

Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="File to write: .parquet, .csv, .json or .npz.", rich_help_panel=o.OUTPUT),
]


def run(
    model: o.Model,
    data: o.Data,
    output: Output,
    outputs: o.Outputs,
    reading: o.Reading,
    sample: o.Sample,
    running: o.Running,
    caching: o.CachingOfData,
    quiet: o.Quiet = False,
    progress: o.Watched = "auto",
) -> None:
    """Predict labelled data with one model, and write the predictions as a file that `compare` takes for a model.

    A line holds a sample's id, label and predicted class, and of its scores what an audit needs: the confidence, the
    probability of the label and its rank. So a phone or a cluster can predict, and an audit be made elsewhere.

    Example: prune-audit predict pruned.onnx --data val/ -o pruned.parquet
    """
    from prune_audit import models

    settings, source = o.settings(outputs, sample, running), reading.source(data)
    models.check_predictions_path(output)
    asked = models.parse(model)
    o.apart([output], [asked.path, *o.of_source(source)])
    store = caching.store()
    models.prepare([asked], settings, store)
    # While what runs the model is imported in another process.
    from prune_audit import audit
    from prune_audit.cli import _terminal
    from prune_audit.render import wording

    with _terminal.progress(progress, quiet=quiet) as stages:
        predictions, provenance = audit.predict(asked, source, settings, store=store, progress=stages)
    [predicted] = predictions.models
    models.write_predictions(output, predicted, predictions.ids, predictions.labels, predictions.classes)
    if not quiet:
        for said in wording.assumed(provenance.assumptions, [predicted.name]):
            _terminal.note(f"assumes {said}")
        for note in provenance.notes:
            _terminal.note(f"note: {note}")
