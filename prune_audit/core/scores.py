"""What a pair keeps of its models' scores: bins of confidence, and how often the label is among the first k.

Calibration is asked of samples that a model *called* something, never of samples that are something: a perfectly
calibrated model looks wrong on the samples of a class that it confuses. Equal-mass bins, because a modern network puts
most samples into one tenth of [0, 1]. What is kept of a bin are sums in whole units of a ten-thousandth, which are
exact in any order and small in a document: finer than any calibration error that samples can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core.types import equal

if TYPE_CHECKING:
    from prune_audit.core.clusters import Clusters
    from prune_audit.core.types import Array, Counts, Floats

UNIT = 10_000
"""Sums of probabilities are kept in parts of this."""
BINS = 15
"""The most bins of a row, as Guo et al. 2017 (arXiv:1706.04599) have it."""


def bins_of(samples: Counts) -> Counts:
    """The bins for rows of so many samples: a third of the square root, 1 to `BINS`.

    With it bins grow in number and in size alike: 1 of 10 samples, 3 of 33, 10 of 100. More bins see finer structure
    and blur it; their noise is subtracted, but it widens the interval.
    """
    return np.clip(np.rint(np.sqrt(samples) / 3), 1, BINS).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """One model's confidence against its being right, in R rows of ``number`` (R,) bins each, K in all.

    Per bin (K,), rows one after the other and confidence rising within each: ``samples``, how many of them are
    ``right``, and in units of 1 / `UNIT` the sums of ``confidence`` p, of the squared error ``brier`` (right - p)^2
    and of the ``variance`` p (1 - p) that right would have if p were the truth.
    """

    number: Counts
    samples: Counts
    right: Counts
    confidence: Counts
    brier: Counts
    variance: Counts

    @property
    def row(self) -> Counts:
        """The row of each bin (K,)."""
        return np.repeat(np.arange(len(self.number)), self.number)

    @property
    def gap(self) -> Floats:
        """The share that is right less the mean confidence, per bin (K,)."""
        gap: Floats = (self.right - self.confidence / UNIT) / self.samples
        return gap

    @property
    def weight(self) -> Floats:
        """The share of the row's samples that each bin holds (K,)."""
        weight: Floats = self.samples / np.bincount(self.row, self.samples, len(self.number))[self.row]
        return weight

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, Bins) else equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """One model's samples: the row of each, its confidence in `UNIT`, and whether the model is right; (N,) each."""

    row: Counts
    confidence: Counts
    right: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Confidence against being right for both models, in S + 1 rows: the strata, then all samples together.

    The row of a sample is the stratum it is in once the label is replaced by what the model calls it.
    ``covariance`` (S + 1,) is that of the two models' debiased squared errors (`squared_error` of
    `stats.calibration`), from the samples that both models have in the row.
    """

    dense: Bins
    pruned: Bins
    covariance: Floats

    @classmethod
    def of(cls, size: int, dense: Scored, pruned: Scored) -> Calibration:
        """Bin the samples of both models in ``size`` strata, and in all together."""
        parts = []
        for rows, whole in ((size, False), (1, True)):
            sides = [
                Scored(row=np.zeros_like(s.row) if whole else s.row, confidence=s.confidence, right=s.right)
                for s in (dense, pruned)
            ]
            (d, d_bin), (p, p_bin) = (_binned(rows, side) for side in sides)
            parts.append((d, p, _covariance(sides[0], sides[1], d, p, d_bin, p_bin)))
        own, total = parts
        return cls(
            dense=_joined(own[0], total[0]),
            pruned=_joined(own[1], total[1]),
            covariance=np.concatenate([own[2], total[2]]),
        )

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, Calibration) else equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """The four counts (S,) and clusters of another question that was asked of a pair."""

    both: Counts
    lost: Counts
    gained: Counts
    neither: Counts
    clusters: Clusters | None = None

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, Counted) else equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TopK:
    """The four counts (S,) and clusters of a pair in which right is to have the label among ``k`` highest scores."""

    k: int
    both: Counts
    lost: Counts
    gained: Counts
    neither: Counts
    clusters: Clusters | None = None

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, TopK) else equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """Samples whose highest score several classes share exactly, of which the class of lowest index is predicted.

    ``dense`` and ``pruned`` (S,) count those of either model. ``both``, ``lost``, ``gained`` and ``neither`` (S,) are
    the four counts of the pair as they would be on average if each tie were drawn, each class as likely as another.
    """

    dense: Counts
    pruned: Counts
    both: Floats
    lost: Floats
    gained: Floats
    neither: Floats

    @classmethod
    def of(cls, size: int, stratum: Counts, tied: tuple[Array, Array], credit: tuple[Floats, Floats]) -> Ties:
        """The counts in ``size`` strata, from each sample's stratum, whether either model's highest score is ``tied``,
        and how often either would be right if ties were drawn; (N,) each."""
        a, b = credit

        def total(values: Array) -> Floats:
            return np.bincount(stratum, values, size).astype(np.float64)

        return cls(
            dense=np.bincount(stratum[tied[0]], minlength=size).astype(np.int64),
            pruned=np.bincount(stratum[tied[1]], minlength=size).astype(np.int64),
            both=total(a * b),
            lost=total(a * (1 - b)),
            gained=total((1 - a) * b),
            neither=total((1 - a) * (1 - b)),
        )

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, Ties) else equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FalseCounts:
    """What two models found where there is nothing, beside what they found, in C + 1 rows: the classes, then all.

    Let v count a cluster's things of a class, those that the dense model finds and what it finds where there is
    nothing, and likewise the pruned model's. ``sums`` (C + 1, 5) adds v up and ``products`` (C + 1, 5, 5) v v', over
    clusters, of which ``number`` (C + 1,) have any of these. ``average_precision`` (C, 2) is that of the dense and of
    the pruned model over all thresholds, -1 for a class without things, None where there is no such number.
    """

    sums: Counts
    products: Counts
    number: Counts
    average_precision: Floats | None = None

    @classmethod
    def of(
        cls, classes: int, parts: Sequence[tuple[Counts, Counts]], average_precision: Floats | None = None
    ) -> FalseCounts:
        """The sums over ``classes``, from five ``parts``: the class and the cluster of what v counts, (K,) each."""
        several = 1 + max(int(cluster.max(initial=-1)) for _, cluster in parts)
        rows = []
        for size, whole in ((classes, False), (1, True)):
            cells = [(np.zeros_like(of) if whole else of) * several + cluster for of, cluster in parts]
            known, at = np.unique(np.concatenate(cells), return_inverse=True)  # (J,)
            v = np.stack(
                [np.bincount(own, minlength=len(known)) for own in np.split(at, np.cumsum([*map(len, cells)])[:-1])]
            ).astype(np.int64)  # (5, J)
            row = known // max(several, 1)
            squares = (v[:, None] * v[None]).reshape(25, -1)
            rows.append(
                (
                    np.stack([np.bincount(row, each, size) for each in v], axis=1),
                    np.stack([np.bincount(row, each, size) for each in squares], axis=1).reshape(-1, 5, 5),
                    np.bincount(row, minlength=size),
                )
            )
        sums, products, number = (np.concatenate(part).astype(np.int64) for part in zip(*rows, strict=True))
        return cls(sums=sums, products=products, number=number, average_precision=average_precision)

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, FalseCounts) else equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


def in_units(confidence: Floats) -> Counts:
    """Probabilities (N,) as whole parts of `UNIT`; softmax outputs that exceed 1 by rounding are 1."""
    return np.rint(confidence * UNIT).clip(0, UNIT).astype(np.int64)


def _cells(rows: int, scored: Scored) -> tuple[Counts, Counts, Counts]:
    """What there is of row and confidence, as ``row * (UNIT + 1) + confidence`` (J,), rising; how many samples are each
    (J,); and which of them each sample is (N,)."""
    key = scored.row * (UNIT + 1) + scored.confidence
    if rows * (UNIT + 1) > len(key):
        known, at, samples = np.unique(key, return_inverse=True, return_counts=True)
        return known, samples, at
    table = np.bincount(key, minlength=rows * (UNIT + 1))  # a tenth of the time of sorting
    known = np.flatnonzero(table)
    return known, table[known], (np.cumsum(table > 0) - 1)[key]


def _binned(rows: int, scored: Scored) -> tuple[Bins, Counts]:
    """The bins of one model, and the bin of each of its samples (N,)."""
    known, samples, at = _cells(rows, scored)
    row, confidence = np.divmod(known, UNIT + 1)  # (J,)
    of_row = np.bincount(row, samples, rows).astype(np.int64)
    # Equal confidences share a bin, so that the order of samples cannot matter: all go where the first one goes.
    rank = samples.cumsum() - samples - (of_row.cumsum() - of_row)[row]
    place = row * BINS + rank * bins_of(of_row)[row] // of_row[row]
    starts = np.ones(len(known), bool)
    starts[1:] = place[1:] != place[:-1]
    own = starts.cumsum() - 1  # (J,)
    right = np.bincount(at, scored.right, len(known))

    def total(values: Array) -> Counts:
        return np.bincount(own, values, int(starts.sum())).astype(np.int64)

    off = np.rint((UNIT - confidence) ** 2 / UNIT), np.rint(confidence**2 / UNIT)
    return Bins(
        number=np.bincount(row[starts], minlength=rows).astype(np.int64),
        samples=total(samples),
        right=total(right),
        confidence=total(samples * confidence),
        brier=total(right * off[0] + (samples - right) * off[1]),
        variance=total(samples * np.rint(confidence * (UNIT - confidence) / UNIT)),
    ), own[at]


def _covariance(dense: Scored, pruned: Scored, d: Bins, p: Bins, d_bin: Counts, p_bin: Counts) -> Floats:
    """Of the two sums of w (gap^2 - noise), per row: each pair of bins moves together by the samples they share.

    For normal gaps with means g, h and covariance c, Cov(gap^2, gap'^2) = 4 g h c + 2 c^2; the observed product of
    gaps exceeds g h by c on average, hence -2.
    """
    shared = dense.row == pruned.row
    row, d_bin, p_bin = dense.row[shared], d_bin[shared], p_bin[shared]
    d_off, p_off = (
        scored.right[shared] - scored.confidence[shared] / UNIT - bins.gap[own]
        for scored, bins, own in ((dense, d, d_bin), (pruned, p, p_bin))
    )
    first = p.number.cumsum() - p.number  # bin of each row (R,)
    pair = d_bin * BINS + p_bin - first[row]  # both are of one row
    size = len(d.samples) * BINS
    pairs = np.flatnonzero(np.bincount(pair, minlength=size))  # (J,)
    i, j = np.divmod(pairs, BINS)
    j += first[d.row[i]]
    c = np.bincount(pair, d_off * p_off, size)[pairs] / (d.samples[i] * p.samples[j])
    each = d.weight[i] * p.weight[j] * (4 * d.gap[i] * p.gap[j] * c - 2 * c * c)
    covariance: Floats = np.bincount(d.row[i], each, len(d.number)).astype(np.float64)
    return covariance


def _joined(first: Bins, second: Bins) -> Bins:
    """The rows of both, one after the other."""
    return Bins(
        **{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in Bins.__dataclass_fields__}
    )
