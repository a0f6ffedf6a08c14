"""prune-audit policy: what the gate asks here, and where each value came from."""

from __future__ import annotations

from typing import Annotated

import typer

from prune_audit.cli import _policy_options as g


def run(
    context: typer.Context,
    asked: g.Asked,
    limits: Annotated[g.Limits, g.GATE],
) -> None:
    """Print the policy that `check` and `compare --gate` would judge by here, as a policy file.

    Behind every value stands where it came from: a preset, FILE:LINE, a variable of the environment or a flag.

    Example: prune-audit policy --policy strict > prune-audit.toml
    """
    from prune_audit import gate, rules
    from prune_audit.cli import _terminal
    from prune_audit.core import Settings
    from prune_audit.render.consoles import Text

    wanted = g.policy(context, asked.policy)
    text = rules.toml(wanted, gate.settings_of(wanted, Settings()), origins=True)
    with _terminal.printing() as out:
        out.print(Text(f"# policy: {wanted.path or f'preset {wanted.name}'}"), soft_wrap=True)
        for line in text.splitlines():
            out.print(Text(line), soft_wrap=True)
