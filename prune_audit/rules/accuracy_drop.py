"""Fails if the model is shown to lose more accuracy than the limit.

The paired interval of the drop of accuracy decides: above the limit fails, below it passes, across it is
inconclusive. A model that has collapsed fails whatever the interval. The limit is written in points.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, Outcome, RuleSetting
from prune_audit.core.lookup import overall_rate

LIMIT = 0.02
DEFAULT = RuleSetting(level="error", limit=LIMIT)
CHANGE = True
UNIT = "points"


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check of the model; skipped where there are no samples."""
    view = comparison.views[0]
    change = view.measure("change")
    limit = LIMIT if setting.limit is None else setting.limit
    observed = None
    outcome: Outcome
    if change.overall_low is None or change.overall_high is None:
        outcome, message = "skipped", change.overall_absent or ""
    else:
        low, high = 0.0 - change.overall_high, 0.0 - change.overall_low
        found = f"interval of the drop of {overall_rate(view)} {100 * low:.1f} to {100 * high:.1f} points"
        if view.measure("collapsed").overall == "yes":
            outcome, observed, message = "failed", low, f"the pruned model has collapsed; {found}"
        elif low > limit:
            outcome, observed, message = "failed", low, f"{found}, beyond {100 * limit:g}"
        elif high < limit:
            outcome, observed, message = "passed", high, f"{found}, below {100 * limit:g}"
        else:
            outcome, observed, message = "inconclusive", high, f"{found}, across {100 * limit:g}"
    return (
        Check(
            rule="accuracy-drop",
            subject="model",
            outcome=outcome,
            level=setting.level,
            observed=observed,
            limit=limit,
            message=message,
        ),
    )
