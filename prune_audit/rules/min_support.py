"""Every class must have enough samples to be judged at all.

A demand on the data and not on the model: without it a class that nobody photographed passes for one that is well. A
count has no interval, so there is nothing between pass and fail. The limit is a number of samples.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, RuleSetting
from prune_audit.core.lookup import subject, things
from prune_audit.rules._bounds import limit_of

NAME = "min-support"
LIMIT = 30
DEFAULT = RuleSetting(level="off", limit=LIMIT)
UNIT = "samples"


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check per stratum, those without samples too."""
    limit = limit_of(NAME, setting, LIMIT)
    return tuple(
        Check(
            rule=NAME,
            subject=subject(view, stratum),
            outcome="failed" if support < limit else "passed",
            level=setting.level,
            observed=support,
            limit=limit,
            message=f"{support:,} {things(view)[1]}, {'fewer than' if support < limit else 'at least'} {limit:g}",
        )
        for view in comparison.views
        for stratum, support in zip(view.strata, view.pair.support.tolist(), strict=True)
    )
