"""Design effects: how much information clustered samples lose.

Ten images of one person are not ten independent samples: the variance of a mean over clusters is the design effect
times that over as many independent samples, and counts divided by it may be used as if they were independent (Rao,
Scott, The Annals of Statistics 12 (1984) 46-60). Without it a test at 5 % rejects a true hypothesis in 10-30 % of
cases at an intra-cluster correlation of .3, with it in 5 % (tests/stats/test_clusters.py).

Three rules decide where a stratum says little of itself. The effect is at least 1: an estimate below it is luck more
often than a sample that was balanced. Where fewer than 10 of a stratum's clusters flipped, and for the recall of one
model always, it is at least what the correlation within clusters, pooled over strata, makes of the stratum's own
cluster sizes (Kish, Survey Sampling, 1965: 1 + (size - 1) correlation), so that a stratum without flips or with a
single cluster does not pass for independent; for all samples and all but a stratum's, the correlation is that of all.
Where nothing flipped anywhere, nothing shows what the correlation is, and each cluster counts as one sample. A stratum
that is itself a value of the cluster's column (the samples of one person, audited by person) is meant as it is and has
no effect of its own.

The effect is itself an estimate, and a rough one from few clusters: intervals and tests take Student's t for the normal
curve, with one degree of freedom less than there would be clusters if all were of one size, n^2 / sum n_k^2 of n_k
samples (Kish's formula, of clusters). By simulation 95 % intervals of a change then hold the truth in .93 to 1 of
classes, of 6 to 100 clusters, and with the normal curve in .91 where 6 clusters are of uneven sizes
(tests/stats/test_clusters.py).

Where the models' thresholds were chosen of the same samples, as those of detectors are, the choice moves all classes
together, and its variance is added to that of a change (`Pair.chosen`).

A class and the rest are still taken for independent of each other. Persons who are lost in all classes alike make
them agree, so that their difference varies less than it is given credit for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from prune_audit.core import Array, Floats, Pair
from prune_audit.core.clusters import FEW

Contrast = tuple[int, int]
CHANGE: Contrast = (-1, 1)
DENSE: Contrast = (1, 0)
PRUNED: Contrast = (0, 1)
"""What is averaged: this many times dense right plus this many times pruned right."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """A number for each stratum (S,), for all other samples (S,), and for all samples together."""

    own: Floats
    rest: Floats
    whole: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sums:
    """A set of samples, or S of them: counts (..., 3) of samples, dense right, pruned right; ``both`` right (...,);
    their products summed over clusters (..., 3, 3); the number of clusters (...,)."""

    counts: Array
    both: Array
    products: Array
    number: Array


def effects(pair: Pair, contrast: Contrast = CHANGE) -> Parts:
    """The design effects of the mean of ``contrast``; all 1 where samples are independent."""
    clusters = pair.clusters
    if clusters is None:
        ones = np.ones(len(pair.strata))
        return Parts(own=ones, rest=ones, whole=1.0)
    counts = np.stack([pair.support, pair.both + pair.lost, pair.both + pair.gained], axis=1)  # (S, 3)
    own = _Sums(counts=counts, both=pair.both, products=clusters.own, number=clusters.number)
    both, total = np.asarray(pair.both.sum()), np.asarray(clusters.total)
    whole = _Sums(counts=counts.sum(axis=0), both=both, products=clusters.whole, number=total)
    crossed = clusters.cross + clusters.cross.swapaxes(1, 2)
    rest = _Sums(
        counts=whole.counts - counts,
        both=whole.both - pair.both,
        products=whole.products - crossed + clusters.own,  # (V - v)(V - v)', summed
        number=clusters.total - clusters.within,
    )
    overall, within = _correlation(whole, contrast), _correlation(own, contrast)
    alone = np.zeros(len(counts), bool)  # (S,) whose own flips are enough
    if contrast == CHANGE and clusters.flipped is not None:
        alone = clusters.flipped >= FEW
    each = _effect(own, contrast, overall if within is None else within, alone)
    found = Parts(
        own=np.ones(len(counts)) if _itself(pair) else each,
        rest=_effect(rest, contrast, overall),
        whole=float(_effect(whole, contrast, overall)),
    )
    if pair.chosen is None or contrast != CHANGE:
        return found
    # What thresholds add is a variance of the change, and counts for as many times that of independent samples.
    return Parts(
        own=found.own + pair.chosen[:-1] * _worth(own),
        rest=found.rest,
        whole=found.whole + float(pair.chosen[-1] * _worth(whole)),
    )


def _worth(sums: _Sums) -> Floats:
    """One over the variance of the mean change of independent samples (...,), 0 where none changed."""
    sample, n = _spread(sums, CHANGE)[1], sums.counts[..., 0]
    return np.divide(n, sample, out=np.zeros(np.shape(n)), where=sample > 0)


def alike(pair: Pair) -> Parts:
    """How many clusters of one size would be worth as much as those there are; infinite where samples are independent.

    n^2 / sum n_k^2, with n_k samples of n in cluster k.
    """
    clusters = pair.clusters
    if clusters is None:
        endless = np.full(len(pair.strata), np.inf)
        return Parts(own=endless, rest=endless, whole=np.inf)
    n, own, whole = pair.support, clusters.own[:, 0, 0], int(clusters.whole[0, 0])  # the squares, summed
    total = int(n.sum())
    rest = whole - 2 * clusters.cross[:, 0, 0] + own
    return Parts(
        own=np.full(len(n), np.inf) if _itself(pair) else n.astype(np.float64) ** 2 / np.maximum(own, 1),
        rest=(total - n).astype(np.float64) ** 2 / np.maximum(rest, 1),
        whole=float(total) ** 2 / max(whole, 1),
    )


def freedom(alike: Floats) -> Floats:
    """Degrees of freedom of a variance between as many clusters, of any shape."""
    return np.maximum(1.0, alike - 1)


def quantile(freedom: Floats, confidence: float) -> Floats:
    """Student's quantile of a two-sided interval, shaped like ``freedom``; where that is infinite the normal one."""
    endless = np.isinf(freedom)
    one_side = (1 + confidence) / 2
    return np.where(endless, ndtri(one_side), stdtrit(np.where(endless, 1.0, freedom), one_side))


