"""What the gate says in words, and which of its checks a reader must see.

A pass names what it does not mean, and the checks come by what is at stake, so that a list that is cut loses its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from prune_audit.core import CANNOT_TELL, HARMED, REGRESSED, SINCE, Audit, Check, Comparison, Outcome, lookup
from prune_audit.printable import printable
from prune_audit.render import rounded, wording


def outcome_of(audit: Audit, comparison: Comparison) -> Outcome:
    """What the gate says of one variant alone."""
    return replace(audit, comparisons=(comparison,)).outcome


def short_outcome(audit: Audit, comparison: Comparison) -> str:
    """The same in a cell, with the number of failures that are excused."""
    waived = replace(audit, comparisons=(comparison,)).waived
    return f"{outcome_of(audit, comparison)}, {waived:,} waived" if waived else outcome_of(audit, comparison)


def telling(audit: Audit) -> list[Comparison]:
    """The variants whose details a reader must see: of several, those that failed or have something flagged."""
    if len(audit.comparisons) == 1:
        return list(audit.comparisons)
    return [
        comparison
        for comparison in lookup.densest_first(audit.comparisons)
        if outcome_of(audit, comparison) == "failed"
        or any(
            lookup.those(v, "verdict", [REGRESSED]) or lookup.those(v, "distortion", HARMED) for v in comparison.views
        )
    ]


def told(audit: Audit) -> str:
    """What was judged, and what a pass does not mean."""
    provenance, policy = audit.provenance, audit.policy
    if provenance.limited:
        return "No gate: this audit saw a sample of the data, and a sample never gates."
    if policy is None:
        return "No gate was asked for; `prune-audit check` judges a saved audit, `compare --gate` a new one."
    checks = [c for comparison in audit.comparisons for c in comparison.checks if c.level == "error"]
    count = {outcome: sum(c.outcome == outcome for c in checks) for outcome in ("failed", "inconclusive")}
    name = f"Gate {printable(policy.name)}" + (f" against {printable(audit.baseline)}" if audit.baseline else "")
    unsettled = rounded.several(count["inconclusive"], "check")
    if audit.outcome == "failed":
        also = f", {count['inconclusive']:,} could not be settled" if count["inconclusive"] else ""
        waived = f" {rounded.several(audit.waived, 'check')} waived." if audit.waived else ""
        return f"{name}: FAILED. {count['failed']:,} of {rounded.several(len(checks), 'check')} failed{also}.{waived}"
    if not any(c.outcome != "skipped" for c in checks):
        return f"{name}: nothing was checked, which says nothing about the models."
    excused = f" with {rounded.several(audit.waived, 'check')} waived" if audit.waived else ""
    rest = len(checks) - audit.waived
    others = f"{'the other ' if audit.waived else ''}{rounded.several(rest, 'check')}"
    said = f"None of {others} failed" if rest else "There is no other"
    if audit.outcome == "inconclusive":
        verb = "forbids" if policy.inconclusive == "forbid" else "allows"
        return (
            f"{name}: INCONCLUSIVE{excused}. {said}, but {unsettled} could not be settled with these "
            f"data, which the policy {verb}."
        )
    return f"{name}: passed{excused}. {said}; what these data cannot rule out stands above."


def sparsest(audit: Audit) -> str | None:
    """How far one may go among several variants; None where there is no gate or nothing to choose.

    A variant with a failure that is waived, or known in the baseline, is let through, which is not to say that it
    passes; nor do those that come after it in the order.
    """
    found = audit.sparsest
    if found is None:
        return None
    tried = f"{found.tried:,} of {rounded.several(found.variants, 'variant')} tried"
    order = wording.DENSEST_FIRST if found.order == "density" else wording.AS_GIVEN
    if found.name is None:
        return f"Sparsest variant that passes: none ({tried}, {order})."
    chosen = next(c for c in audit.comparisons if c.pruned.name == found.name)
    unsure = " Not everything about it could be told." if outcome_of(audit, chosen) == "inconclusive" else ""
    name = printable(found.name)
    if not found.waived:
        return f"Sparsest variant that passes: {name} ({tried}, {order}).{unsure} Confirm it on fresh data."
    known = f" or known in {printable(audit.baseline)}" if audit.baseline else ""
    return (
        f"Sparsest variant that the gate lets through: {name} ({tried}, {order}), with "
        f"{rounded.several(found.waived, 'check')} waived{known} up to it.{unsure} Sparsest that passes without: "
        f"{'none' if found.unwaived is None else printable(found.unwaived)}. Confirm it on fresh data."
    )


def checks(audit: Audit, comparison: Comparison) -> tuple[Check, ...]:
    """The checks of a gate; where none was asked for, the verdicts on strata in the form of checks that only warn.

    So that a report made of checks does not look clean where nobody asked for a judgement. A sample never gates: there
    are none.
    """
    if audit.provenance.limited:
        return ()
    if audit.policy is not None:
        return comparison.checks
    settings, found = audit.provenance.settings, []
    for view in comparison.views:
        for rule, name, fails, limit in (
            ("recall-drop", "verdict", (REGRESSED,), settings.margin),
            ("harmed", "distortion", HARMED, settings.retention_margin),
        ):
            measure = lookup.find(view, name)
            if measure is None and view.pair.sequential:  # which says nothing of harm
                continue
            for i, verdict in enumerate(lookup.column(view, name)):
                outcome: Outcome = "failed" if verdict in fails else "passed"
                if verdict is None or verdict == CANNOT_TELL:
                    outcome = "inconclusive" if verdict else "skipped"
                found.append(
                    Check(
                        rule=rule,
                        subject=lookup.subject(view, view.strata[i]),
                        outcome=outcome,
                        level="warn",
                        observed=None,
                        limit=limit,
                        message=str(verdict) if verdict else measure.absent.get(i, "") if measure else "",
                    )
                )
    return tuple(found)


def subjects(audit: Audit, comparison: Comparison) -> set[str]:
    """What the checks of one variant are about that decide the outcome: classes, and COLUMN=VALUE.

    Those that failed or are waived, and where the policy forbids what cannot be told, those that cannot.
    """
    forbids = audit.policy is not None and audit.policy.inconclusive == "forbid"
    decide = {"failed", "waived", "inconclusive"} if forbids else {"failed", "waived"}
    return {check.subject.removesuffix(SINCE) for check in checks(audit, comparison) if check.outcome in decide}


def notable(audit: Audit, outcomes: Sequence[Outcome] = ("failed", "inconclusive")) -> list[tuple[str, Check]]:
    """The checks that a reader must see, those of ``outcomes``, with the variant that each is of.

    Errors before warnings, then in the order of ``outcomes``; of each, the model's own first, then classes and groups
    by change, the worst first, whatever their variant. A warning that no number stands behind (a waiver that has
    expired, a collapse) follows on the errors that failed, of which it may be the cause.
    """
    order = {outcome: rank for rank, outcome in enumerate(outcomes)}
    seen = []
    for comparison in audit.comparisons:
        changes = {
            lookup.subject(view, view.strata[i]): change
            for view in comparison.views
            for i, change in enumerate(lookup.moves(view))
        }
        for check in checks(audit, comparison):
            if check.outcome in order:
                change = changes.get(check.subject.removesuffix(SINCE))
                moved = change if isinstance(change, (int, float)) else -math.inf
                bare = check.level != "error" and check.outcome == "failed" and check.limit is None
                rank = (check.level != "error" and not bare, order[check.outcome], bare, moved)
                seen.append((rank, comparison.pruned.name, check))
    return [(name, check) for _, name, check in sorted(seen, key=lambda entry: entry[0])]
