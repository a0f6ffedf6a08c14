"""prune-audit cache: the predictions that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prune_audit.cli import _options as o
from prune_audit.errors import UsageError


def run(
    cache: o.Cache = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything that is kept.")] = False,
    merge: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Take over the shards that another folder holds (`predict --shard`), pinned alike; repeats.",
        ),
    ] = None,
) -> None:
    """List the predictions that are kept, so that no model sees a sample twice; those used last come first.

    A line is a model on a set of data. Models, data, preprocessing or libraries that changed make lines of their own.

    Shards that were predicted into several folders are put together by --merge, into the folder --cache; those of a run
    that was pinned otherwise are refused, by what differs. A later `compare --cache` has them.

    Example: prune-audit cache --cache all --merge node-1 --merge node-2
    """
    from datetime import datetime

    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from prune_audit.cli import _terminal
    from prune_audit.evaluate import merging
    from prune_audit.evaluate.cache import Store, folder
    from prune_audit.render.consoles import Text

    if merge and (cache is None or clear):
        raise UsageError("--merge: no folder is named that takes the shards", hint="--cache DIR, without --clear")
    kept = Store(cache if cache is not None else folder())
    if merge:
        merging.merge(kept, merge, lambda line: _terminal.note(f"note: {line}"))
    entries = kept.entries()
    total, images = sum(entry.size for entry in entries), kept.kept_images()
    if clear:
        kept.clear()
    with _terminal.printing() as out:
        if entries and not clear:
            grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
            for title, side in (("model", "left"), ("data", "left"), ("samples", "right"), ("size", "right")):
                grid.add_column(Text(title, style="bold"), justify=side, overflow="fold")  # type: ignore[arg-type]
            grid.add_column(Text("used", style="bold"), no_wrap=True)
            for entry in entries:
                samples = f"{entry.rows:,}" if entry.rows == entry.samples else f"{entry.rows:,} of {entry.samples:,}"
                used = f"{datetime.fromtimestamp(entry.used):%Y-%m-%d %H:%M}"
                grid.add_row(*map(Text, (entry.model, entry.data, samples, _terminal.in_bytes(entry.size), used)))
            out.print(grid)
            out.print()
        word = "removed" if clear else "kept"
        also = f", and {len(images):,} of decoded images, {_terminal.in_bytes(sum(images))}" if images else ""
        out.print(
            Text(f"{len(entries):,} sets of predictions {word}, {_terminal.in_bytes(total)}{also}, in {kept.root}"),
            soft_wrap=True,
        )
