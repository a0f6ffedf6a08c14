"""`Comparison` to `Check`s: a policy rule is a file here.

A plugin defines ``DEFAULT``, the `RuleSetting` of the default policy, and
``check(comparison, setting) -> tuple[Check, ...]``. One whose limit stands for a field of `Settings` names it in
``SETTING``: measures are then taken at that limit before the rule sees them, and without a limit the audit's own
setting holds. ``UNIT`` is the unit that people write its limit in, ``points`` or ``share``; a rule without it takes
none. A rule judges on a bound, never on an estimate, and reports what passed as well as what failed.
"""

from __future__ import annotations

from pathlib import Path

from prune_audit import plugins
from prune_audit.core import Check, Comparison, Policy
from prune_audit.rules._policy import default_policy, read_policy

__all__ = ["check", "chosen", "default_policy", "read_policy"]


def check(comparison: Comparison, policy: Policy) -> tuple[Check, ...]:
    """What every rule that ``policy`` names, and does not switch off, found in ``comparison``.

    Raises:
        UsageError: the policy names a rule that does not exist.
    """
    return tuple(
        found
        for name, setting in policy.rules.items()
        if setting.level != "off"
        for found in plugins.load("rules", name).check(comparison, setting)
    )


def chosen(path: Path | None, *, gate: bool) -> Policy | None:
    """The policy that a command line asks for: the file at ``path``, else the default one for ``gate``, else none."""
    if path is not None:
        return read_policy(path)
    return default_policy() if gate else None
