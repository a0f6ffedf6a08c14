"""A policy applied to an audit, fresh or read back from its document, without model or data.

It is called gate and not judge, because a module of that name would hide the function `prune_audit.judge`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prune_audit import plugins, rules, stats
from prune_audit.core import Audit, Policy, Settings


def judge(audit: Audit, policy: Policy) -> Audit:
    """``audit`` judged by ``policy``.

    Some limits are settings of the statistics (a rule says so with ``SETTING``): where the policy's differ from those
    that the audit was measured with, the statistics are measured again, from the counts that the audit holds.
    """
    settings = _settings_of(policy, audit.provenance.settings)
    comparisons = []
    for comparison in audit.comparisons:
        if settings != audit.provenance.settings:
            again = tuple(replace(v, measures=stats.measures(v.pair, settings)) for v in comparison.views)
            comparison = replace(comparison, views=again)
        comparisons.append(replace(comparison, checks=rules.check(comparison, _resolved(policy, settings))))
    provenance = replace(audit.provenance, settings=settings)
    return replace(audit, comparisons=tuple(comparisons), provenance=provenance, policy=policy)


def _settings_of(policy: Policy, settings: Settings) -> Settings:
    """``settings`` with the limits that ``policy`` sets; the assurance limit gives way to a wider margin."""
    limits: dict[str, Any] = {}
    for name, rule in policy.rules.items():
        setting = getattr(plugins.load("rules", name), "SETTING", None)
        if setting is not None and rule.limit is not None and rule.level != "off":
            limits[setting] = rule.limit
    if "margin" in limits:
        limits["assure"] = max(limits["margin"], limits.get("assure", settings.assure))
    return replace(settings, **limits)


def _resolved(policy: Policy, settings: Settings) -> Policy:
    """``policy`` with the limits that stand for settings filled in, so that every check can say its limit."""
    filled = dict(policy.rules)
    for name, rule in policy.rules.items():
        setting = getattr(plugins.load("rules", name), "SETTING", None)
        if setting is not None and rule.limit is None:
            filled[name] = replace(rule, limit=getattr(settings, setting))
    return replace(policy, rules=filled)
