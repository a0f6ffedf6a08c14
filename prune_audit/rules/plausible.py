"""The dense model must look as if it had been run as it was trained.

What speaks against it are doubts and no proof: another usual preprocessing is right more often, a batch normalisation
sees other inputs than in training, the checkpoint says that it had a far better accuracy. So it warns, and a policy may
ask that there be none. It takes no limit.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, RuleSetting

DEFAULT = RuleSetting(level="warn")
SEQUENTIAL = True


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check of the dense model."""
    doubts = comparison.doubts
    return (
        Check(
            rule="plausible",
            subject="model",
            outcome="failed" if doubts else "passed",
            level=setting.level,
            observed=len(doubts),
            limit=None,
            message="; ".join(f"the dense model: {doubt}" for doubt in doubts)
            or "nothing speaks against the dense model having been run as it was trained",
        ),
    )
