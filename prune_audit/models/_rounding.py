"""How many zeros of a quantised weight rounding explains, so that they are not taken for pruning.

Quantisation sends every number within half a step of zero to zero: 1 to 3 % of a healthy 8-bit weight and 10 to 20 % of
a 4-bit one, which nobody pruned. What was rounded can no longer be told from what was cut, number by number; but
rounding leaves as many zeros as the counts beside zero lead one to expect, and pruning leaves more. Weights that are
kept by magnitude leave nothing beside zero at all, so that every zero is then a cut one.

With n1 and n2 the mean counts one and two steps from zero, on both sides, an exponential through both expects

    n0 = 2 n1 (exp(r/2) - 1) / (1 - exp(-r)),   r = log(n1 / n2)

zeros: n1 where the density is flat (r = 0), and more where it is peaked. That is right for Laplace's density, and too
many for a Gaussian, so that what is doubtful counts as rounding. Where most of what is left lies one step from zero,
the step is too coarse to tell, and every zero may be rounding.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

# So many zeros with none beside them happen once in 20,000: each of three equal counts takes them with 1/3.
_FEW = 8
_SURE = 4.0  # standard deviations, likewise


def rounded(levels: npt.NDArray[np.integer]) -> int:
    """How many of the zeros of ``levels``, steps from the zero point in any shape, rounding explains.

    All of them where they are no more than chance allows, else as many as are expected.
    """
    lowest = int(levels.min(initial=0))
    counts = np.bincount(levels.reshape(-1) - lowest)
    count = {int(at) + lowest: int(counts[at]) for at in counts.nonzero()[0]}
    zeros = count.pop(0, 0)
    # Numbers that are all multiples of one step were rounded to that, whatever they are stored in.
    step = math.gcd(*count)
    if not zeros or not step:
        return 0
    one, two = ((count.get(k * step, 0) + count.get(-k * step, 0)) / 2 for k in (1, 2))
    if 4 * one > sum(count.values()):
        return zeros
    expected = _expected(one, two)
    chance = expected + _FEW + _SURE * math.sqrt(1.5 * expected)  # of the zeros, and of twice as many beside them
    return zeros if zeros <= chance else min(zeros, round(expected))


def _expected(one: float, two: float) -> float:
    """Zeros by the counts ``one`` and two steps away; a half stands for a count of none."""
    rate = math.log(one / (two + 0.5)) if one > two + 0.5 else 0.0
    return one if rate < 1e-6 else 2 * one * math.expm1(rate / 2) / -math.expm1(-rate)
