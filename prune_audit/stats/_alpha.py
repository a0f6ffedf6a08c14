"""Alpha without the bias of sampling noise, and its jackknife, in closed form.

Observed balances carry noise that dense and pruned share, because the same samples are scored. So the slope of one on
the other is pulled from alpha to kappa (the slope of the noise) by as much as lambda, the share of the observed
spread that is no noise, falls short of 1:  E[slope] = lambda alpha + (1 - lambda) kappa.  Both noise terms are known
from multinomial counts and are subtracted (moment correction of errors in variables: Fuller, Measurement Error
Models, 1987; Deming regression would assume independent errors).

A slope is a ratio of spreads times a correlation, so that it cannot say by itself whether gaps grew: the spreads of
both models, freed of noise alike, stand beside it.

Every quantity is a function of a few sums over classes, so leaving out one sample of one class costs as much as one
class, and the delete-one jackknife over all N samples costs 4 C of these: samples of a class and kind are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prune_audit.core import Array, Floats, Pair, Settings
from prune_audit.stats._collapse import collapsed
from prune_audit.stats._column import no_flips
from prune_audit.stats._effective_counts import share_of, sides

ESTIMABLE = 0.5
"""Below this lambda a corrected ratio is one of noise: for a true slope of 1.3, medians of 1.20 and 1.22 at .4."""


FEWEST = 20
"""Degrees of freedom below which the noise of all classes is that of a few samples."""


def counts(pair: Pair, settings: Settings) -> tuple[Array, Array, str | None]:
    """Counts (C, 4) of classes with two samples or more, what a sample of each counts (C,), and why that is too little.

    The reason is None where something can be said of the gaps between them.
    """
    own, _ = sides(pair, settings)
    usable = own.n >= 2  # (S,)
    neither = own.n - own.both - own.lost - own.gained
    cells = np.stack([own.both, own.lost, own.gained, neither], axis=1)[usable]  # (C, 4)
    mass = share_of(pair, settings)[usable] / own.n[usable]
    right, n = (pair.both + pair.lost)[usable], pair.support[usable]
    why_not = collapsed(pair, settings)
    if why_not is None and len(cells) < 2:
        why_not = f"fewer than two strata have two {pair.task.thing[1]} or more"
    # One right sample would leave none when the jackknife drops it.
    if why_not is None and min(own.dense[usable].sum(), own.pruned[usable].sum()) < 2:
        why_not = "a model is hardly ever right"
    if why_not is None and (right * n[0] == n * right[0]).all():
        why_not = no_gaps(pair)
    if why_not is None and pair.identical and not pair.same_model:
        why_not = no_flips(pair)
    return cells, mass, why_not


def no_gaps(pair: Pair) -> str:
    """Why there are no gaps between strata that all stood at the dense model's level."""
    return f"all {pair.task.strata(pair.by)[1]} stood at the dense model's {pair.task.overall}: no gaps to intensify"


def unseen(pair: Pair, cells: Array) -> str | None:
    """Why the noise of classes of ``pair`` with counts (C, 4) cannot be seen, None where it can.

    A class that is all right, or all wrong, shows no noise, whatever it has. That is nothing where others have it as
    well, and decides where the noise would be mostly its own: by the degrees of freedom of the sum of the variances of
    all recalls (Satterthwaite 1946), these taken at p~ = (x + .5) / (n + 1) for x right of n. Beside nine classes of
    1,000 samples, one of 10 that all were right made 95 % intervals that covered .76.
    """
    both, lost, gained, _ = np.moveaxis(np.asarray(cells, np.float64), -1, 0)
    n = np.sum(cells, axis=1)
    right = np.stack([both + lost, both + gained])  # (2, C)
    level = (right + 0.5) / (n + 1)
    parts = (level * (1 - level) / (n + 1)).sum(axis=0)
    alike = ((right <= 0) | (right >= n)).any(axis=0) & (parts == parts.max())
    if _freedom(parts, n) >= FEWEST or not alike.any():
        return None
    one, many = pair.task.strata(pair.by)[0], pair.task.thing[1]
    return f"the noise is mostly that of a {one} of {n[alike][0]:.0f} {many}, which are all alike"


