"""The pruned model must still do better than guessing.

A collapsed model has no distortion to judge, so without this rule it would be skipped rather than failed. It takes no
limit: what guessing gets follows from the labels.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, Outcome, RuleSetting

DEFAULT = RuleSetting(level="error")


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check of the model; skipped where there are no samples."""
    view = comparison.views[0]
    answer, chance = view.measure("collapsed"), view.measure("chance_accuracy")
    accuracy = view.measure("pruned_recall").overall
    outcome: Outcome
    if answer.overall is None:
        outcome, message = "skipped", answer.overall_absent or ""
    elif answer.overall == "yes":
        outcome = "failed"
        message = f"the pruned model has collapsed: accuracy {accuracy:.1%}, where guessing gets {chance.overall:.1%}"
    else:
        outcome, message = "passed", "the model does better than guessing, or is not shown to have fallen"
    return (
        Check(
            rule="collapsed",
            subject="model",
            outcome=outcome,
            level=setting.level,
            observed=accuracy,
            limit=chance.overall,
            message=message,
        ),
    )
