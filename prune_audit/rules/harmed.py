"""Fails if a class is shown to pay more for the pruning than the rest of the model does.

Judges the distortion verdict: `intensified`, `flipped`, `created` and plain `harmed` fail, `cannot tell` is
inconclusive, descriptions such as `held better` pass. The observed value is the end of the interval of retention
that decides. The limit is the retention margin, a share of what the rest kept.
"""

from __future__ import annotations

from prune_audit.core import HARMED, Check, Comparison, RuleSetting, Value, View
from prune_audit.rules._verdicts import verdict_checks

DEFAULT = RuleSetting(level="error")
CHANGE = True
UNIT = "share"
SETTING = "retention_margin"


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check per stratum; a stratum whose place cannot be compared is skipped."""
    return verdict_checks(
        comparison,
        setting,
        rule="harmed",
        verdict="distortion",
        reason="distortion_reason",
        fails=HARMED,
        bound=_bound,
    )


def _bound(view: View, i: int, failed: bool) -> Value:
    retention = view.measure("retention")
    return (retention.high if failed else retention.low)[i]
