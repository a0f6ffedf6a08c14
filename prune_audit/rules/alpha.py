"""Fails if the slope of pruned on dense recall balances is shown to be steep: weak classes falling further behind.

Judges the interval of alpha corrected for sampling noise: at 1 a class that stood 10 % below accuracy still does, at
1.1, the default limit, it stands 11 % below, on average. A slope does not say whether gaps between classes grew; the
measure `spread_ratio` does. An interval without an upper limit never passes. Where the sample is too noisy to estimate
alpha, the check is inconclusive; a model that has collapsed is skipped.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, Outcome, RuleSetting
from prune_audit.rules._bounds import at_most, limit_of, ratio, unsettled

NAME = "alpha"
LIMIT = 1.1
DEFAULT = RuleSetting(level="off", limit=LIMIT)
UNIT = "ratio"
MEASURE = "alpha_corrected"


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check of the model, by class."""
    limit = limit_of(NAME, setting, LIMIT)
    view = comparison.views[0]
    alpha, state = view.measure("alpha_corrected"), view.measure("alpha_state")
    if alpha.overall_low is None:
        outcome: Outcome = "inconclusive" if state.overall is not None else "skipped"
        return (unsettled(NAME, "model", setting.level, limit, outcome, alpha.overall_absent or ""),)
    interval = alpha.overall_low, alpha.overall_high
    return (at_most(NAME, "model", setting.level, limit, interval, what="corrected alpha", shown=ratio),)
