"""prune-audit report: render a saved audit again."""

from __future__ import annotations

from prune_audit.cli import _options as o


def run(
    saved: o.Saved,
    reports: o.Reports,
    shown: o.Shown,
) -> None:
    """Render a saved audit again, without models or data. Nothing is judged: the exit code is 0.

    Example: prune-audit report audit.json -o audit.md -o audit.xml -o audit.sarif
    """
    from prune_audit import document, gate
    from prune_audit.cli import _terminal

    dialects, paths, printed = reports.dialects(), reports.paths(), reports.printed()
    o.apart([path for path in paths if path.suffix.lower() != ".json"], [saved])
    audit = gate.mended(document.read_audit(saved))
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