def as_student(p: Floats, freedom: Floats) -> Floats:
    """One-sided p-values of normal scores as Student's t has them, of the shape of both; NaN stays."""
    endless = np.isinf(freedom)
    return np.where(endless, p, stdtr(np.where(endless, 1.0, freedom), ndtri(p)))


def _itself(pair: Pair) -> bool:
    """Whether each stratum is itself a value of the cluster's column."""
    return pair.clusters is not None and pair.clusters.column in pair.by.split(",")


def _spread(sums: _Sums, contrast: Contrast) -> tuple[Floats, Floats]:
    """Variance of the total of the contrast between clusters, and of one sample (...,); NaN for a single cluster."""
    n = np.maximum(sums.counts[..., 0], 1)
    p, q, both = sums.counts[..., 1] / n, sums.counts[..., 2] / n, sums.both / n
    x, y = contrast
    sample = x * x * p + y * y * q + 2 * x * y * both - (x * p + y * q) ** 2  # exactly 0 where it is
    residual = np.stack([-(x * p + y * q), np.full_like(p, x), np.full_like(p, y)], axis=-1)  # (..., 3)
    squared = np.einsum("...i,...ij,...j->...", residual, sums.products, residual)
    several = sums.number > 1
    between = np.where(several, squared * sums.number / np.maximum(sums.number - 1, 1), np.nan)
    return between, np.maximum(sample, 0.0)


def _correlation(sums: _Sums, contrast: Contrast) -> float | None:
    """Correlation of two samples of one cluster, pooled over sets; None where none of them tells."""
    between, sample = (np.atleast_1d(values) for values in _spread(sums, contrast))
    n, squared = np.atleast_1d(sums.counts[..., 0]), np.atleast_1d(sums.products[..., 0, 0])
    told = ~np.isnan(between) & (sample > 0)
    pairs = (sample * (squared - n))[told].sum()
    return float(np.clip((between - n * sample)[told].sum() / pairs, 0.0, 1.0)) if pairs > 0 else None


def _effect(sums: _Sums, contrast: Contrast, correlation: float | None, alone: Array | None = None) -> Floats:
    """The design effects of sets of samples, (...,); without a ``correlation`` each cluster counts as one sample.

    Those that stand ``alone`` (...,), by default none, do without it where their own samples tell.
    """
    n = np.maximum(sums.counts[..., 0], 1)
    between, sample = _spread(sums, contrast)
    told = ~np.isnan(between) & (sample > 0)
    found = np.where(told, between, 0.0) / np.where(told, n * sample, 1.0)
    pooled = 1 + (sums.products[..., 0, 0] / n - 1) * (1.0 if correlation is None else correlation)
    borrowed = (sums.counts[..., 0] > 0) & ~(told & (False if alone is None else alone))
    return np.maximum(1.0, np.maximum(found, np.where(borrowed, pooled, 1.0)))
