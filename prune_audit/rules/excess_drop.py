"""Fails if a class is shown to lose more points than the model does, beyond the limit.

What the class lost on top of what the whole model lost, in points, where `harmed` goes by shares of recall; with
--reference balanced, on top of what classes lost on average. A class fails by the lower limit that holds for all
classes of a view at once, so that 2.5 % of audits, and at worst 5 %, fail any class that does not lose more; it passes
by its own upper limit, and is inconclusive between. The limit is in points.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, RuleSetting
from prune_audit.core.lookup import subject
from prune_audit.rules._bounds import at_most, limit_of, points, unsettled

NAME = "excess-drop"
LIMIT = 0.05
DEFAULT = RuleSetting(level="off", limit=LIMIT)
UNIT = "points"
CHANGE = True


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check per stratum; skipped where it has no samples."""
    limit = limit_of(NAME, setting, LIMIT)
    checks = []
    for view in comparison.views:
        excess, least = view.measure("excess_drop"), view.measure("least_excess_drop").by_stratum
        for i, stratum in enumerate(view.strata):
            name, low, high = subject(view, stratum), least[i], excess.high[i]
            if high is None or not isinstance(low, int | float):
                checks.append(unsettled(NAME, name, setting.level, limit, "skipped", excess.absent[i]))
                continue
            checks.append(at_most(NAME, name, setting.level, limit, (low, high), what="the excess drop", shown=points))
    return tuple(checks)
