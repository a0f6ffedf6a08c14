"""What is kept of a model's scores, as they come, and which class they predict.

What the scores are ``reading`` decides, once a run. The same numbers are what a store of predictions holds, and what
recorded scores are made into.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Counts, Floats, Kept

# Two scores that differ by less than this share of the larger may change places with the order of a float32 sum,
# which batch size, threads and processors decide: some 16 roundings of 2**-24 each.
NOISE = 1e-6


def keep(scores: Array, labels: Counts, rows: Counts, digests: npt.NDArray[np.uint64]) -> Kept:
    """What is kept of ``scores (K, C)``, ``(K, 1)`` or classes ``(K,)``; ``labels (K,)`` are output columns.

    None of them is `broken`.
    """
    if scores.ndim == 1:
        return Kept(rows=rows, digests=digests, predicted=scores.astype(np.int32))
    if scores.shape[1] == 1:
        return Kept(rows=rows, digests=digests, column=scores[:, 0].astype(np.float64))
    values = scores.astype(np.float64)  # (K, C)
    first = values.max(axis=1)  # (K,)
    return Kept(
        rows=rows,
        digests=digests,
        predicted=decided(scores).astype(np.int32),
        first=first,
        own=np.take_along_axis(values, labels[:, None], axis=1)[:, 0],
        least=values.min(axis=1),
        total=values.sum(axis=1),
        spread=np.log(np.exp(values - first[:, None]).sum(axis=1)),
        rank=rank(scores, labels),
        tied=(values == first[:, None]).sum(axis=1).astype(np.int32),
        close=close(values),
    )


def decided(scores: Array, split: float = 0.0) -> Counts:
    """The class (K,) that scores (K, C) predict: that of the highest, of equal ones the first.

    Of one column (K, 1) it is the second of two classes above ``split``, and the first on it; classes (K,) are as they
    are.
    """
    if scores.ndim == 1:
        return scores.astype(np.int64)
    if scores.shape[1] == 1:
        return (scores[:, 0] > split).astype(np.int64)
    highest: Counts = scores.argmax(axis=1)
    return highest


def softmax(scores: Floats, first: Floats, spread: Floats) -> Floats:
    """The share (K,) that the softmax of a row gives to one of its ``scores`` (K,).

    ``first`` (K,) is the highest score of the row, and ``spread`` (K,) the logarithm of the sum of exp(score - first).
    """
    share: Floats = np.exp(scores - first - spread)
    return share


def broken(scores: Array) -> npt.NDArray[np.bool_]:
    """Which samples (K,) have scores (K, ...) that predict nothing: NaN, infinity, or minus infinity for every class.

    Minus infinity for some is a score: the logarithm of 0, or a class that is masked.
    """
    wrong: npt.NDArray[np.bool_] = np.asarray(np.isnan(scores) | (scores == np.inf), bool)
    if scores.ndim == 1:
        return wrong
    nothing = np.asarray((scores == -np.inf).all(axis=1), bool) & (scores.shape[1] > 1)
    some: npt.NDArray[np.bool_] = np.asarray(wrong.any(axis=1), bool) | nothing
    return some


def rank(scores: Array, labels: Counts) -> npt.NDArray[np.int32]:
    """How many classes stand before the label (K,), by scores (K, C): higher ones, and equal ones of lower index.

    So a rank of 0 is what argmax calls right.
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)  # (K, 1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]  # (K, C)
    before: npt.NDArray[np.int32] = ((scores > own) | ((scores == own) & earlier)).sum(axis=1).astype(np.int32)
    return before


def margin(scores: Array, top: int = 1) -> Floats:
    """By how much (K,) the lowest of the ``top`` highest of scores (K, C) stands above the next, infinite without one.

    Of one column (K, 1) it is how far that is from where two classes may be split, at 0 or at a half.
    """
    values = scores.astype(np.float64)
    if values.shape[1] == 1:
        return np.minimum(np.abs(values[:, 0]), np.abs(values[:, 0] - 0.5))
    if values.shape[1] <= top:
        return np.full(len(values), np.inf)
    parted = np.partition(values, (-top - 1, -top), axis=1)
    lead: Floats = parted[:, -top] - parted[:, -top - 1]
    return lead


def close(scores: Array) -> npt.NDArray[np.bool_]:
    """Whether the two highest of scores (K, C >= 2) are within float noise of the largest magnitude among them."""
    largest = np.abs(np.where(np.isfinite(scores), scores, 0)).max(axis=1)
    near: npt.NDArray[np.bool_] = margin(scores) <= NOISE * largest
    return near
