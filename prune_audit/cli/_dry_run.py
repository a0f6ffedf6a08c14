"""What `compare --dry-run` shows: whether models and data fit together, on a few hundred samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prune_audit.cli import _terminal
from prune_audit.render import wording

if TYPE_CHECKING:
    from prune_audit.audit import Trial

TITLES = ("model", "format", "scores", "right", "as dense", "ms a sample")


def show(trial: Trial) -> None:
    """Print ``trial`` to standard output."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from prune_audit import tasks
    from prune_audit.render.consoles import Text

    predictions = trial.predictions
    tried, dense = len(predictions.labels), predictions.models[0]
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for at, title in enumerate(TITLES):
        grid.add_column(Text(title, style="bold"), justify="left" if at < 3 else "right", no_wrap=at > 0)
    for card, outputs in zip(trial.cards, predictions.models, strict=True):
        facts = trial.facts.get(card.name, {})
        cells = (
            card.name,
            card.format,
            facts.get("scores") or ("classes" if outputs.confidence is None else "one column"),
            f"{tasks.right(predictions, card.name).mean():.1%}",
            "" if outputs is dense else f"{tasks.agreement(predictions, card.name, dense.name):.1%}",
            f"{facts['ms']:.3g}" if facts.get("ms") is not None else "-",
        )
        grid.add_row(*map(Text, cells))
    with _terminal.printing() as out:
        out.print(
            Text(
                f"tried   {tried:,} of {trial.available:,} {predictions.task.thing[1]}, "
                f"{len(predictions.classes):,} {predictions.task.stratum[1]}"
            )
        )
        if trial.preprocess is not None:
            out.print(Text(f"inputs  {trial.preprocess.describe()}"))
        out.print(grid)
        out.print()
        for said in wording.assumed(trial.assumptions, [card.name for card in trial.cards]):
            out.print(Text(f"assumes {said}"))
        for note in trial.notes:
            out.print(Text(f"note: {note}"))
        for doubt in trial.doubts:
            out.print(Text(f"WARNING: the dense model {dense.name}: {doubt}", style="bold reverse yellow"))
        if trial.doubts:
            out.print(
                Text(
                    "Look into what is warned of before an audit: as far as these samples show, the dense model is not "
                    "run as it was trained, and all numbers would be of that."
                )
            )
        else:
            out.print(Text("Models and data fit together as far as these samples show."))
