"""How much more recall a class lost than the model lost accuracy.

Pruning that costs every class 3 points has no excess anywhere. A class with an excess of 5 points lost 5 points more
than the model did, and one with a negative excess lost less.

    excess = (lost - gained) / n - drop of accuracy

The drop of accuracy is that of --weights where classes have some, and with --reference balanced it is the mean drop of
all classes (or groups), each counted alike. The excess accuracy gap of Hashemizadeh et al., ICLR 2024 (arXiv
2310.20673); weighted as classes are in that accuracy, it sums to 0. It is (1 - share of the class in that accuracy) x
(its drop - the drop of the rest), and the two are independent, so their Tango intervals combine by squares (Newcombe
1998; MOVER, Zou and Donner 2008). The largest excess drop has an interval that holds
over all classes of a view at once (Bonferroni), whose lower ends are what every class is shown to have lost in excess
at least: in 2.5 % of audits is any of them above the truth, as confidence 95 % has it, and in 5 % at the very worst,
large classes at the limit that gained nothing. Tango's own would let that be 7 to 18 % (`_exact`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from prune_audit.core import Array, Floats, Measure, Pair, Settings
from prune_audit.stats import _exact, _tango
from prune_audit.stats._column import column, no_things, without_samples
from prune_audit.stats._effective_counts import overall, reference, share_of, sides

RANK = 70

Interval: TypeAlias = Callable[[Array, Array, Array, float], tuple[Floats, Floats]]


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Drop of the class minus drop of the model, positive is worse than the model; and the largest of them."""
    n, net = pair.support, pair.lost - pair.gained  # (S,)
    some = n > 0
    excess = net / np.maximum(n, 1) - (overall(pair, net, reference(pair, settings)) or 0.0)
    low, high = _limits(pair, excess, settings, settings.confidence, _tango.interval)
    largest: tuple[float, float, float] | None = None
    shared = 1 - (1 - settings.confidence) / max(int(some.sum()), 1)
    all_low, all_high = _limits(pair, excess, settings, shared, _exact.drop)
    if some.any():
        largest = float(excess[some].max()), float(all_low[some].max()), float(all_high[some].max())
    value, least, most = largest or (None, None, None)
    return (
        column("excess_drop", "excess drop", "points", excess, without_samples(pair), limits=(low, high)),
        column(
            "least_excess_drop",
            f"excess drop at least, of all {pair.task.strata(pair.by)[1]} at once",
            "points",
            all_low,
            without_samples(pair),
        ),
        Measure(
            name="largest_excess_drop",
            title="largest excess drop",
            unit="points",
            overall=value,
            overall_low=least,
            overall_high=most,
            overall_absent=None if largest else no_things(pair),
        ),
    )


def _limits(
    pair: Pair, excess: Floats, settings: Settings, confidence: float, interval: Interval
) -> tuple[Floats, Floats]:
    """Limits (low, high) of the excess drop, each (S,); where there is no rest the excess is 0 by definition."""
    if pair.same_model:
        return excess, excess
    own, rest = ((s.lost, s.gained, np.where(s.n > 0, s.n, 1)) for s in sides(pair, settings, confidence=confidence))
    low, high = interval(*own, confidence)
    rest_low, rest_high = interval(*rest, confidence)
    drop, rest_drop = (own[0] - own[1]) / own[2], (rest[0] - rest[1]) / rest[2]
    share = 1 - share_of(pair, settings)  # (S,) of the rest
    below = share * np.sqrt((drop - low) ** 2 + (rest_high - rest_drop) ** 2)
    above = share * np.sqrt((high - drop) ** 2 + (rest_drop - rest_low) ** 2)
    return excess - below, excess + above
