"""How many samples a verdict takes, counted out before there are any.

Samples of a class are lost, gained or neither: a multinomial, whose every outcome has its verdict. Summed over what is
gained, the outcomes of one verdict are an interval of what is lost, because the score rises with every sample lost; so
a power is one sum of binomial tails, exact, and no simulation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import bdtr

from prune_audit.core import Array, Floats
from prune_audit.stats import _binomial, _margin_test, _tango
from prune_audit.stats._root import first_count

POWER = 0.8
"""The usual convention for a planned study: found in four of five cases."""

MOST = 1 << 20
"""Samples of a class beyond which no plan is sought."""


def chance_fine(n: int, lost: float, gained: float, limit: float, confidence: float = 0.95) -> float:
    """P(the interval of the drop lies below ``limit``), where these shares of ``n`` samples are lost and gained."""
    z = _tango.two_sided(confidence)
    of = _likely(n, gained)  # (J,)
    too_many = first_count(lambda at: _tango.score(at, of, np.full_like(of, n), limit) >= -z, n - of)
    return float(_binomial.mass(of, n, gained) @ _below(too_many, n - of, _given(lost, gained)))


def chance_regressed(
    n: int, lost: float, gained: float, margin: float, confidence: float = 0.95, classes: int = 1
) -> float:
    """P(the drop is shown beyond ``margin``, interval and exact p), by a class that is corrected as one of ``classes``.

    p is held against its share of the level, as where no other class regressed.
    """
    z, level = _tango.two_sided(confidence), (1 - confidence) / classes
    of = _likely(n, gained)

    def shown(at: Floats) -> Array:
        size = np.full_like(of, n)
        beyond = _tango.score(at, of, size, margin) > z
        p = np.ones_like(of)
        p[beyond] = _margin_test.p_values(at[beyond], of[beyond], size[beyond], margin, level)
        return np.asarray(p <= level)

    enough = first_count(shown, n - of)
    return float(_binomial.mass(of, n, gained) @ (1 - _below(enough, n - of, _given(lost, gained))))


def samples_for_fine(
    limit: float, churn: float, *, classes: int = 1, power: float = POWER, confidence: float = 0.95
) -> int | None:
    """The fewest samples a class so that all of ``classes`` unchanged ones read `fine` with ``power``.

    Half of the ``churn`` is lost and half gained. None where it takes more than `MOST`. Counts are whole, so that the
    chance rises in a saw, with a tooth for each further lost sample that is allowed: it may fall below ``power`` once
    more within 1 / ``limit`` samples of what is returned.
    """
    wanted = power ** (1 / classes)
    return _fewest(lambda n: chance_fine(n, churn / 2, churn / 2, limit, confidence) >= wanted, int(np.ceil(2 / limit)))


def smallest_drop_convicted(
    n: int, churn: float, margin: float, *, classes: int = 1, power: float = POWER, confidence: float = 0.95
) -> float | None:
    """The smallest true drop that reads `regressed` with ``power``, to 1e-4; None where not even all lost would.

    The churn is what is seen where nothing is lost on balance: half of it is gained, and the drop is lost besides.
    """
    gained = churn / 2
    low, high = margin, 1 - 2 * gained

    def found(drop: float) -> bool:
        return chance_regressed(n, gained + drop, gained, margin, confidence, classes) >= power

    if high <= low or not found(high):
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def _fewest(reached: Callable[[int], bool], teeth: int) -> int | None:
    """The fewest samples at which ``reached`` holds: near there by halving, and the first of the last ``teeth``."""
    low, high = 0, 16
    while not reached(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return next(n for n in range(max(high - teeth, 1), high + 1) if reached(n))


def _likely(n: int, share: float) -> Floats:
    """How many of ``n`` samples may be gained, (J,): the chance of any other number is below 1e-14."""
    sd = np.sqrt(n * share * (1 - share))
    low, high = max(0, int(n * share - 8 * sd - 10)), min(n, int(n * share + 8 * sd + 25))
    return np.arange(low, high + 1.0)


def _given(lost: float, gained: float) -> float:
    """P(lost) of a sample that is not gained."""
    return min(lost / (1 - gained), 1.0) if gained < 1 else 0.0


def _below(first: Floats, left: Floats, share: float) -> Floats:
    """P(X < first), X ~ Binomial(left, share), each (J,)."""
    none, all_ = first <= 0, first > left
    inside = np.where(none | all_, 1, first)
    return np.where(none, 0.0, np.where(all_, 1.0, bdtr(inside - 1, np.maximum(left, 1).astype(np.int64), share)))
