"""Did gaps between classes grow? The spread of the pruned model's recall balances over that of the dense model's.

At 1 classes lie as far apart, relative to the accuracy of their model, as before; at 2 twice as far. It says that gaps
grew or shrank only where its interval leaves out 1, and whose gaps they are it does not say.

    ratio = sqrt((sum y^2 - noise of y^2) / (sum x^2 - noise of x^2))
    x, y: the dense and the pruned balance of each class

Alpha is this ratio times the correlation of x and y, so that a slope below 1 may stand beside gaps that grew: classes
changed places. The noise of a sum of squares is what samples of such sizes add to it, sum H^2 q (1 - q) / (n - 1) with
H the derivatives of the balances by the recalls q; what is negative after it counts as 0. The interval is Fieller's
(1954) for the ratio of the two sums, roots taken, with their covariances by the delete-one jackknife and Student's t
with Satterthwaite's degrees of freedom; where the lower limit is 0, the upper one takes the variance that a spread as
large as itself would have. Where the dense sum is not shown to be above 0 there is a lower limit alone, `at least`.
Where lambda is below .5 (see alpha) the ratio is not estimable.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from prune_audit.core import Array, Floats, Measure, Pair, Settings
from prune_audit.stats._alpha import ESTIMABLE, Squares, counts, fieller, noise, squares, too_noisy

RANK = 125


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """The ratio of the model with its interval, whose upper limit is None where there is none."""
    cells, mass, why_not = counts(pair, settings)
    if why_not:
        return _measures(why_not)
    if pair.same_model:
        return _measures(None, 1.0, (1.0, 1.0))
    found = squares(cells, mass)
    if found.reliability < ESTIMABLE:
        return _measures(too_noisy(found.reliability))
    if not math.isfinite(found.freedom + sum(found.variance)):
        return _measures(f"not estimable: without one {pair.task.thing[0]} no gaps would be left")
    if not any(found.variance):
        return _measures(f"not estimable: no {pair.task.rates[0]} shows sampling noise")
    low, high = _interval(found, len(cells), float(stdtrit(found.freedom, (1 + settings.confidence) / 2)))
    return _measures(None, _root(found.pruned / found.dense), (_root(low), None if high is None else _root(high)))


def of_recalls(dense: Floats, pruned: Floats, support: Array) -> float | None:
    """The ratio alone, from the recalls (C,) of both models and the samples (C,) of each class, not weighted.

    None where the counts that they are of would have none either.
    """
    some = support >= 2
    n = support[some].astype(np.float64)
    sums = []
    for recall in (dense[some], pruned[some]):
        level = n @ recall / n.sum() if n.sum() else 0.0
        if not level:
            return None
        square = float(((recall / level - 1) ** 2).sum())
        sums.append((square, square - noise(recall, n, n / n.sum())[0]))
    (spread, real), (_, after) = sums
    return _root(after / real) if spread and real / spread >= ESTIMABLE else None


def _interval(found: Squares, classes: int, t: float) -> tuple[float, float | None]:
    """Where (pruned - r dense)^2 is at most t^2 of its variance, for a ratio r of squares that is not negative.

    These r are an interval where the dense square is shown to differ from 0; otherwise they are all from the lower
    limit on, or all there are.
    """
    of_dense, of_pruned = found.variance
    square, middle, constant, half = fieller(found.pruned, found.dense, (of_pruned, of_dense), found.covariance, t)
    if square <= 0:
        # The positive root, without dividing by a square near 0.
        return (constant / (middle + half) if constant > 0 and found.pruned > 0 else 0.0), None
    low, high = (middle - half) / square, (middle + half) / square
    if low > 0:
        return low, high
    # Pruned classes that look level by luck show the jackknife no variance: that which a pruned square of r dense has.
    trace, trace_of_square = found.noise
    middle += t * t * 2 * found.dense * trace / (classes - 1)
    constant = found.pruned**2 - t * t * 2 * trace_of_square
    return low, max(high, (middle + math.sqrt(max(middle * middle - square * constant, 0.0))) / square)


def _root(square: float) -> float:
    return math.sqrt(max(square, 0.0))


def _measures(
    why_not: str | None, ratio: float | None = None, limits: tuple[float, float | None] | None = None
) -> tuple[Measure, ...]:
    low, high = limits or (None, None)
    return (
        Measure(
            name="spread_ratio",
            title="spread of balances, pruned over dense",
            unit="ratio",
            overall=ratio,
            overall_low=low,
            overall_high=high,
            overall_absent=why_not,
        ),
    )
