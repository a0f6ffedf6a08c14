"""The pruned model must be as sparse as is claimed.

Counts nonzero weights against all weights of the dense model, so that channels that were cut out count as zeros. A
layer's cut may be rounded to whole weights, and so one weight a layer is let pass. Zeros of quantised weights that
rounding explains were not cut, and count as weights. Where no weights can be seen, or some of the dense model's may be
among what could not be counted, the claim is open. The limit is the claimed density in percent; it has no default,
since only you know the claim.
"""

from __future__ import annotations

from prune_audit.core import Check, Comparison, RuleSetting
from prune_audit.rules._bounds import limit_of, unsettled

NAME = "density"
DEFAULT = RuleSetting(level="off")
UNIT = "percent"
EXACT = True
SEQUENTIAL = True


def check(comparison: Comparison, setting: RuleSetting) -> tuple[Check, ...]:
    """One check of the model; inconclusive where its weights cannot be counted."""
    claimed = limit_of(NAME, setting)
    layers = comparison.dense.layers or comparison.pruned.layers
    uncounted = comparison.pruned.uncounted
    beside = f"; not counted: {', '.join(uncounted)}" if uncounted else ""
    if comparison.kept is None:
        why = "not all weights can be counted" if comparison.pruned.layers else "no weights can be seen in the file"
        return (unsettled(NAME, "model", setting.level, claimed, "inconclusive", f"{why}{beside}"),)
    total, nonzero = sum(layer.total for layer in layers), comparison.pruned.nonzero
    dense = nonzero > claimed * total + len(layers)
    found = f"{nonzero:,} of {total:,} weights are not zero ({100 * comparison.kept:.4g} %)"
    return (
        Check(
            rule=NAME,
            subject="model",
            outcome="failed" if dense else "passed",
            level=setting.level,
            observed=comparison.kept,
            limit=claimed,
            message=f"{found}, {'more than' if dense else 'within'} the claimed {100 * claimed:.4g} %{beside}",
        ),
    )
