"""No class may lose more than a share of what the dense model got right."""

from __future__ import annotations

from prune_audit.core import Check, Comparison, RuleSetting

DEFAULT = RuleSetting(level="error", limit=0.25)
UNIT = "share"


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check for all classes together, on the worst of them."""
    view = comparison.view()
    shares = zip(view.measure("lost_share").by_stratum, view.strata, strict=True)
    worst = max((share, name) for share, name in shares if isinstance(share, float))
    limit = DEFAULT.limit if setting.limit is None else setting.limit
    failed = limit is not None and worst[0] > limit
    return (
        Check(
            rule="few-half-lost",
            subject=worst[1],
            level=setting.level,
            outcome="failed" if failed else "passed",
            observed=worst[0],
            limit=limit,
            message=f"{worst[1]} lost {worst[0]:.0%} of what was right",
        ),
    )
