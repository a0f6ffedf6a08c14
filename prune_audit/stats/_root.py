"""Where a falling function crosses zero, for all strata at once.

Bisection, because score functions have corners where derivatives vanish; a fixed number of halvings makes two runs
agree to the last bit and costs the same whatever the data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prune_audit.core import Floats

HALVINGS = 60
"""Brackets here are at most 2 wide, so 60 halvings end below the spacing of doubles near 1 (2.2e-16)."""


def falling_root(f: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """The x (S,) within [low, high] where ``f`` falls through zero; the bracket's own end where it does not."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = f(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def standardised(difference: Floats, variance: Floats) -> Floats:
    """``difference`` (S,) in standard deviations; 0 where both vanish, infinite where the variance alone does."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = difference / np.sqrt(np.maximum(variance, 0.0))
    return np.where(difference == 0, 0.0, z)
