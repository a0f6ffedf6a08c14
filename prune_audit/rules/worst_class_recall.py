"""Fails if a class is shown to end below a floor, whatever it was before.

For a product that promises a recall to everybody. A class fails where its recall is below the floor even at the upper
limit that holds for all classes of a view at once: in at most 2.5 % of audits does any fail that is not below it. It
passes where its own lower limit is at the floor or above, falsely in 2.5 % of cases, so that all pass falsely no more
often than one; between, it is inconclusive. The limit is the floor in percent; there is no default, since no floor
suits every model.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, Outcome, RuleSetting
from prune_audit.core.lookup import rate, subject
from prune_audit.rules._bounds import limit_of, unsettled

NAME = "worst-class-recall"
DEFAULT = RuleSetting(level="off")
UNIT = "percent"
LEAST = 1  # a smaller floor is a share by mistake, and would pass anything


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check per stratum; skipped where it has no samples."""
    floor = limit_of(NAME, setting)
    checks = []
    for view in comparison.views:
        recall, ceiling = view.measure("pruned_recall"), view.measure("recall_at_most").by_stratum
        for i, stratum in enumerate(view.strata):
            name, low, high = subject(view, stratum), recall.low[i], ceiling[i]
            if low is None or not isinstance(high, int | float):
                checks.append(unsettled(NAME, name, setting.level, floor, "skipped", recall.absent[i]))
                continue
            outcome: Outcome = "failed" if high < floor else "passed" if low >= floor else "inconclusive"
            found = f"{rate(view)} {recall.by_stratum[i]:.1%}, at least {low:.1%} and at most {high:.1%}"
            where = {"failed": "below", "passed": "not below", "inconclusive": "across"}[outcome]
            checks.append(
                Check(
                    rule=NAME,
                    subject=name,
                    outcome=outcome,
                    level=setting.level,
                    observed=high if outcome == "failed" else low,
                    limit=floor,
                    message=f"{found}; {where} the floor of {100 * floor:g} %",
                )
            )
    return tuple(checks)