def too_noisy(reliability: float) -> str:
    """Why there is no ratio where lambda is ``reliability``."""
    return f"not estimable: {100 * max(reliability, 0.0):.0f} % of the spread is real"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The corrected slope and what it is made of; every field is an array of one shape.

    ``alpha`` = (xy - noise_xy) / (xx - noise_xx); ``reliability`` is lambda, ``pull`` kappa; ``excess`` is the
    numerator minus the denominator, which is 0 where alpha is 1 and needs no ratio. ``dense`` and ``pruned`` are the
    sums of squared balances without their noise, xx - noise_xx and yy - noise_yy, which may be negative.
    """

    alpha: Floats
    reliability: Floats
    pull: Floats
    excess: Floats
    dense: Floats
    pruned: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Squares:
    """The squared spreads of both models without noise, and how far they may be off.

    ``variance`` of each and their ``covariance`` are the jackknife's; ``freedom`` are the degrees of freedom of their
    ratio, which a small class that makes most of its variance brings down (Satterthwaite 1946); they are NaN where so
    few samples are right that without one of them there is no ratio. ``noise`` is the variance that samples of such
    sizes give the pruned balances, as the trace of their covariance matrix and of its square.
    """

    reliability: float
    dense: float
    pruned: float
    variance: tuple[float, float]
    covariance: float
    freedom: float
    noise: tuple[float, float]


class Quadratic(NamedTuple):
    """The coefficients of `fieller`."""

    square: float
    middle: float
    constant: float
    half: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How far a fit may be off, by the jackknife: standard errors of alpha and of ``excess``.

    ``covariance`` (2, 2) is that of alpha's numerator and denominator, and ``freedom`` are the degrees of freedom of
    alpha's variance, which a small class that makes most of it brings down (Satterthwaite 1946). All are NaN where so
    few samples are right that without one of them there is no alpha.
    """

    alpha: float
    excess: float
    covariance: Floats
    freedom: float


def fit(cells: Array, mass: Array) -> tuple[Fit, Errors]:
    """The fit and its errors, from counts (C, 4) as in `Pair.of`.

    ``mass`` (C,) is what a sample of each class counts in the accuracies: 1 for classes as they were sampled. Each
    class needs two samples, each model some right ones, and dense recalls must differ.
    """
    full, without, cells = _fits(cells, mass)
    values = np.stack([without.alpha, without.excess, without.excess + without.dense, without.dense], axis=-1)
    scatter = _scatter(values, cells)  # (C, 4, 4)
    spread = scatter.sum(axis=0)
    return full, Errors(
        alpha=math.sqrt(spread[0, 0]),
        excess=math.sqrt(spread[1, 1]),
        covariance=spread[2:, 2:],
        freedom=_freedom(scatter[:, 0, 0], cells.sum(axis=1)),
    )


def fieller(above: float, below: float, variance: tuple[float, float], covariance: float, t: float) -> Quadratic:
    """Fieller's (1954) limits of the ratio r of ``above`` to ``below``: (above - r below)^2 <= t^2 of its variance.

    ``variance`` is of both, ``covariance`` between them. The r are those with square r^2 - 2 middle r + constant <= 0,
    which are an interval where ``square`` is above 0; ``half`` is the root of middle^2 - square constant.
    """
    square = below**2 - t * t * variance[1]
    middle = above * below - t * t * covariance
    constant = above**2 - t * t * variance[0]
    return Quadratic(square, middle, constant, math.sqrt(max(middle**2 - square * constant, 0.0)))


def _freedom(parts: Floats, n: Floats) -> float:
    """Degrees of freedom of a variance that is the sum of ``parts`` (C,), of classes with ``n`` samples (C,)."""
    weight = float((parts**2 / np.maximum(n - 1, 1)).sum())
    return float(parts.sum()) ** 2 / weight if weight else math.inf


def squares(cells: Array, mass: Array) -> Squares:
    """The squared spreads of both models, from what `fit` takes."""
    full, without, cells = _fits(cells, mass)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = without.pruned / without.dense
    scatter = _scatter(np.stack([without.dense, without.pruned, ratio], axis=-1), cells)  # (C, 3, 3)
    spread, of_ratio = scatter.sum(axis=0), scatter[:, 2, 2]
    n = cells.sum(axis=1)
    w = mass * n / (mass @ n)
    return Squares(
        reliability=float(full.reliability),
        dense=float(full.dense),
        pruned=float(full.pruned),
        variance=(float(spread[0, 0]), float(spread[1, 1])),
        covariance=float(spread[0, 1]),
        freedom=_freedom(of_ratio, n),
        noise=noise((cells[:, 0] + cells[:, 2]) / n, n, w),
    )


def noise(recall: Floats, n: Floats, w: Floats) -> tuple[float, float]:
    """tr S and tr S^2, S = H V H' the sampling covariances of the balances of ``recall`` (C,) on ``n`` samples each.

    H = (I - u w') / b, with ``w`` (C,) the shares of the classes, b = w' recall and u = recall / b, and V the variances
    of the recalls: multiplied out, so that no matrix of classes by classes is made. tr S is what noise adds to the sum
    of squared balances.
    """
    b = w @ recall
    d, u = recall * (1 - recall) / np.maximum(n - 1, 1), recall / b
    g = d * w
    s, uu, ug = w @ g, u @ u, u @ g
    trace = d.sum() - 2 * ug + s * uu
    square = (
        d @ d - 4 * (d * u) @ g + 2 * ug**2 + 2 * uu * (g @ g) + 2 * s * (d @ u**2) - 4 * s * uu * ug + (s * uu) ** 2
    )
    return float(trace / b**2), float(square / b**4)


