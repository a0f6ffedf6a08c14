"""Evidence that may be looked at after every sample: bets on the paired outcomes, and the intervals that they give.

A sample is worth 1 where it is lost, -1 where it is gained and else 0, so that its mean is the drop. Who bets a share
of a capital against the hypothesis, sample after sample, at odds that are fair under it, owns on average no more than
at the start, whenever the game ends: an e-process (Waudby-Smith, Ramdas, Journal of the Royal Statistical Society B 86
(2024) 1-27). It exceeds 1 / alpha at any time at all with a probability of at most alpha (Ville 1939). Nine fixed bets
share the capital, so that it is a function of the counts, and neither order nor looks need be remembered.

Everything is in logarithms, since a capital grows and falls like a power of the number of samples.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Array, Floats
from prune_audit.stats._root import falling_root

BETS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95)
"""Shares of the capital: small ones pay where the drop is near the limit, large ones where it is far beyond."""
EDGE = 1e-12
"""How near to a drop of everything or a gain of everything the interval is looked for; nearer, its end is just that."""


def log_e(lost: Array, gained: Array, n: Array, drop: Array | float) -> Floats:
    """The logarithm of the e-value against "at most ``drop`` is lost", for each stratum: shapes (..., S), broadcast.

    With b = bet / (1 + drop): the mean over bets of (1 + b (1 - drop))^lost (1 - bet)^gained (1 - b drop)^rest, for a
    ``drop`` within (-1, 1]. That at least ``drop`` is lost is the same with ``lost`` and ``gained`` exchanged, and
    ``-drop``.
    """
    limit = np.asarray(drop, np.float64)[..., None]
    bets = np.array(BETS)
    b = bets / (1 + limit)  # (..., 1 or S, K)
    logs = (
        np.asarray(lost)[..., None] * np.log1p(b * (1 - limit))
        + np.asarray(gained)[..., None] * np.log1p(-bets)
        + np.asarray(n - lost - gained)[..., None] * np.log1p(-b * limit)
    )
    most = logs.max(axis=-1)
    mixed: Floats = most + np.log(np.exp(logs - most[..., None]).mean(axis=-1))
    return mixed


def sequence(lost: Array, gained: Array, n: Array, confidence: float) -> tuple[Floats, Floats]:
    """The drops (low, high), (S,) each, that no bet has refuted: at any time, all at once, with ``confidence``.

    Each limit is where the e-value on its side is 2 / (1 - confidence); it falls with the limit, so that what is left
    is an interval. Without samples it is -1 to 1.
    """
    level = np.log(2 / (1 - confidence))

    def lower(up: Array, down: Array) -> Floats:
        start, end = np.full(len(n), EDGE - 1), np.ones(len(n))
        found = falling_root(lambda drop: log_e(up, down, n, drop) - level, start, end)
        return np.where(found <= 2 * EDGE - 1, -1.0, found)

    return lower(lost, gained), -lower(gained, lost)
