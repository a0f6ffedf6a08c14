"""Alpha without the bias of sampling noise, and its jackknife, in closed form.

Observed balances carry noise that dense and pruned share, because the same samples are scored. So the slope of one on
the other is pulled from alpha to kappa (the slope of the noise) by as much as lambda, the share of the observed
spread that is no noise, falls short of 1:  E[slope] = lambda alpha + (1 - lambda) kappa.  Both noise terms are known
from multinomial counts and are subtracted (moment correction of errors in variables: Fuller, Measurement Error
Models, 1987; Deming regression would assume independent errors).

Every quantity is a function of a few sums over classes, so leaving out one sample of one class costs as much as one
class, and the delete-one jackknife over all N samples costs 4 C of these: samples of a class and kind are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from prune_audit.core import Array, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The corrected slope and what it is made of; every field is an array of one shape.

    ``alpha`` = (xy - noise_xy) / (xx - noise_xx); ``reliability`` is lambda, ``pull`` kappa; ``excess`` is the
    numerator minus the denominator, which is 0 where alpha is 1 and needs no ratio.
    """

    alpha: Floats
    reliability: Floats
    pull: Floats
    excess: Floats


def fit(cells: Array, mass: Array) -> tuple[Fit, float, float]:
    """The fit, and the jackknife standard errors of alpha and of ``excess``, from counts (C, 4) as in `Pair.of`.

    ``mass`` (C,) is what a sample of each class counts in the accuracies: 1 for classes as they were sampled. Each
    class needs two samples, each model some right ones, and dense recalls must differ.
    """
    cells, mass = np.asarray(cells, np.float64), np.asarray(mass, np.float64)
    both, lost, gained, neither = (float(count) for count in mass @ cells)
    size = both + lost + gained + neither
    centre = (both + lost) / size, (both + gained) / size
    parts = _parts(cells, mass, centre)  # (C, K)
    total = parts.sum(axis=0)
    full = _fit(total, len(cells), centre)
    # One sample fewer of each kind in each class: (C, 4) times K sums.
    reduced = total - parts[:, None, :] + _parts(cells[:, None, :] - np.eye(4), mass[:, None], centre)
    without = _fit(reduced, len(cells), centre)
    return full, _error(without.alpha, cells), _error(without.excess, cells)


def _parts(cells: Floats, mass: Floats, centre: tuple[float, float]) -> Floats:
    """What each class adds to the sums that a fit is made of: (..., 4) to (..., K).

    Recalls are taken from the accuracies ``centre``, because a difference of large sums would eat the digits.
    """
    both, lost, gained, _ = np.moveaxis(cells, -1, 0)
    n = cells.sum(axis=-1)
    p, q = (both + lost) / n, (both + gained) / n
    u, v = p - centre[0], q - centre[1]
    others = np.maximum(n - 1, 1)  # a class that the jackknife leaves with one sample shows no noise
    var, cov = p * (1 - p) / others, (both / n - p * q) / others
    w = mass * n  # the weight of the class in the accuracies
    sums = (w, mass * (both + lost), mass * (both + gained), u, v, u * u, u * v)
    noise = (var, var * p * w, var * w * w, cov, cov * p * w, cov * q * w, cov * w * w)
    return np.stack([*sums, *noise], axis=-1)


def _fit(sums: Floats, classes: int, centre: tuple[float, float]) -> Fit:
    """The fit from sums (..., K) over ``classes`` classes."""
    n, right, kept, u, v, uu, uv, var, var_p, var_n, cov, cov_p, cov_q, cov_n = np.moveaxis(sums, -1, 0)
    a, b = right / n, kept / n  # accuracies
    da, db = a - centre[0], b - centre[1]
    xx = (uu - 2 * da * u + classes * da * da) / (a * a)
    xy = (uv - db * u - da * v + classes * da * db) / (a * b)
    pp = uu + 2 * centre[0] * u + classes * centre[0] ** 2
    pq = uv + centre[0] * v + centre[1] * u + classes * centre[0] * centre[1]
    noise_xx = (var - 2 * var_p / (a * n) + var_n * pp / (a * n) ** 2) / (a * a)
    noise_xy = (cov - cov_p / (a * n) - cov_q / (b * n) + cov_n * pq / (a * b * n * n)) / (a * b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Fit(
            alpha=np.asarray((xy - noise_xy) / (xx - noise_xx)),
            reliability=np.asarray((xx - noise_xx) / xx),
            pull=np.asarray(noise_xy / noise_xx),
            excess=np.asarray((xy - noise_xy) - (xx - noise_xx)),
        )


def _error(without: Floats, cells: Floats) -> float:
    """Jackknife standard error from the values (C, 4) without one sample of each kind, for samples drawn by class."""
    n = cells.sum(axis=1, keepdims=True)  # (C, 1)
    values = np.where(cells > 0, without, 0.0)
    if not np.isfinite(values).all():  # so few samples that without one of them there is no estimate
        return math.nan
    mean = (cells * values).sum(axis=1, keepdims=True) / n
    return float(np.sqrt(((n - 1) / n * cells * (values - mean) ** 2).sum()))
