"""prune-audit report: render a saved audit again."""

from __future__ import annotations

from prune_audit.cli import _options as o


def run(
    saved: o.Saved,
    output: o.Outputs = None,
    dialect: o.Dialect = None,
    github: o.Github = False,
    show_all: o.ShowAll = False,
    quiet: o.Quiet = False,
) -> None:
    """Render a saved audit again, without models or data. Nothing is judged: the exit code is 0.

    Example: prune-audit report audit.json -o audit.md -o audit.xml -o audit.sarif
    """
    from prune_audit import document, gate, reports
    from prune_audit.cli import _terminal

    dialects = o.dialects(dialect)
    for path in output or ():
        reports.check_writable(path)
    audit = gate.mended(document.read_audit(saved))
    _terminal.deliver(
        audit,
        output or (),
        show_all=show_all,
        quiet=quiet,
        verbose=False,
        github=github,
        dialects=dialects,
        files_alone=True,
    )
