"""Where a falling function crosses zero, for all strata at once.

Bisection, because score functions have corners where derivatives vanish; a fixed number of halvings makes two runs
agree to the last bit and costs the same whatever the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from prune_audit.core import Array, Floats

Brackets: TypeAlias = tuple[Floats, Floats]
"""Where to look for the root of each stratum: from (S,) to (S,)."""

HALVINGS = 60
"""Brackets here are at most 2 wide, so 60 halvings end below the spacing of doubles near 1 (2.2e-16)."""


def falling_root(f: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """The x within [low, high], of any shape, where ``f`` falls through zero; the bracket's end where it does not."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = f(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def first_count(near: Floats, reached: Callable[[Floats], Array], most: Floats) -> Floats:
    """The fewest of 0 to ``most`` (J,) at which ``reached``, which then holds for all more, does; most + 1: none.

    By trying, one count at a time, from ``near`` (J,), which is a root without whole numbers as a rule.
    """
    found = np.clip(np.ceil(near), 0, most + 1)
    while (one_less := (found > 0) & reached(np.maximum(found - 1, 0))).any():
        found = found - one_less
    while (one_more := (found <= most) & ~reached(np.minimum(found, most))).any():
        found = found + one_more
    return found


def limits(f: Callable[[Floats], Floats], z: float, low: Brackets, high: Brackets) -> tuple[Floats, Floats]:
    """Where ``f`` falls through ``z`` within ``low`` and through ``-z`` within ``high``, each (S,).

    ``f`` is asked for both at once, (2, S), since for a few strata a call costs more than its numbers.
    """
    level = np.array([[z], [-z]])
    start, end = (np.stack(ends) for ends in zip(low, high, strict=True))
    first, second = falling_root(lambda x: f(x) - level, start, end)
    return first, second


def standardised(difference: Floats, variance: Floats) -> Floats:
    """``difference`` (S,) in standard deviations; 0 where both vanish, infinite where the variance alone does."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = difference / np.sqrt(np.maximum(variance, 0.0))
    return np.where(difference == 0, 0.0, z)


def unskewed(z: Floats, third: Floats, variance: Floats) -> Floats:
    """A score ``z`` (S,) as it would be without skewness, from its third central moment and variance, each (S,).

    The root s of z = s + g (s^2 - 1), g = third / (6 variance^1.5): the first term of Cornish and Fisher's expansion
    (Gart, Nam, Biometrics 44 (1988) 323-338, as Laud, Pharmaceutical Statistics 16 (2017) 334-348, has it). Beyond the
    vertex of that parabola there is none, and the vertex counts. A score of 0 stays 0.
    """
    known = (variance > 0) & np.isfinite(z)
    z_known = np.where(known, z, 0.0)
    skew = np.where(known, third, 0.0) / (6 * np.where(known, variance, 1.0) ** 1.5)
    square = 1 + 4 * skew * (skew + z_known)
    beyond = square <= 0  # there skew is not 0
    # (root - 1) / (2 skew), written without a difference, so that no skewness leaves z as it is.
    root = 2 * (skew + z_known) / (1 + np.sqrt(np.where(beyond, 0.0, square)))
    corrected = np.where(beyond, -1 / (2 * np.where(beyond, skew, 1.0)), root)
    return np.where(z == 0, 0.0, np.where(known, corrected, z))
