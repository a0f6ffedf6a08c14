"""prune-audit report: render a saved audit again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prune_audit.cli import _options as o

Beside = Annotated[
    Path | None,
    typer.Option(
        metavar="AUDIT",
        help="An earlier audit.json of the same classes: say which got better since, which worse, and whose verdict "
        "changed; paired where the samples are the same.",
    ),
]


def run(
    saved: o.Saved,
    reports: o.Reports,
    shown: o.Shown,
    beside: Beside = None,
) -> None:
    """Render a saved audit again, without models or data. Nothing is judged: the exit code is 0.

    Example: prune-audit report audit.json -o audit.md -o audit.xml -o audit.sarif

    Example: prune-audit report new.json --beside old.json -o page.html
    """
    from prune_audit import document, gate
    from prune_audit.cli import _terminal

    dialects, paths, printed = reports.dialects(), reports.paths(), reports.printed()
    o.apart(paths, [beside])
    o.apart([path for path in paths if path.suffix.lower() != ".json"], [saved])
    audit = gate.mended(document.read_audit(saved))
    if beside is not None:
        from prune_audit import side_by_side

        audit = side_by_side.beside(audit, gate.mended(document.read_audit(beside)), str(beside))
    _terminal.deliver(
        audit,
        paths,
        show_all=shown.show_all,
        quiet=shown.quiet,
        verbose=False,
        github=reports.github,
        printed=printed,
        dialects=dialects,
        files_alone=True,
        saved=saved,
    )
