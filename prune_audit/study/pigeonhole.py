"""How far the mean alpha of a cell would move with new seeds and new samples: the pigeonhole bootstrap.

Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1:386-411 (doi 10.1214/07-AOAS122): rows and columns
of a crossed table are drawn anew, each by itself and with replacement. Here the rows are seeds and the columns samples,
drawn within their class, because how many a class has was decided by whoever gathered the data. One draw of the samples
serves every model of every seed, dense and pruned, as one audit set does; a draw of seeds takes a dense network with
all that was pruned from it.

Alpha is no mean: the scatter of samples pulls it, and drawing from samples adds as much scatter once more. So the draws
lie beside the alpha that they are of, and farther than they lie apart where classes are many: of 100 classes of 50
samples the plain percentiles at 95 % hold the estimate itself in 1 % of studies. Here they are shifted, so that their
median is the estimate. What they are an interval of is the alpha that so many samples show on average.

Few seeds that are drawn anew scatter less than seeds do, by (S - 1) / S and by the tails of Student's t: where seeds
make most of the scatter the percentiles at 99 % would cover .92 with 5 seeds. So what is given is the hull of them and
of the t interval over the seeds: who asks more is never told less.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Floats
from prune_audit.study.samples import Right

SEEDS = 5
"""Fewer seeds cannot be drawn from: of 4 there are no more than 35 different draws."""
DRAWS = 4_000
"""Of an interval at 99 % 20 draws lie beyond either end."""
SEED = 2007
LEVEL = 1e-12
"""A sum of squared dense balances below this is one of rounding: all classes stand at the accuracy."""
AT_ONCE = 200  # draws, whose sums over hundreds of runs then fit the cache of a processor


def alphas(runs: Sequence[Right], sizes: Array, draws: int = DRAWS) -> Floats:
    """Alpha (B, R) of each of ``runs`` in each of ``draws`` draws of the samples, which are the same for all runs.

    ``sizes`` (C,) are the samples of each class. Alpha is as `prune_audit.stats.intensification` has it: the slope
    through the origin of the recall balances of classes, pruned on dense; NaN where a draw leaves none.
    """
    keys = list({id(run.dense): run.dense for run in runs}.values())  # runs of one dense network may share it
    places = {id(dense): at for at, dense in enumerate(keys)}
    of = np.array([places[id(run.dense)] for run in runs])  # (R,)
    bits = np.stack([*keys, *(run.pruned for run in runs)]).T.astype(np.float32)  # (N, D + R)
    by_class = np.split(bits, np.cumsum(sizes[sizes > 0])[:-1])
    rng = np.random.default_rng(SEED)
    parts = [min(AT_ONCE, draws - start) for start in range(0, draws, AT_ONCE)]
    return np.concatenate([_alphas(by_class, of, part, rng) for part in parts])


def _alphas(by_class: Sequence[npt.NDArray[np.float32]], of: Array, draws: int, rng: np.random.Generator) -> Floats:
    """Alpha (B, R) in some of the draws, of the dense models ``of`` (R,) that runs were pruned from.

    ``by_class`` has of each class which of D dense and behind them R pruned models are right, (n, D + R).
    """
    models = by_class[0].shape[1]
    dense, pruned = slice(models - len(of)), slice(models - len(of), None)
    right, level = np.zeros((2, draws, models))
    square, product = np.zeros((draws, models - len(of))), np.zeros((draws, len(of)))
    for own in by_class:
        n = len(own)
        picked = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
        times = np.bincount(picked.ravel(), minlength=draws * n).reshape(draws, n)
        found = (times.astype(np.float32) @ own).astype(np.float64)  # whole numbers, which float32 holds to 16 million
        right += found
        found /= n
        level += found
        square += found[:, dense] ** 2
        product += found[:, dense][:, of] * found[:, pruned]
    # sum x^2 and sum x y of the balances x = p / a - 1 and y = q / b - 1, multiplied out.
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = right / sum(map(len, by_class))
        level /= accuracy
        square = square / accuracy[:, dense] ** 2 - 2 * level[:, dense] + len(by_class)
        product /= accuracy[:, dense][:, of] * accuracy[:, pruned]
        product += len(by_class) - level[:, dense][:, of] - level[:, pruned]
        return np.asarray(product / np.where(square > LEVEL, square, np.nan)[:, of])


def means(values: Floats, stream: int = 0) -> Floats:
    """The means (B,) over S seeds of ``values`` (B, S), one for each draw of the samples, the seeds drawn anew in each.

    Of as many seeds the same are drawn each time; another ``stream`` draws others.

    Raises:
        ValueError: there are fewer than `SEEDS` seeds.
    """
    draws, seeds = values.shape
    if seeds < SEEDS:
        raise ValueError(f"expected {SEEDS} seeds, found {seeds}")
    picked = np.random.default_rng((SEED, stream, seeds)).integers(seeds, size=(draws, seeds))
    found: Floats = np.take_along_axis(values, picked, axis=1).mean(axis=1)
    return found


def interval(
    drawn: Floats, estimate: float, over_seeds: tuple[float, float] | None, confidence: float
) -> tuple[float, float]:
    """The percentiles of what was ``drawn`` (B,), shifted so that the median is the ``estimate`` that it is of.

    No narrower than the interval ``over_seeds``, where there is one.
    """
    low, middle, high = np.quantile(drawn, [(1 - confidence) / 2, 0.5, (1 + confidence) / 2])
    ends = [float(estimate + low - middle), float(estimate + high - middle), *(over_seeds or ())]
    return min(ends), max(ends)
