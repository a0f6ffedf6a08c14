"""What else is done about it: three common ways to flag classes, on the same draws as ours.

They serve as yardsticks only, so they are written down as their users would, without guards.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from prune_audit.core import Array, Counts, Floats


def _recalls(draws: Counts) -> tuple[Floats, Floats, Floats, Floats]:
    """Recalls (A, C) and accuracies (A, 1) of either model."""
    n = draws.sum(axis=-1)
    dense, pruned = draws[..., 0] + draws[..., 1], draws[..., 0] + draws[..., 2]
    total = n.sum(axis=-1, keepdims=True)
    return (
        dense / n,
        pruned / n,
        dense.sum(axis=-1, keepdims=True) / total,
        pruned.sum(axis=-1, keepdims=True) / total,
    )


def balances(draws: Counts) -> tuple[Floats, Floats]:
    """Normalised recall balances (A, C) of the dense and of the pruned model."""
    p, q, before, after = _recalls(draws)
    return p / before - 1, q / after - 1


def naive(draws: Counts) -> Array:
    """(A, C): |new balance| > |old balance|."""
    before, after = balances(draws)
    flagged: Array = np.abs(after) > np.abs(before)
    return flagged


def unpaired(draws: Counts) -> Floats:
    """z (A, C) of the two-proportion test with pooled variance, positive where recall fell; 0 where nothing varies."""
    n = draws.sum(axis=-1)
    p, q, _, _ = _recalls(draws)
    pooled = (p + q) / 2
    error = np.sqrt(2 * pooled * (1 - pooled) / n)
    z: Floats = np.divide(p - q, error, out=np.zeros_like(p), where=error > 0)
    return z


def delta(draws: Counts) -> Floats:
    """z (A, C) of the change of balance q / A' - p / A by the delta method, class sizes fixed; negative where it fell.

    A class's variance is a sum over all classes j of g_j^2 var(q_j) + h_j^2 var(p_j) + 2 g_j h_j cov(q_j, p_j), with
    g, h the gradients; that of j = c differs from the others' by 1 / A' and 1 / A.
    """
    n = draws.sum(axis=-1)
    p, q, before, after = _recalls(draws)
    w = n / n.sum(axis=-1, keepdims=True)
    var_p, var_q, cov = p * (1 - p) / n, q * (1 - q) / n, (draws[..., 0] / n - p * q) / n
    g, h = q / after**2, -p / before**2  # gradient of a class in the recalls of others, but for their weight

    def total(x: Floats) -> Floats:
        return np.asarray((w**2 * x).sum(axis=-1, keepdims=True))

    of_all = g**2 * total(var_q) + h**2 * total(var_p) + 2 * g * h * total(cov)
    a, b = -w * g, -w * h  # in its own recalls through the accuracy alone
    own_a, own_b = a + 1 / after, b - 1 / before
    own = (own_a**2 - a**2) * var_q + (own_b**2 - b**2) * var_p + 2 * (own_a * own_b - a * b) * cov
    change = q / after - p / before
    with np.errstate(divide="ignore", invalid="ignore"):
        z = change / np.sqrt(np.maximum(of_all + own, 0))
    return np.where(np.abs(change) < 1e-12, 0.0, z)


def two_sided(z: Floats) -> Floats:
    """p-values of ``z``."""
    return np.asarray(2 * ndtr(-np.abs(z)))
