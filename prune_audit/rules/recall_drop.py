"""Fails if a class is shown to lose more recall than the margin.

Judges the verdict `regressed` / `fine` / `cannot tell`, which is drawn from the interval of the drop and its
corrected p-value; the observed value is the end of that interval which decides: the least drop that is shown where
the class failed, the worst plausible drop otherwise. The limit is the margin, written in points.
"""

from __future__ import annotations

from prune_audit.core import REGRESSED, Check, Comparison, RuleSetting, Value, View
from prune_audit.rules._verdicts import verdict_checks

DEFAULT = RuleSetting(level="error")
CHANGE = True
UNIT = "points"
SETTING = "margin"
SEQUENTIAL = True
BUDGET = True


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check per stratum: regressed fails, cannot tell is inconclusive, fine passes."""
    return verdict_checks(
        comparison,
        setting,
        rule="recall-drop",
        verdict="verdict",
        reason="reason",
        fails=(REGRESSED,),
        bound=_bound,
    )


def _bound(view: View, i: int, failed: bool) -> Value:
    change = view.measure("change")
    limit = (change.high if failed else change.low)[i]
    return None if limit is None else 0.0 - limit  # not -limit: no drop is 0, not -0
