"""Design effects: how much information clustered samples lose.

Ten images of one person are not ten independent samples: the variance of a mean over clusters is the design effect
times that over as many independent samples, and counts divided by it may be used as if they were independent (Rao,
Scott, The Annals of Statistics 12 (1984) 46-60). Without it a test at 5 % rejects a true hypothesis in 10-30 % of
cases at an intra-cluster correlation of .3, with it in 5 % (tests/stats/test_clusters.py).

Three rules decide where a stratum says little of itself. The effect is at least 1: an estimate below it is luck more
often than a sample that was balanced. It is at least what the correlation within clusters, pooled over strata or over
all samples, whichever is larger, makes of the stratum's own cluster sizes (Kish, Survey Sampling, 1965: 1 + (size - 1)
correlation), so that a stratum without flips or with a single cluster does not pass for independent. Where nothing
flipped anywhere, nothing shows what the correlation is, and each cluster counts as one sample. A stratum that is itself
a value of the cluster's column (the samples of one person, audited by person) is meant as it is and has no effect of
its own.

A class and the rest are still taken for independent of each other. Persons who are lost in all classes alike make
them agree, so that their difference varies less than it is given credit for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prune_audit.core import Array, Floats, Pair

Contrast = tuple[int, int]
CHANGE: Contrast = (-1, 1)
DENSE: Contrast = (1, 0)
PRUNED: Contrast = (0, 1)
"""What is averaged: this many times dense right plus this many times pruned right."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """Design effects of each stratum (S,), of all other samples (S,), and of all samples together."""

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


def effects(pair: Pair, contrast: Contrast = CHANGE) -> Effects:
    """The design effects of the mean of ``contrast``; all 1 where samples are independent."""
    clusters = pair.clusters
    if clusters is None:
        ones = np.ones(len(pair.strata))
        return Effects(own=ones, rest=ones, whole=1.0)
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
    pooled = overall if within is None or overall is None else max(overall, within)
    itself = clusters.column in pair.by.split(",")
    return Effects(
        own=np.ones(len(counts)) if itself else _effect(own, contrast, pooled),
        rest=_effect(rest, contrast, overall),
        whole=float(_effect(whole, contrast, overall)),
    )


def _spread(sums: _Sums, contrast: Contrast) -> tuple[Floats, Floats]:
    """Variance of the total of the contrast between clusters, and of one sample (...,); NaN for a single cluster."""
    n = np.maximum(sums.counts[..., 0], 1)
    p, q, both = sums.counts[..., 1] / n, sums.counts[..., 2] / n, sums.both / n
    x, y = contrast
    sample = x * x * p * (1 - p) + y * y * q * (1 - q) + 2 * x * y * (both - p * q)
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


def _effect(sums: _Sums, contrast: Contrast, correlation: float | None) -> Floats:
    """The design effects of sets of samples, (...,); without a ``correlation`` each cluster counts as one sample."""
    n = np.maximum(sums.counts[..., 0], 1)
    between, sample = _spread(sums, contrast)
    told = ~np.isnan(between) & (sample > 0)
    found = np.where(told, between, 0.0) / np.where(told, n * sample, 1.0)
    pooled = 1 + (sums.products[..., 0, 0] / n - 1) * (1.0 if correlation is None else correlation)
    return np.maximum(1.0, np.maximum(found, np.where(sums.counts[..., 0] > 0, pooled, 1.0)))