def _fits(cells: Array, mass: Array) -> tuple[Fit, Fit, Floats]:
    """The fit, the fits (C, 4) without one sample of each kind in each class, and the counts as floats."""
    cells, mass = np.asarray(cells, np.float64), np.asarray(mass, np.float64)
    both, lost, gained, neither = (float(count) for count in mass @ cells)
    size = both + lost + gained + neither
    centre = (both + lost) / size, (both + gained) / size
    parts = _parts(cells, mass, centre)  # (C, K)
    total = parts.sum(axis=0)
    # One sample fewer of each kind in each class: (C, 4) times K sums.
    reduced = total - parts[:, None, :] + _parts(cells[:, None, :] - np.eye(4), mass[:, None], centre)
    return _fit(total, len(cells), centre), _fit(reduced, len(cells), centre), cells


def _parts(cells: Floats, mass: Floats, centre: tuple[float, float]) -> Floats:
    """What each class adds to the sums that a fit is made of: (..., 4) to (..., K).

    Recalls are taken from the accuracies ``centre``, because a difference of large sums would eat the digits.
    """
    both, lost, gained, _ = np.moveaxis(cells, -1, 0)
    n = cells.sum(axis=-1)
    p, q = (both + lost) / n, (both + gained) / n
    u, v = p - centre[0], q - centre[1]
    others = np.maximum(n - 1, 1)  # a class that the jackknife leaves with one sample shows no noise
    var, cov, late = p * (1 - p) / others, (both / n - p * q) / others, q * (1 - q) / others
    w = mass * n  # the weight of the class in the accuracies
    sums = (w, mass * (both + lost), mass * (both + gained), u, v, u * u, u * v, v * v)
    noise = (var, var * p * w, var * w * w, cov, cov * p * w, cov * q * w, cov * w * w)
    return np.stack([*sums, *noise, late, late * q * w, late * w * w], axis=-1)


def _fit(sums: Floats, classes: int, centre: tuple[float, float]) -> Fit:
    """The fit from sums (..., K) over ``classes`` classes."""
    n, right, kept, u, v, uu, uv, vv, *noise = np.moveaxis(sums, -1, 0)
    var, var_p, var_n, cov, cov_p, cov_q, cov_n, late, late_q, late_n = noise
    a, b = right / n, kept / n  # accuracies
    da, db = a - centre[0], b - centre[1]
    xx = (uu - 2 * da * u + classes * da * da) / (a * a)
    xy = (uv - db * u - da * v + classes * da * db) / (a * b)
    yy = (vv - 2 * db * v + classes * db * db) / (b * b)
    pp = uu + 2 * centre[0] * u + classes * centre[0] ** 2
    pq = uv + centre[0] * v + centre[1] * u + classes * centre[0] * centre[1]
    qq = vv + 2 * centre[1] * v + classes * centre[1] ** 2
    noise_xx = (var - 2 * var_p / (a * n) + var_n * pp / (a * n) ** 2) / (a * a)
    noise_xy = (cov - cov_p / (a * n) - cov_q / (b * n) + cov_n * pq / (a * b * n * n)) / (a * b)
    noise_yy = (late - 2 * late_q / (b * n) + late_n * qq / (b * n) ** 2) / (b * b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Fit(
            alpha=np.asarray((xy - noise_xy) / (xx - noise_xx)),
            reliability=np.asarray((xx - noise_xx) / xx),
            pull=np.asarray(noise_xy / noise_xx),
            excess=np.asarray((xy - noise_xy) - (xx - noise_xx)),
            dense=np.asarray(xx - noise_xx),
            pruned=np.asarray(yy - noise_yy),
        )


def _scatter(without: Floats, cells: Floats) -> Floats:
    """What each class adds to the jackknife's covariances (C, K, K), for samples drawn by class.

    ``without`` (C, 4, K) are K values without one sample of each kind. A value that is not finite for one of them has
    NaN for covariances: so few samples that without one of them there is no estimate.
    """
    n = cells.sum(axis=1)  # (C,)
    values = np.where(cells[..., None] > 0, without, 0.0)
    lost = ~np.isfinite(values).all(axis=(0, 1))  # (K,)
    values = np.where(lost, 0.0, values)
    away = values - np.einsum("ci,cik->ck", cells, values)[:, None, :] / n[:, None, None]
    scatter: Floats = np.einsum("ci,cij,cik,c->cjk", cells, away, away, (n - 1) / n)
    scatter[:, lost, :] = scatter[:, :, lost] = math.nan
    return scatter
