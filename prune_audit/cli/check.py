"""prune-audit check: judge a saved audit again."""

from __future__ import annotations

from prune_audit.cli import _options as o


def run(
    saved: o.Saved,
    policy: o.PolicyFile = None,
    output: o.Outputs = None,
    show_all: o.ShowAll = False,
    quiet: o.Quiet = False,
) -> int:
    """Judge a saved audit again, without models or data.

    Judges by --policy where one is given, else by the policy in the audit, else by the default policy.

    Example: prune-audit check audit.json --policy strict.toml
    """
    from prune_audit import document, gate, reports, rules
    from prune_audit.cli import _terminal

    for path in output or ():
        reports.check_writable(path)
    before = document.read_audit(saved)
    judged = rules.chosen(policy, gate=False) or before.policy or rules.default_policy()
    return _terminal.deliver(gate.judge(before, judged), output or (), show_all=show_all, quiet=quiet, verbose=False)
