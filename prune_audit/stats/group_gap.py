"""How much more one group lost than another.

Where pruning costs one group 6 points and another 1, the gap is 5. Pruning then serves them unequally, whatever gap
there was before.

    gap = largest drop - smallest drop, over the groups
    low = max over pairs of the lower limit, at a shared confidence
    high = max over pairs of the upper limit, of each pair by itself

Drops of two groups are independent, so the limits of their difference join their Tango intervals by squares (Newcombe
1998). Which two groups lie farthest apart is chosen after seeing them, so that a gap is shown only by a limit that
holds for all pairs of a view at once (Bonferroni): in at most 5 % of audits is the lower limit above the true gap, as
confidence 95 % has it, with limits that hold that far out in the tail (`_exact`). That none is larger is true only if
it is true of each pair. Samples that share a cluster across groups make the interval wider than it need be. For groups
alone: classes are compared by their excess drops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from prune_audit.core import Array, Floats, Measure, Pair, Settings
from prune_audit.stats import _exact, _tango
from prune_audit.stats._effective_counts import sides

RANK = 75

Interval: TypeAlias = Callable[[Array, Array, Array, float], tuple[Floats, Floats]]


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """The gap of drops with its limits, and between whom it is; of the view, absent where it is of classes."""
    some = pair.support > 0  # (S,)
    if "class" in pair.by.split(","):
        return _measures(f"of groups alone; {pair.task.stratum[1]} have excess drops")
    if some.sum() < 2:
        return _measures(f"fewer than two groups have {pair.task.thing[1]}")
    names = [name for name, has in zip(pair.strata, some, strict=True) if has]
    drop: Floats = ((pair.lost - pair.gained) / np.maximum(pair.support, 1))[some]  # (G,)
    most, least = int(drop.argmax()), int(drop.argmin())
    between = f"{names[most]} and {names[least]}"
    gap = float(drop[most] - drop[least])
    if pair.same_model:
        return _measures(None, (0.0, 0.0, 0.0), between)
    # Of an interval with two ends for each pair: either group may be the one that lost more.
    pairs = len(names) * (len(names) - 1) / 2

    def limits(interval: Interval, confidence: float) -> tuple[Floats, Floats]:
        own, _ = sides(pair, settings, confidence=confidence)
        return interval(own.lost[some], own.gained[some], own.n[some], confidence)

    shared = limits(_exact.drop, 1 - (1 - settings.confidence) / pairs)
    alone = limits(_tango.interval, settings.confidence)
    ends = [(_least(i, drop, *shared), _most(i, drop, *alone)) for i in range(len(names))]
    return _measures(None, (gap, max(0.0, *(low for low, _ in ends)), max(high for _, high in ends)), between)


def _least(i: int, drop: Floats, low: Floats, high: Floats) -> float:
    """The largest lower limit of how much more group ``i`` lost than another; arrays (G,)."""
    return float(np.delete(drop[i] - drop - np.hypot(drop[i] - low[i], high - drop), i).max())


def _most(i: int, drop: Floats, low: Floats, high: Floats) -> float:
    """The largest upper limit of the same."""
    return float(np.delete(drop[i] - drop + np.hypot(high[i] - drop[i], drop - low), i).max())


def _measures(
    why_not: str | None, gap: tuple[float, float, float] | None = None, between: str | None = None
) -> tuple[Measure, ...]:
    value, low, high = gap or (None, None, None)
    return (
        Measure(
            name="group_gap",
            title="gap between groups",
            unit="points",
            overall=value,
            overall_low=low,
            overall_high=high,
            overall_absent=why_not,
        ),
        Measure(
            name="group_gap_between", title="gap is between", unit="label", overall=between, overall_absent=why_not
        ),
    )
