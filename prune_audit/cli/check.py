"""prune-audit check: judge a saved audit again."""

from __future__ import annotations

import typer

from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g


def run(
    context: typer.Context,
    saved: o.Saved,
    policy: g.Chosen = None,
    baseline: g.Baseline = None,
    rule: g.Rule = None,
    strict: g.Strict = False,
    margin: g.Margin = None,
    assure: g.Assure = None,
    retention_margin: g.RetentionMargin = None,
    expect_accuracy: g.ExpectAccuracy = None,
    expect_tolerance: g.ExpectTolerance = None,
    confidence: g.Confidence = None,
    correction: g.Correction = None,
    reference: g.Reference = None,
    exit_zero: g.ExitZero = False,
    output: o.Outputs = None,
    dialect: o.Dialect = None,
    github: o.Github = False,
    log: o.Log = None,
    show_all: o.ShowAll = False,
    quiet: o.Quiet = False,
) -> int:
    """Judge a saved audit again, without models or data.

    Judges by --policy, else by the project's prune-audit.toml or pyproject.toml, else by the policy in the audit, else
    by the default one. With --baseline, what failed in the last accepted audit too and got no worse is accepted. Every
    option of the gate is a variable of the environment as well: --margin is PRUNE_AUDIT_MARGIN.

    Example: prune-audit check audit.json --policy strict --baseline accepted.json
    """
    from prune_audit import baseline as before
    from prune_audit import document, gate, reports
    from prune_audit.cli import _terminal

    for path in output or ():
        reports.check_writable(path)
    dialects = o.dialects(dialect)
    services = o.log(log)
    audit = document.read_audit(saved)
    asked = g.policy(context, policy, stored=audit.policy)
    g.told(asked, quiet=quiet)
    if baseline is not None:
        judged = before.judge(audit, document.read_audit(baseline), asked, str(baseline))
    else:
        judged = gate.judge(audit, asked)
    code = _terminal.deliver(
        judged,
        output or (),
        show_all=show_all,
        quiet=quiet,
        verbose=False,
        github=github,
        dialects=dialects,
        log=services,
    )
    return g.leave(code, exit_zero=exit_zero)
