"""A stratum, the rest and the whole, as counts of as many independent samples as they are worth.

Every interval and test here takes counts of independent samples, each as likely to be drawn as it is in use. Where
that is not so, the counts are made so, and in this one place: samples of a cluster count by their design effect
(`_clusters`), and where classes are weighted, the shares of the weighted whole stand for a number of samples that
leaves its variance what it is. Scaled like this every formula keeps its small-sample behaviour, no flips included,
and with nothing to scale the counts stay the integers that they are.

An interval of clustered samples takes Student's quantile t for the normal one, z. As every score here grows by the
root of k with counts multiplied by k, counts times (z / t)^2 do that, and formulas know nothing of it (Korn, Graubard,
Survey Methodology 24 (1998) 193-201, for shares). So whoever computes an interval asks for counts at its confidence;
whoever wants a variance or a score asks for none, and turns the p-value of the score into Student's (`student`).

The number of samples that a weighted whole is worth is n / max(Kish, stratified). Kish's effect n sum(w^2 / n_c)
(Survey Sampling, 1965) takes classes for equally noisy and needs no flips to be seen; the stratified variance sum(w^2
var_c / n_c) over that of one sample of the weighted whole sees a noisy class of great weight. Neither rewards weights.
Where a share of right answers is asked for and not a change, var is p~ (1 - p~) with p~ = (x + .5) / (n + 1) for x of n
right: a class of ten that was all right by luck would otherwise count as one without noise.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from prune_audit.core import Array, Floats, Pair, Settings
from prune_audit.core.clusters import FEW
from prune_audit.stats import _tango
from prune_audit.stats._clusters import (
    CHANGE,
    DENSE,
    Contrast,
    alike,
    as_student,
    effects,
    freedom,
    quantile,
)
from prune_audit.stats._retention import Side
from prune_audit.stats._retention import sides as raw

NAMES = ("both", "lost", "gained", "n")


def weights(pair: Pair, settings: Settings) -> Floats | None:
    """Shares (S,) in the accuracy, summing to 1 over classes with samples; None where samples count as they are.

    ``--weights`` are of classes, so that strata that are none count as they were sampled.
    """
    if settings.weights is None or pair.by != "class":
        return None
    listed = np.array([settings.weights.get(name, 0.0) for name in pair.strata])
    return _normalised(np.where(pair.support > 0, listed, 0.0))


def reference(pair: Pair, settings: Settings) -> Floats | None:
    """Shares (S,) in what a class is compared with: those of the accuracy, or equal ones for the mean of recalls."""
    if settings.reference == "balanced":
        return _normalised((pair.support > 0).astype(np.float64))
    return weights(pair, settings)


def share_of(pair: Pair, settings: Settings) -> Floats:
    """The share (S,) of each stratum in what it is compared with; 0 everywhere without samples."""
    shares = reference(pair, settings)
    return np.asarray(pair.support / max(int(pair.support.sum()), 1)) if shares is None else shares


def overall(pair: Pair, counted: Array, shares: Floats | None) -> float | None:
    """``counted`` (S,) per sample over all strata, as ``shares`` weight them; None without samples.

    Without shares it is one ratio of integers.
    """
    if not pair.support.any():
        return None
    if shares is None:
        return int(counted.sum()) / int(pair.support.sum())
    return float(shares @ (counted / np.maximum(pair.support, 1)))


def _normalised(listed: Floats) -> Floats | None:
    total = listed.sum()
    return listed / total if total > 0 else None


def sides(
    pair: Pair, settings: Settings, contrast: Contrast = CHANGE, *, confidence: float | None = None
) -> tuple[Side, Side]:
    """Each stratum and all others together, counts (S,) each; the others as the reference weights them.

    ``contrast`` is what the design effects of clusters are of, and ``confidence`` that of the interval which the counts
    are for; None: they are for a variance or a score.
    """
    own, rest = raw(pair)
    shares = reference(pair, settings)
    if shares is not None:
        rest = _worth(_others(_parts(own, shares, contrast)), contrast)
    if pair.clusters is None:
        return own, rest
    found, clusters = effects(pair, contrast), alike(pair)
    return (
        _divided(own, found.own * _longer(clusters.own, confidence)),
        _divided(rest, found.rest * _longer(clusters.rest, confidence)),
    )


def whole(pair: Pair, settings: Settings, contrast: Contrast = CHANGE, *, confidence: float | None = None) -> Side:
    """All samples together, counts (1,), as the weights of the accuracy have them; ``confidence`` as in `sides`."""
    own, _ = raw(pair)
    shares = weights(pair, settings)
    if shares is None:
        side = Side(**{name: getattr(own, name).sum(keepdims=True) for name in NAMES})
    else:
        side = _worth(_parts(own, shares, contrast).sum(axis=0, keepdims=True), contrast)
    if pair.clusters is None:
        return side
    return _divided(side, effects(pair, contrast).whole * _longer(np.array([alike(pair).whole]), confidence))


def student(pair: Pair, p: Floats, of: Literal["own", "both", "whole"] = "own") -> Floats:
    """One-sided p-values of normal scores, as so few clusters have them; NaN stays.

    The scores are (S,) of each stratum by itself, or of ``both`` it and all others, whichever have fewer clusters, or
    (1,) of the ``whole``.
    """
    found = alike(pair)
    which = {"own": found.own, "both": np.minimum(found.own, found.rest), "whole": np.array([found.whole])}
    return as_student(p, freedom(which[of]))


def too_few(pair: Pair, i: int) -> str:
    """Of what there is too little where nothing can be told of stratum ``i``: clusters, or else samples."""
    worth = alike(pair).own[i]
    if pair.clusters is None or worth >= FEW:
        return f"too few {pair.task.thing[1]}"
    number = int(pair.clusters.number[i])
    as_good = "" if round(worth) >= number else f", as good as {worth:.1f} of one size"
    return f"too few clusters ({number}{as_good})"


def _longer(alike: Floats, confidence: float | None) -> Floats:
    """(t / z)^2 of as many clusters, of the shape of ``alike``; 1 for a variance or a score."""
    if confidence is None:
        return np.ones_like(alike)
    longer: Floats = (quantile(freedom(alike), confidence) / _tango.two_sided(confidence)) ** 2
    return longer


def _divided(side: Side, by: Array | float) -> Side:
    return Side(**{name: getattr(side, name) / by for name in NAMES})


def _others(parts: Floats) -> Floats:
    """Sums of ``parts`` (S, K) over all strata but each, (S, K): no difference is taken, so a small rest is exact."""
    nothing = np.zeros((1, parts.shape[1]))
    before = np.concatenate([nothing, parts.cumsum(axis=0)[:-1]])
    after = np.concatenate([parts[::-1].cumsum(axis=0)[-2::-1], nothing])
    others: Floats = before + after
    return others


def _parts(own: Side, shares: Floats, contrast: Contrast) -> Floats:
    """What each stratum adds to a mixture in which it has a share of ``shares`` (S,): (S, 8) as `_worth` takes it."""
    n = np.maximum(own.n, 1)
    level = np.zeros(len(n))  # the smoothed share of right answers, where that is what is asked for
    if contrast == CHANGE:
        noise = (own.lost + own.gained) / n - ((own.lost - own.gained) / n) ** 2  # variance of one sample's loss
    else:
        level = ((own.dense if contrast == DENSE else own.pruned) + 0.5) / (own.n + 1)
        noise = level * (1 - level)
    mixed = [shares * getattr(own, name) / n for name in NAMES]
    return np.stack([*mixed, shares, shares**2 / n, shares**2 * noise / n, shares * level], axis=1)


def _worth(sums: Floats, contrast: Contrast) -> Side:
    """Mixtures of strata, from sums (R, 8) of `_parts`, as counts (R,) of independent samples."""
    both, lost, gained, n, mass, kish, noise, level = sums.T
    some = np.where(mass > 0, mass, 1.0)
    churn, drop, share = (lost + gained) / some, (lost - gained) / some, level / some
    one_loss = np.where(churn > 0, churn - drop**2, 0.0)
    sample = one_loss if contrast == CHANGE else share * (1 - share)
    stratified = np.where(sample > 0, noise, 0.0) / np.where(sample > 0, sample, 1.0)
    variance = np.maximum(kish, stratified) / some**2
    size = np.where(mass > 0, 1 / np.where(mass > 0, variance, 1.0), 0.0)
    return Side(both=both / some * size, lost=lost / some * size, gained=gained / some * size, n=n / some * size)
