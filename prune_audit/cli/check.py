"""prune-audit check: judge a saved audit again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g

Baseline = Annotated[
    Path | None,
    typer.Option(
        metavar="AUDIT",
        envvar=f"{g.PREFIX}BASELINE",
        show_envvar=False,
        help="The last accepted audit.json: fail only on what got worse, or is worse than the dense model by now.",
        rich_help_panel=g.GATE,
    ),
]


def run(
    context: typer.Context,
    saved: o.Saved,
    asked: g.Asked,
    limits: Annotated[g.Limits, g.GATE],
    logged: o.Logged,
    shown: o.Shown,
    baseline: Baseline = None,
    exit_zero: g.ExitZero = False,
) -> int:
    """Judge a saved audit again, without models or data.

    Judges by --policy, else by the project's prune-audit.toml or pyproject.toml, else by the policy in the audit, else
    by the default one. With --baseline, what failed in the last accepted audit too and got no worse is accepted. Every
    option of the gate is a variable of the environment as well: --margin is PRUNE_AUDIT_MARGIN.

    Example: prune-audit check audit.json --policy strict --baseline accepted.json
    """
    from prune_audit import baseline as before
    from prune_audit import document, gate
    from prune_audit.cli import _terminal

    paths, dialects, services = logged.reports.paths(), logged.reports.dialects(), logged.services()
    audit = document.read_audit(saved)
    wanted = g.policy(context, asked.policy, stored=audit.policy)
    g.told(wanted, quiet=shown.quiet)
    if baseline is not None:
        judged = before.judge(audit, document.read_audit(baseline), wanted, str(baseline))
    else:
        judged = gate.judge(audit, wanted)
    code = _terminal.deliver(
        judged,
        paths,
        show_all=shown.show_all,
        quiet=shown.quiet,
        verbose=False,
        github=logged.reports.github,
        dialects=dialects,
        log=services,
        # By another margin other classes are undecided, and the file says nothing of that.
        saved=saved if judged.provenance.settings == audit.provenance.settings else None,
    )
    return g.leave(code, exit_zero=exit_zero)
