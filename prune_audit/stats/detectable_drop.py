"""The smallest drop that this many samples could have shown.

Where no drop was found, this says how much that is worth. A drop of this size, at the churn seen, would have been
found in four of five audits.

    n drop^2 = (z_a sqrt(churn) + z_b sqrt(churn - drop^2))^2
    churn = (lost + gained) / n

Connor, Biometrics 43 (1987) 207-211, solved for the drop in closed form; z_a is two-sided at the audit's confidence,
shared by all classes (Bonferroni) unless no correction was asked for, and z_b is a power of .8. No drop can exceed
the churn: where the solution does, none is detectable. Rough where fewer than ten samples flipped.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._column import column, without_samples
from prune_audit.stats._sides import sides

RANK = 80

POWER = 0.8
"""The usual convention for a planned study: found in four of five cases."""


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Detectable drop of recall; absent, "undetectable", where not even losing every flipped sample would show."""
    samples, flips = np.maximum(pair.support, 1), pair.lost + pair.gained  # (S,)
    churn = flips / samples
    n = np.where(pair.support > 0, sides(pair, settings)[0].n, 1)
    classes = 1 if settings.correction == "none" else max(int((pair.support > 0).sum()), 1)
    z_a, z_b = float(ndtri(1 - (1 - settings.confidence) / 2 / classes)), float(ndtri(POWER))
    under_root = n + z_b**2 - z_a**2
    drop = np.sqrt(churn) * (z_a * np.sqrt(n) + z_b * np.sqrt(np.maximum(under_root, 0.0))) / (n + z_b**2)
    hopeless = (under_root < 0) | (drop > churn) | (flips == 0)
    absent = {
        int(i): f"undetectable: with {flips[i]} of {samples[i]} samples flipped no drop can show"
        for i in hopeless.nonzero()[0]
    }
    return (column("detectable_drop", "detectable drop", "points", drop, absent | without_samples(pair)),)
