"""What the gate says in words, and which of its checks a reader must see.

A pass names what it does not mean, and the checks come by what is at stake, so that a list that is cut loses its end.
"""

from __future__ import annotations

import math
from dataclasses import replace

from prune_audit.core import Audit, Check, Comparison, Outcome
from prune_audit.reports import _words as w


def outcome_of(audit: Audit, comparison: Comparison) -> Outcome:
    """What the gate says of one variant alone."""
    return replace(audit, comparisons=(comparison,)).outcome


def told(audit: Audit) -> str:
    """What was judged, and what a pass does not mean."""
    provenance, policy = audit.provenance, audit.policy
    if provenance.limited:
        return "No gate: this audit saw a sample of the data, and a sample never gates."
    if policy is None:
        return "No gate was asked for; `prune-audit check` judges a saved audit, `compare --gate` a new one."
    checks = [c for comparison in audit.comparisons for c in comparison.checks if c.level == "error"]
    count = {outcome: sum(c.outcome == outcome for c in checks) for outcome in ("failed", "inconclusive", "waived")}
    name = f"Gate {w.printable(policy.name)}"
    unsettled = w.several(count["inconclusive"], "check")
    waived = f" {w.several(count['waived'], 'check')} waived." if count["waived"] else ""
    if audit.outcome == "failed":
        also = f", {count['inconclusive']:,} could not be settled" if count["inconclusive"] else ""
        return f"{name}: FAILED. {count['failed']:,} of {w.several(len(checks), 'check')} failed{also}.{waived}"
    if not any(c.outcome != "skipped" for c in checks):
        return f"{name}: nothing was checked, so nothing is shown."
    if audit.outcome == "inconclusive":
        verb = "forbids" if policy.inconclusive == "forbid" else "allows"
        return (
            f"{name}: INCONCLUSIVE. None of {w.several(len(checks), 'check')} failed, but {unsettled} could not be "
            f"settled with these data, which the policy {verb}.{waived}"
        )
    return (
        f"{name}: passed. None of {w.several(len(checks), 'check')} failed; what these data cannot rule out stands "
        f"above.{waived}"
    )


def notable(audit: Audit) -> list[tuple[str, Check]]:
    """The checks that a reader must see, with the variant that each is of.

    Errors before warnings, failed ones before those that could not be settled; of each, the model's own first, then
    classes and groups by change, the worst first, whatever their variant.
    """
    order = {"failed": 0, "inconclusive": 1}
    seen = []
    for comparison in audit.comparisons:
        changes = {
            stratum if view.by == "class" else f"{view.by}={stratum}": change
            for view in comparison.views
            for stratum, change in zip(view.strata, w.column(view, "change"), strict=True)
        }
        for check in comparison.checks:
            if check.outcome in order:
                change = changes.get(check.subject)
                moved = change if isinstance(change, (int, float)) else -math.inf
                seen.append(((check.level != "error", order[check.outcome], moved), comparison.pruned.name, check))
    return [(name, check) for _, name, check in sorted(seen, key=lambda entry: entry[0])]
