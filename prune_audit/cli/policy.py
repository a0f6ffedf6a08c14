"""prune-audit policy: what the gate asks here, and where each value came from."""

from __future__ import annotations

import typer

from prune_audit.cli import _policy_options as g


def run(
    context: typer.Context,
    policy: g.Chosen = None,
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
) -> None:
    """Print the policy that `check` and `compare --gate` would judge by here, as a policy file.

    Behind every value stands where it came from: a preset, FILE:LINE, a variable of the environment or a flag.

    Example: prune-audit policy --policy strict > prune-audit.toml
    """
    from prune_audit import gate, rules
    from prune_audit.cli import _terminal
    from prune_audit.core import Settings
    from prune_audit.render.consoles import Text

    asked = g.policy(context, policy)
    text = rules.toml(asked, gate.settings_of(asked, Settings()), origins=True)
    with _terminal.printing() as out:
        out.print(Text(f"# policy: {asked.path or f'preset {asked.name}'}"), soft_wrap=True)
        for line in text.splitlines():
            out.print(Text(line), soft_wrap=True)
