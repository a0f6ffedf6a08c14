"""What is logged of an audit, whatever the service: numbers by name, and what they are of.

Numbers are called ``VARIANT/accuracy`` and ``VARIANT/recall_change/CLASS``. Shares are shares and nothing is rounded. A
character that MLflow does not allow in a name becomes an underscore, and names that are then equal get numbers; other
services allow more, and are given the same names, so that what reads one reads all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from prune_audit.core import Audit
from prune_audit.core.rows import overall_of

LONGEST = 250  # characters of a number's name that MLflow takes
# Of the model as a whole, and the columns of `prune_audit.core.rows.overall_of` that are called otherwise there.
OVERALL = (
    *("density", "kept", "macs", "dense_accuracy", "accuracy", "change", "change_low", "change_high"),
    *("regressed", "harmed", "cannot_tell", "worst_plausible_drop", "churn"),
    *("alpha", "alpha_r_squared", "alpha_corrected", "alpha_corrected_low", "alpha_corrected_high"),
)
COLUMNS = {"alpha": "intensification", "alpha_r_squared": "r_squared"}


def metrics(audit: Audit) -> dict[str, float]:
    """What is logged, by name: the numbers of each variant as a whole and the change of each class's recall."""
    found: dict[str, float] = {}
    for name, value in _metrics(audit):
        at, number = name, 1
        while at in found:
            number += 1
            at = f"{name[: LONGEST - 8]}_{number}"
        found[at] = value
    return found


def _metrics(audit: Audit) -> Iterator[tuple[str, float]]:
    wholes = {row["variant"]: row for row in overall_of(audit.comparisons, audit.outcomes) if row["by"] == "class"}
    for comparison in audit.comparisons:
        variant = _safe(comparison.pruned.name)
        row = wholes.get(comparison.pruned.name, {})
        for name in OVERALL:
            value = row.get(COLUMNS.get(name, name))
            if isinstance(value, (int, float)):
                yield f"{variant}/{name}"[:LONGEST], float(value)
        for view in comparison.views:
            changes = next((m.by_stratum for m in view.measures if m.name == "change"), ())
            group = "recall_change" if view.by == "class" else f"recall_change_{_safe(view.by)}"
            for stratum, change in zip(view.strata, changes, strict=False):
                if isinstance(change, (int, float)):
                    yield f"{variant}/{group}/{_safe(stratum)}"[:LONGEST], float(change)


def _safe(name: str) -> str:
    """``name`` as a part of a metric's name: of letters, digits, blanks, dots, dashes; never a path of its own."""
    safe = re.sub(r"[^\w.\- ]", "_", name).strip()[:100].strip()
    return re.sub(r"^\.*$", "_", safe)


def facts(audit: Audit) -> dict[str, str]:
    """What the numbers are of and came to: outcome, policy, data, samples, dense model, version."""
    p = audit.provenance
    return {
        "outcome": audit.outcome,
        "policy": audit.policy.name if audit.policy is not None else "none",
        "data": p.data,
        "data-digest": p.data_digest,
        "samples": f"{p.samples} of {p.available}",
        "dense": audit.comparisons[0].dense.digest,
        "version": p.versions.get("prune-audit", ""),
    }
