"""prune-audit quotas: which training samples to keep, so that retraining on fewer serves the weak classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prune_audit import choices
from prune_audit.cli import _options as o

Judged = Annotated[
    Path,
    typer.Argument(
        metavar="AUDIT", help="An audit.json of other samples than the model was trained on.", show_default=False
    ),
]
Train = Annotated[
    Path,
    typer.Option(
        help="Labelled training data: a table (CSV, Parquet), or a folder of images or sounds by class.",
        rich_help_panel=o.DATA,
    ),
]
Keep = Annotated[
    float,
    typer.Option(metavar="SHARE", help="Share of all training samples to keep, above 0 and at most 1."),
]
Kind = Annotated[
    choices.Quota,
    typer.Option(
        help="What a class keeps is proportional to: error-mass, its error times its samples, as in the paper, or "
        "error alone, as in its published code, which also evens out sizes of classes."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        metavar="dense|pruned|NAME", help="Model whose recalls decide; by name where several pruned ones were audited."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed that draws which samples of a class stay.")]
Written = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="Where the list of the samples to keep goes, as CSV.", rich_help_panel=o.OUTPUT
    ),
]


def run(
    audit: Judged,
    train: Train,
    keep: Keep,
    output: Written,
    labels: o.Labels,
    shown: o.Shown,
    quota: Kind = "error-mass",
    model: Model = "pruned",
    seed: Seed = 0,
) -> None:
    """Say how many training samples of each class to keep, most of those that a model gets wrong, and list them.

    Shares follow the error of each class on the data of the audit (Vysogorets et al., ICLR 2025); which of its samples
    stay is drawn. The list is training data again: give it to `prune --data`. Recalls of few samples are drawn to one
    half. An audit that was made on the training data is refused.

    Example: prune-audit quotas audit.json --train train.csv --keep 0.5 -o keep.csv
    """
    from prune_audit import document, gate
    from prune_audit.cli import _terminal
    from prune_audit.core import DataSource, check_seed
    from prune_audit.planning import keep_list, writing
    from prune_audit.planning.quotas import check_share, quotas

    check_share(keep)
    check_seed(seed)
    keep_list.check(output)
    source = DataSource(
        path=train,
        classes=labels.classes,
        class_map=labels.class_map,
        path_column=labels.path_column,
        label_column=labels.label_column,
        label_separator=labels.label_separator,
        label_columns=o.columns(labels.label_columns),
        id_column=labels.id_column,
    )
    o.apart([output], [audit, *o.of_source(source)])
    saved = gate.mended(document.read_audit(audit))
    training = keep_list.read(source, saved)
    found = quotas(saved, training.sizes.tolist(), keep, quota=quota, model=model)
    text = keep_list.written(training, keep_list.chosen(training, found, seed), output)
    keep_list.write(text, output)
    if not shown.quiet:
        sheet = writing.of_quotas(found, training.notes)
        with _terminal.printing() as out:
            out.print(writing.renderable(sheet, out.width, show_all=shown.show_all))
