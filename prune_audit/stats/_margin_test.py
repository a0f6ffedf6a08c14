"""Is a drop beyond the margin shown? The exact test behind `regressed`.

Far out in the tail, where a class among a thousand is convicted, no normal curve is to be trusted: where every class
has lost exactly the margin and gained nothing, Tango's score T flags some class in 9 to 21 % of audits. Here the tail
of T is counted. Given P(gained) = g and P(lost) = g + margin it is a sum over the multinomial; g is unknown, so the
largest sum over an interval of g counts, plus the chance ``beta`` that g is not in there (Berger, Boos, Journal of the
American Statistical Association 89 (1994) 1012-1016). The level then holds for every g: by enumeration of 50 to 1,000
samples (tests/stats/test_margin_test.py).

Counts divided by a design effect are fractions, and have no such sum. For them T is corrected for its skewness (Gart,
Nam, Biometrics 44 (1988) 323-338; Laud, Pharmaceutical Statistics 16 (2017) 334-348).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import betainc, betaincinv, ndtr

from prune_audit.core import Array, Floats
from prune_audit.stats import _binomial, _tango
from prune_audit.stats._root import first_count

OUTSIDE = 0.001
"""Of the level that one class has in its family, what is spent on P(gained) being outside its interval."""

COARSE, FINE = 24, 9
"""Values of g at which the tail is summed: over the interval, and once more beside the largest of these."""

UNSEEN = 1.2
"""At a score so low p is above .1 and decides nothing: it is not computed, and 1 stands for it."""

NOTHING = 1e-30
"""A chance of so many gained samples beside which it does not matter how many are lost."""

ROUNDING = 1e-9
"""Two outcomes whose scores differ by less are tied: scores here are below 1e3, with some 12 digits."""


def p_values(lost: Array, gained: Array, n: Array, margin: float, level: float, least: float = UNSEEN) -> Floats:
    """One-sided p (S,) of a drop of at most ``margin``; 1 where the score is not above ``least``; ``n`` positive.

    ``level`` is that of one class in its family. p is exact where counts are whole, and then above ``level`` / 1000.
    """
    t = _tango.score(lost, gained, n, margin)
    whole = (lost % 1 == 0) & (gained % 1 == 0) & (n % 1 == 0)
    p = np.where(whole, 1.0, ndtr(-_tango.skewness_corrected(lost, gained, n, margin)))
    p[t <= least] = 1.0
    for i in (whole & (t > least)).nonzero()[0].tolist():
        p[i] = tail(int(lost[i]), int(gained[i]), int(n[i]), margin, OUTSIDE * level)
    return p


@lru_cache(maxsize=1 << 16)
def tail(lost: int, gained: int, n: int, margin: float, beta: float) -> float:
    """The chance, at most, of a score as large as this ``lost`` and ``gained`` have, where the drop is ``margin``.

    Kept by its counts: classes share them, and so do the variants of an audit.
    """
    low, high = _interval(gained, n, margin, beta)
    first = max(0, int(n * low - 7 * np.sqrt(n * low * (1 - low)) - 10))
    last = min(n, int(n * high + 7 * np.sqrt(n * high * (1 - high)) + 25))
    of = np.arange(first, last + 1.0)  # (J,) that may be gained: the chance of any other is below 1e-11
    enough = _enough(lost, gained, n, margin, of)
    root = np.linspace(np.sqrt(low), np.sqrt(high), COARSE)  # equal steps of sqrt(g): its error is the same everywhere
    found = _chance(root**2, margin, n, of, enough)
    at = int(found.argmax())
    beside = np.linspace(root[max(at - 1, 0)], root[min(at + 1, COARSE - 1)], FINE)
    more = _chance(beside**2, margin, n, of, enough)
    return min(1.0, float(max(found.max(), more.max())) + beta)


def _interval(gained: int, n: int, margin: float, beta: float) -> tuple[float, float]:
    """Clopper and Pearson's limits of P(gained), outside of which it is with a chance of ``beta``."""
    most = (1 - margin) / 2  # lost and gained share the samples
    low = float(betaincinv(gained, n - gained + 1, beta / 2)) if gained else 0.0
    high = float(betaincinv(gained + 1, n - gained, 1 - (beta / 2 if gained else beta))) if gained < n else 1.0
    return min(low, most), min(high, most)


def _enough(lost: int, gained: int, n: int, margin: float, of: Floats) -> Floats:
    """How many lost samples (J,) score as high as was seen beside each of ``of`` (J,) gained; n - of + 1: none do."""
    seen = _tango.score(np.array([float(lost)]), np.array([float(gained)]), np.array([float(n)]), margin)
    least = float(seen[0]) - ROUNDING
    size = np.full_like(of, n)
    near = _tango.boundary(of, size, margin, least)
    return first_count(near, lambda at: np.asarray(_tango.score(at, of, size, margin) >= least), n - of)


def _chance(g: Floats, margin: float, n: int, of: Floats, enough: Floats) -> Floats:
    """P(score as high as seen), (G,), where P(gained) is ``g`` (G,) and P(lost) is ``margin`` more."""
    g = g[:, None]
    gain = _binomial.mass(of, n, g)  # (G, J)
    possible = enough <= n - of
    wanted = np.where(possible, enough, 1)
    loss = np.ones_like(gain)
    share = np.minimum((g + margin) / (1 - g), 1)
    asked = (wanted > 0) & (gain > NOTHING)
    betainc(np.maximum(wanted, 1), np.maximum(n - of - wanted, 0) + 1, share, out=loss, where=asked)
    chance: Floats = (gain * np.where(possible, loss, 0.0)).sum(axis=1)
    return chance
