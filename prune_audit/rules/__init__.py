"""`Comparison` to `Check`s: a policy rule is a file here.

A plugin defines ``DEFAULT``, the `RuleSetting` of the default policy, and
``check(comparison, setting) -> tuple[Check, ...]``. One whose limit stands for a field of `Settings` names it in
``SETTING``: measures are then taken at that limit before the rule sees them, and without a limit the audit's own
setting holds. ``UNIT`` is the unit that people write its limit in, ``points``, ``percent``, ``share``, ``ratio`` or
``samples``, and ``LEAST`` the least of it that can be meant; a rule without it takes none. ``CHANGE = True`` says that
it judges a change between two models and not a state of one, so that it can also be asked what changed since a
baseline; ``EXACT = True`` that it counts what no luck can change. ``MEASURE`` names the measure of the model that it
judges where no pairing can tell what changed, so that its value in a baseline is what may not be exceeded.
``SEQUENTIAL = True`` says that it can judge an audit whose drawing stopped once classes were settled, which has none of
the numbers that take the number of samples for fixed; other rules are inconclusive there. ``BUDGET = True`` says that
it fails strata which lost more than the margin, so that a budget of error over releases may decide in its place. A rule
judges on a bound, never on an estimate, and reports what passed as well as what failed.
"""

from __future__ import annotations

from prune_audit import plugins
from prune_audit.core import Check, Comparison, Policy, RuleSetting
from prune_audit.rules._policy import chosen, default_policy, found, read_policy
from prune_audit.rules._presets import PRESETS, preset
from prune_audit.rules._values import SETTINGS, UNITS, Given, of_rule, overlaid, typed
from prune_audit.rules._written import toml

__all__ = [
    "PRESETS",
    "SETTINGS",
    "UNITS",
    "Given",
    "check",
    "chosen",
    "default_policy",
    "found",
    "of_rule",
    "overlaid",
    "preset",
    "read_policy",
    "toml",
    "typed",
]

CONTRACT = ("DEFAULT", "check")
"""What a plugin must have."""


def check(comparison: Comparison, policy: Policy) -> tuple[Check, ...]:
    """What every rule that ``policy`` names, and does not switch off, found in ``comparison``.

    Raises:
        UsageError: the policy names a rule that does not exist.
        PluginError: a rule of another package fails.
    """
    found: list[Check] = []
    for name, setting in policy.rules.items():
        if setting.level != "off":
            module = plugins.load("rules", name)
            if comparison.views[0].pair.sequential and not getattr(module, "SEQUENTIAL", False):
                found.append(_not_asked(name, setting))
                continue
            with plugins.blamed("rules", name):  # which ends the run: what a rule cannot judge has not passed
                found += module.check(comparison, setting)
    return tuple(found)


def _not_asked(name: str, setting: RuleSetting) -> Check:
    """The check of a rule that needs numbers which a sequential audit has not."""
    return Check(
        rule=name,
        subject="model",
        outcome="inconclusive",
        level=setting.level,
        observed=None,
        limit=setting.limit,
        message="this rule needs numbers of a fixed number of samples, and these were run until classes were settled: "
        "run all data for it, without --until-settled",
    )
