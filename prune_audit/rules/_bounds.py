"""An interval held against a limit: what the rules on single numbers have in common.

One place decides which end of an interval convicts, which acquits, and what is reported as observed, so that no rule
can slip into judging an estimate.
"""

from __future__ import annotations

from collections.abc import Callable

from prune_audit.core import Check, Level, Outcome, RuleSetting, Value
from prune_audit.errors import UsageError


def limit_of(rule: str, setting: RuleSetting, default: float | None = None) -> float:
    """The limit to judge by. Raises `UsageError` where a rule has no default and none was set."""
    limit = default if setting.limit is None else setting.limit
    if limit is None:
        raise UsageError(f"the rule {rule} needs a limit", hint=f"--rule {rule}=error:LIMIT, or limit in the policy")
    return limit


def at_most(
    rule: str,
    subject: str,
    level: Level,
    limit: float,
    interval: tuple[float, float | None],
    *,
    what: str,
    shown: Callable[[float], str],
) -> Check:
    """A check that a quantity does not exceed ``limit``: failed where it is shown to, passed where that is ruled out.

    ``what`` names the quantity and ``shown`` writes it in the unit that people type. Where ``interval`` has no upper
    limit nothing is ruled out.
    """
    low, high = interval
    limits = f"at least {shown(low)}" if high is None else f"{shown(low)} to {shown(high)}"
    found = f"interval of {what} {limits}"
    outcome: Outcome
    observed: Value
    if low > limit:
        outcome, observed, message = "failed", low, f"{found}, beyond {shown(limit)}"
    elif high is not None and high <= limit:
        outcome, observed, message = "passed", high, f"{found}, not beyond {shown(limit)}"
    else:
        outcome, observed, message = "inconclusive", high, f"{found}, across {shown(limit)}"
    return Check(
        rule=rule, subject=subject, outcome=outcome, level=level, observed=observed, limit=limit, message=message
    )


def unsettled(rule: str, subject: str, level: Level, limit: float | None, outcome: Outcome, message: str) -> Check:
    """A check of which nothing was observed: skipped or inconclusive."""
    return Check(rule=rule, subject=subject, outcome=outcome, level=level, observed=None, limit=limit, message=message)


def points(share: float) -> str:
    """A difference of shares, as people type it."""
    return f"{100 * share:.1f} points"


def ratio(value: float) -> str:
    """A ratio, as people type it."""
    return f"{value:.2f}"
