"""A column of verdicts to checks, one per stratum: what the rules on single classes have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection

from prune_audit.core import CANNOT_TELL, Check, Comparison, Outcome, RuleSetting, Value, View
from prune_audit.core.lookup import subject


def verdict_checks(
    comparison: Comparison,
    setting: RuleSetting,
    *,
    rule: str,
    verdict: str,
    reason: str,
    fails: Collection[str],
    bound: Callable[[View, int, bool], Value],
) -> tuple[Check, ...]:
    """One check per stratum of every view, from the measures named ``verdict`` and ``reason``.

    A verdict within ``fails`` fails, `cannot tell` is inconclusive, and a stratum without a verdict is skipped.
    ``bound(view, position, failed)`` is what was held against the limit.
    """
    checks = []
    for view in comparison.views:
        verdicts, reasons = view.measure(verdict), view.measure(reason)
        for i, stratum in enumerate(view.strata):
            found = verdicts.by_stratum[i]
            outcome: Outcome
            if found is None:
                outcome, message = "skipped", verdicts.absent[i]
            else:
                failed = found in fails
                outcome = "failed" if failed else "inconclusive" if found == CANNOT_TELL else "passed"
                message = f"{found}: {reasons.by_stratum[i]}"
            checks.append(
                Check(
                    rule=rule,
                    subject=subject(view, stratum),
                    outcome=outcome,
                    level=setting.level,
                    observed=None if found is None else bound(view, i, outcome == "failed"),
                    limit=setting.limit,
                    message=message,
                )
            )
    return tuple(checks)
