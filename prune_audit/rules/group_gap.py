"""Fails if a group is shown to lose more than another, beyond the limit.

Of the values of every column that was asked for with --by; it has nothing to say of classes. The gap fails by a lower
limit that holds for all pairs of groups of a column at once, so that at most 5 % of audits fail a column whose gap is
within the limit; it passes by its upper limit, which holds for each pair, and is inconclusive between. Each column is
judged by itself. The limit is in points.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, RuleSetting
from prune_audit.rules._bounds import at_most, limit_of, points, unsettled

NAME = "group-gap"
LIMIT = 0.05
DEFAULT = RuleSetting(level="off", limit=LIMIT)
UNIT = "points"
CHANGE = True


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check per column of groups; one that is skipped where there is none, so that it is seen to do nothing."""
    limit = limit_of(NAME, setting, LIMIT)
    checks = []
    for view in comparison.views:
        if "class" in view.by.split(","):
            continue
        gap, between = view.measure("group_gap"), view.measure("group_gap_between").overall
        if gap.overall_low is None or gap.overall_high is None:
            checks.append(unsettled(NAME, view.by, setting.level, limit, "skipped", gap.overall_absent or ""))
            continue
        interval, what = (gap.overall_low, gap.overall_high), f"the gap, widest between {between},"
        checks.append(at_most(NAME, view.by, setting.level, limit, interval, what=what, shown=points))
    nothing = unsettled(NAME, "model", setting.level, limit, "skipped", "no groups: name a column with --by")
    return tuple(checks) or (nothing,)
