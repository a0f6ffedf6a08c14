"""How much more recall a class lost than the model lost accuracy.

Pruning that costs every class 3 points has no excess anywhere; a class with an excess of 5 points paid 5 points more
than its share, and a negative excess means that it paid less. excess = (lost - gained) / n - (drop of accuracy).

The excess accuracy gap of Hashemizadeh et al., ICLR 2024 (arXiv 2310.20673); weighted by class size it sums to 0.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._column import column, without_samples

RANK = 70


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:  # noqa: ARG001  # the contract of the room
    """Drop of the class minus drop of the model; positive is worse than the model."""
    n = pair.support
    net = pair.lost - pair.gained  # (S,)
    drop = net / np.maximum(n, 1)
    return (
        column("excess_drop", "excess drop", "points", drop - net.sum() / max(int(n.sum()), 1), without_samples(pair)),
    )
