"""What is kept of a model's scores: a few numbers a sample, never the scores themselves.

So memory grows by some 30 bytes a sample and model, not by the number of classes. The same numbers are what a store
of predictions holds, and what recorded scores are made into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Counts, Floats

# Rows of scores count as probabilities where they lie in [0, 1] and sum to 1 this closely: float16 and int8 softmax
# outputs miss by about a percent.
SUM_TOLERANCE = 0.02
# Two scores that differ by less than this share of the larger may change places with the order of a float32 sum,
# which batch size, threads and processors decide: some 16 roundings of 2**-24 each.
NOISE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """One model's results on K samples.

    ``rows (K,)`` are positions in the data set and ``digests (K,)`` of their content. ``predicted (K,)`` are output
    columns; ``confidence``, ``true_score``, ``rank`` as in `prune_audit.core.Outputs`; ``close (K,)`` says that the
    two highest scores are within float noise. Of a model with one output column there is ``column (K,)`` alone,
    because only the whole run can tell what it is.
    """

    rows: Counts
    digests: npt.NDArray[np.uint64]
    predicted: npt.NDArray[np.int32] | None = None
    confidence: Floats | None = None
    true_score: Floats | None = None
    rank: npt.NDArray[np.int32] | None = None
    close: npt.NDArray[np.bool_] | None = None
    column: Floats | None = None

    @classmethod
    def of_scores(cls, scores: Array, labels: Counts, rows: Counts, digests: npt.NDArray[np.uint64]) -> Self:
        """What is kept of ``scores (K, C)``, ``(K, 1)`` or classes ``(K,)``; ``labels (K,)`` are output columns."""
        if scores.ndim == 1:
            return cls(rows=rows, digests=digests, predicted=scores.astype(np.int32))
        if scores.shape[1] == 1:
            return cls(rows=rows, digests=digests, column=scores[:, 0].astype(np.float64))
        chances = probabilities(scores)  # (K, C)
        predicted = scores.argmax(axis=1)  # (K,)
        each = np.arange(len(rows))
        return cls(
            rows=rows,
            digests=digests,
            predicted=predicted.astype(np.int32),
            confidence=chances[each, predicted],
            true_score=chances[each, labels],
            # Of the scores as they came: probabilities may round different scores to equal ones.
            rank=rank(scores, labels),
            close=close(scores),
        )

    @classmethod
    def concat(cls, parts: Sequence[Kept]) -> Self:
        """The samples of all ``parts``, one after the other; a field is there where it is in every part."""
        joined: dict[str, Any] = {}
        for field in fields(cls):
            values = [getattr(part, field.name) for part in parts]
            joined[field.name] = None if any(v is None for v in values) else np.concatenate(values)
        return cls(**joined)

    def take(self, at: Array) -> Self:
        """The samples at positions ``at``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        taken: dict[str, Any] = {name: None if v is None else v[at] for name, v in values.items()}
        return type(self)(**taken)

    def __len__(self) -> int:
        return len(self.rows)


def probabilities(scores: Array) -> Floats:
    """Scores (K, C) as probabilities: what already is one is not softmaxed again."""
    values = scores.astype(np.float64)
    if given(values):
        return values
    values -= values.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values


def given(scores: Array) -> bool:
    """Whether scores (K, C) are probabilities already."""
    sums = scores.sum(axis=1)
    inside = scores.min() >= 0 and scores.max() <= 1 + SUM_TOLERANCE
    return bool(inside and (abs(sums - 1) <= SUM_TOLERANCE).all())


def rank(scores: Array, labels: Counts) -> npt.NDArray[np.int32]:
    """How many classes stand before the label (K,), by scores (K, C): higher ones, and equal ones of lower index.

    So a rank of 0 is what argmax calls right.
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)  # (K, 1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]  # (K, C)
    before: npt.NDArray[np.int32] = ((scores > own) | ((scores == own) & earlier)).sum(axis=1).astype(np.int32)
    return before


def close(scores: Array) -> npt.NDArray[np.bool_]:
    """Whether the two highest of scores (K, C >= 2) are within float noise of the largest magnitude among them."""
    second, first = np.partition(scores.astype(np.float64), -2, axis=1)[:, -2:].T  # (K,)
    near: npt.NDArray[np.bool_] = first - second <= NOISE * np.abs(scores).max(axis=1)
    return near
