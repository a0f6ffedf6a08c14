"""Every class must be acceptable to most of the people who rated it."""

from __future__ import annotations

from collections.abc import Mapping

from prune_audit.core import Audit, Check, Comparison, Measure, RuleSetting

DEFAULT = RuleSetting(level="off", limit=0.5)
UNIT = "share"


def rated(audit: Audit, variant: str, ratings: Mapping[str, float]) -> Audit:
    """``audit`` with the share of people, class by class, to whom what ``variant`` does is acceptable."""
    strata = next(c for c in audit.comparisons if c.pruned.name == variant).view().strata
    shares = tuple(ratings.get(name) for name in strata)
    absent = {at: "nobody rated it" for at, share in enumerate(shares) if share is None}
    measure = Measure(name="acceptable", title="acceptable", unit="share", by_stratum=shares, absent=absent)
    return audit.beside(variant, measure)


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """A check of each class that was rated."""
    view = comparison.view()
    limit = DEFAULT.limit if setting.limit is None else setting.limit
    return tuple(
        Check(
            rule="acceptable",
            subject=name,
            level=setting.level,
            outcome="passed" if share >= (limit or 0) else "failed",
            observed=share,
            limit=limit,
            message=f"{name} is acceptable to {share:.0%} of the people who rated it",
        )
        for name, share in zip(view.strata, view.measure("acceptable").by_stratum, strict=True)
        if isinstance(share, float)
    )
