"""Alpha, the slope of pruned on dense balances, with sampling noise taken out: did those who stood low fall further?

At 1 a class that stood 10 % below its model's accuracy still does, on average; at 2 it stands 20 % below, at .5 only
5 %. It is a slope, and does not say whether gaps between classes grew: spread_ratio does.

    alpha = (sum x y - noise of x y) / (sum x^2 - noise of x^2)
    lambda = (sum x^2 - noise of x^2) / sum x^2
    x, y: the dense and the pruned balance of each class

Small classes are noisy, and noise alone pulls the paper's alpha away from the truth: two models with identical true
recalls can show one of .87. Lambda is the share of the spread between classes that is real: below .5 alpha is `not
estimable`, below .7 `unsteady`, and its interval is then what to read. Kappa is where noise alone would put the slope.
The interval is the hull of two that fail in different places: alpha and its delete-one jackknife, and Fieller's (1954)
for the ratio of the two corrected sums, each with Student's t of Satterthwaite's degrees of freedom (1946). Where
the denominator is not shown to be above 0, Fieller's has no upper limit, and nor has this: `at least` the jackknife's
lower one. The test of alpha = 1 is of the difference sum x (y - x) - noise, which needs no ratio and holds where alpha
is not estimable.
Classes with fewer than two samples are left out, because their noise cannot be seen. It cannot either where a class
that is all right has so few samples beside the others that most of it would be its own: nothing is said then.
`prune_audit/stats/_alpha.py` has the derivation.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, stdtrit

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._alpha import ESTIMABLE, Errors, Fit, counts, fieller, fit, too_noisy, unseen

RANK = 120

STEADY = 0.7
"""Between the two a value is printed because noise helped it past the first, which biases it by up to 12 %: read its
interval."""


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Corrected alpha with its interval, its state, lambda and kappa, p-value of alpha = 1; all of the model."""
    cells, mass, why_not = counts(pair, settings)
    why_not = why_not or unseen(pair, cells)
    if why_not:
        return _measures(pair, why_not)

    found, errors = fit(cells, mass)
    reliability = float(found.reliability)
    if pair.same_model:
        return _measures(pair, None, "steady", (1.0, 1.0, 1.0), reliability, 1.0, 1.0)
    excess = float(found.excess)
    p = 2 * float(ndtr(-abs(excess) / errors.excess)) if excess and errors.excess else 1.0
    pull = float(found.pull) if np.isfinite(found.pull) else None
    if reliability < ESTIMABLE or not np.isfinite(errors.alpha):
        return _measures(pair, None, "not estimable", too_noisy(reliability), reliability, pull, p)
    low, high = _interval(found, errors, float(stdtrit(errors.freedom, (1 + settings.confidence) / 2)))
    state = "steady" if reliability >= STEADY else "unsteady"
    return _measures(pair, None, state, (float(found.alpha), low, high), reliability, pull, p)


def _interval(found: Fit, errors: Errors, t: float) -> tuple[float, float | None]:
    """The hull of the jackknife's interval and Fieller's at the quantile ``t``, without what that has no limit of.

    Fieller's are the slopes b with (N - b D)^2 <= t^2 var(N - b D), N and D the numerator and denominator of alpha.
    """
    alpha, half = float(found.alpha), t * errors.alpha
    below = float(found.dense)
    above = float(found.excess) + below
    (of_above, both), (_, of_below) = errors.covariance.tolist()
    square, middle, _, root = fieller(above, below, (of_above, of_below), both, t)
    if below <= 0 or square <= 0:
        return alpha - half, None
    return min(alpha - half, (middle - root) / square), max(alpha + half, (middle + root) / square)


def _measures(
    pair: Pair,
    why_not: str | None,
    state: str | None = None,
    alpha: tuple[float, float, float | None] | str | None = None,
    reliability: float | None = None,
    pull: float | None = None,
    p: float | None = None,
) -> tuple[Measure, ...]:
    """The columns; ``why_not`` makes all of them absent, and ``alpha`` may be its own reason."""
    value, low, high = alpha if isinstance(alpha, tuple) else (None, None, None)
    no_alpha = alpha if isinstance(alpha, str) else why_not
    no_pull = None if pull is not None else why_not or f"no {pair.task.rates[0]} shows sampling noise"
    return (
        Measure(
            name="alpha_corrected",
            title="alpha, corrected for noise",
            unit="ratio",
            overall=value,
            overall_low=low,
            overall_high=high,
            overall_absent=no_alpha,
        ),
        Measure(name="alpha_state", title="corrected alpha is", unit="label", overall=state, overall_absent=why_not),
        Measure(name="alpha_lambda", title="λ of alpha", unit="share", overall=reliability, overall_absent=why_not),
        Measure(name="alpha_kappa", title="κ of alpha", unit="ratio", overall=pull, overall_absent=no_pull),
        Measure(name="alpha_p", title="p of alpha = 1", unit="p", overall=p, overall_absent=why_not),
    )
