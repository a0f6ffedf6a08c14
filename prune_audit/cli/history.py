"""prune-audit history: how it went, release after release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prune_audit.cli import _options as o
from prune_audit.errors import InputError


def run(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of releases that `check --history FOLDER` wrote.")
    ],
    shown: o.Shown,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the history to this file, .html, .csv or .svg; repeats.",
            rich_help_panel=o.OUTPUT,
        ),
    ] = None,
    dialect: o.Spreadsheet = None,
) -> None:
    """Show how it went, release after release: verdicts, changes with their intervals, and how often data were used.

    The page (.html) has the change of accuracy and of the worst class over releases, and the verdict of every class.
    Nothing is judged: the exit code is 0.

    Example: prune-audit history releases/ -o history.html
    """
    from prune_audit.cli import _terminal
    from prune_audit.files import elsewhere
    from prune_audit.history import folder as kept
    from prune_audit.history import writing

    paths, dialects = output or [], o.dialects(dialect, "csv")
    writing.check(paths)
    found = kept.read(folder)
    if not found:
        missing = not folder.exists()
        raise InputError(
            f"{folder}: expected a folder of releases, found {'nothing there' if missing else 'none in it'}",
            hint=f"{elsewhere.meant(folder) if missing else ''}`prune-audit check AUDIT --history FOLDER` adds one",
        )
    for path in paths:
        writing.write(found, path, dialects)
    if not shown.quiet:
        with _terminal.printing() as out:
            out.print(writing.renderable(found, out.width, show_all=shown.show_all))
