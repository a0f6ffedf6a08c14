"""Fails if the pruned model's confidence is shown to be further off than before, beyond the limit.

Judges the interval of the paired change of the calibration error over all samples; single classes are not judged,
since their errors take thousands of samples to tell. Skipped where no scores were kept. The limit is in points.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, RuleSetting
from prune_audit.rules._bounds import at_most, limit_of, points, unsettled

NAME = "calibration"
LIMIT = 0.05
DEFAULT = RuleSetting(level="off", limit=LIMIT)
UNIT = "points"
MEASURE = "calibration_change"


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check of the model."""
    limit = limit_of(NAME, setting, LIMIT)
    change = comparison.views[0].measure("calibration_change")
    if change.overall_low is None or change.overall_high is None:
        return (unsettled(NAME, "model", setting.level, limit, "skipped", change.overall_absent or ""),)
    interval, what = (change.overall_low, change.overall_high), "the change of the calibration error"
    return (at_most(NAME, "model", setting.level, limit, interval, what=what, shown=points),)
