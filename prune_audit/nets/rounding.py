"""How many zeros of a quantised weight rounding explains, so that they are not taken for pruning.

Quantisation sends every number within half a step of zero to zero: 1 to 3 % of a healthy 8-bit weight, 10 to 20 % of a
4-bit one, and whole kernels that weight decay has shrunk to nothing (up to a quarter of a layer in a published
ResNet-32), none of which anybody pruned. Number by number that cannot be told from what was cut, but it can where

- zeros have a gap beside them: what is left after a cut by magnitude lies away from zero, where without one there are
  as many numbers within k steps of zero as within the next k; or
- most numbers are zero, and more than the counts beside zero lead one to expect.

Then as many zeros are rounding as are expected, and else all of them. With n1 and n2 the mean counts one and two steps
from zero, on both sides, an exponential through both expects

    n0 = 2 n1 (exp(r/2) - 1) / (1 - exp(-r)),   r = log(n1 / n2)

zeros: n1 where the density is flat (r = 0), and more where it is peaked. Where most of what is left lies one step from
zero, the step is too coarse to tell, and every zero may be rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

# So many zeros with none beside them happen once in 20,000: each of three equal counts takes them with 1/3.
_FEW = 8
_SURE = 4.0  # standard deviations beyond which a difference of counts is no chance


def rounded(levels: npt.NDArray[np.integer]) -> int:
    """How many of the zeros of ``levels``, steps from the zero point in any shape, rounding explains."""
    lowest = int(levels.min(initial=0))
    counts = np.bincount(levels.reshape(-1) - lowest)
    count = {int(at) + lowest: int(counts[at]) for at in counts.nonzero()[0]}
    zeros = count.pop(0, 0)
    # Numbers that are all multiples of one step were rounded to that, whatever they are stored in.
    step = math.gcd(*count)
    if not zeros or not step:
        return 0
    away: dict[int, int] = {}
    for level, number in count.items():
        away[abs(level) // step] = away.get(abs(level) // step, 0) + number
    left, one, two = sum(away.values()), away.get(1, 0) / 2, away.get(2, 0) / 2
    if 4 * one > left:
        return zeros
    expected = _expected(one, two)
    chance = expected + _FEW + _SURE * math.sqrt(1.5 * expected)  # of the zeros, and of twice as many beside them
    if zeros <= chance or (zeros <= left and not _gap(away)):
        return zeros
    return min(zeros, round(expected))


def _gap(away: Mapping[int, int]) -> bool:
    """Whether numbers are missing near zero, by how many lie each number of steps ``away``."""
    for reach in (1, 2, 4, 8, 16, 32):
        near = sum(n for at, n in away.items() if at <= reach)
        next_to = sum(n for at, n in away.items() if reach < at <= 2 * reach)
        if 4 * near <= next_to and next_to - near > _SURE * math.sqrt(next_to + near):
            return True
    return False


def _expected(one: float, two: float) -> float:
    """Zeros by the counts ``one`` and two steps away; a half stands for a count of none."""
    rate = math.log(one / (two + 0.5)) if one > two + 0.5 else 0.0
    return one if rate < 1e-6 else 2 * one * math.expm1(rate / 2) / -math.expm1(-rate)
