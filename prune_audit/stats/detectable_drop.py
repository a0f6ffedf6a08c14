"""The smallest drop that this many samples would have shown.

A true drop of this size would be found in four of five audits with so many samples: told from no change at all, at
a level that all classes share. Where no drop was found, it says how much that is worth.

    n drop^2 = (z_a sqrt(churn) + z_b sqrt(churn - drop^2))^2
    churn = (lost + gained) / n
    P(X >= k) = .8, X ~ Binomial(n, drop), k = log2(1 / level), rounded up

The first line plans for the churn that was seen (Connor, Biometrics 43 (1987) 207-211): z_a is that of the level, z_b
that of a power of .8. But a drop brings churn of at least its own size. Where the first line asks for a drop beyond the
churn that was seen, the plan is for a churn as large as the drop: samples are lost and none gained. McNemar's mid-p is
then 1/2 to the power of those lost, so that k lost ones are found; the drop is never below the churn that was seen.
Absent only where there are fewer than k samples.

The level is 1 - confidence, shared by Bonferroni unless no correction was asked for; the default correction finds at
least as much. Found is not convicted: to be shown beyond the margin, a drop must be larger. Of one in 100 classes of
100 samples, of which 6 % flipped, a drop is found from 13 points and `regressed` from 22, of 1,000 samples from 3.3 and
6.5; that is counted out with the exact p of `regressed`, in .5 and 5 seconds a class, too long for all of an audit. By
enumeration of 5 to 300 samples in 1 to 1,000 classes the power is .8 where nothing flipped, .80 to .98 up to a churn of
.7 (above .8 where few flipped, so that the drop is rather too large), and .7 at worst where nearly all of a few samples
flipped.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, ndtri

from prune_audit.core import Floats, Measure, Pair, Settings
from prune_audit.stats._column import column, without_samples
from prune_audit.stats._effective_counts import sides
from prune_audit.stats._planning import POWER

RANK = 80


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Detectable drop of recall; absent, "undetectable", where not even the loss of every sample would show."""
    churn = (pair.lost + pair.gained) / np.maximum(pair.support, 1)  # (S,)
    classes = 1 if settings.correction == "none" else max(int((pair.support > 0).sum()), 1)
    level = (1 - settings.confidence) / classes
    n = np.where(pair.support > 0, sides(pair, settings, confidence=1 - level)[0].n, 1)
    enough = int(np.ceil(-np.log2(level)))
    planned = _at_churn(n, churn, level)
    drop = np.where(planned <= churn, planned, np.maximum(churn, _losses_alone(n, enough)))
    too_few = f"undetectable: even if all {pair.task.thing[1]} were lost, it could be chance"
    absent = {int(i): too_few for i in (n < enough).nonzero()[0]}
    return (column("detectable_drop", "detectable drop", "points", drop, absent | without_samples(pair)),)


def _at_churn(n: Floats, churn: Floats, level: float) -> Floats:
    """Connor's drop (S,) in closed form, infinite where none solves his equation.

    With fewer than z_a^2 samples the squared equation has a root, but sqrt(n) drop is below z_a sqrt(churn) there.
    """
    z_a, z_b = float(-ndtri(level / 2)), float(ndtri(POWER))
    false = n < z_a**2
    under_root = np.where(false, 0.0, n + z_b**2 - z_a**2)
    drop = np.sqrt(churn) * (z_a * np.sqrt(n) + z_b * np.sqrt(under_root)) / (n + z_b**2)
    return np.where(false | (churn == 0), np.inf, drop)


def _losses_alone(n: Floats, enough: int) -> Floats:
    """The drop (S,) at which ``enough`` of ``n`` samples are lost with the planned power; 1 where there are fewer."""
    drop: Floats = betaincinv(enough, np.maximum(n - enough, 0) + 1, POWER)
    return np.where(n < enough, 1.0, drop)
