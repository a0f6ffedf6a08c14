"""What is kept of a model's scores: a few numbers a sample, never the scores themselves.

So memory grows by some 70 bytes a sample and model, not by the number of classes. What is kept is the same whatever the
scores turn out to be (`prune_audit.evaluate.reading` decides that, once a run), so that neither the size of a batch nor
an earlier run can decide it. The same numbers are what a store of predictions holds, and what recorded scores are made
into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Counts, Floats

# Two scores that differ by less than this share of the larger may change places with the order of a float32 sum,
# which batch size, threads and processors decide: some 16 roundings of 2**-24 each.
NOISE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """One model's results on K samples.

    ``rows (K,)`` are positions in the data set and ``digests (K,)`` of their content. ``predicted (K,)`` are output
    columns, or the classes as a model gives them that gives nothing else. Of scores (K, C) as they came: ``first``,
    the highest of a row, ``own``, that of the label, ``least``, the lowest, ``total``, their sum, and ``spread``, the
    logarithm of the sum of exp(score - first); ``rank`` as in `prune_audit.core.Outputs`; ``tied (K,)`` how many
    columns share the highest score, 1 where none does; ``close (K,)`` that the two highest are within float noise. Of a
    model with one output column there is ``column (K,)`` alone.
    """

    rows: Counts
    digests: npt.NDArray[np.uint64]
    predicted: npt.NDArray[np.int32] | None = None
    first: Floats | None = None
    own: Floats | None = None
    least: Floats | None = None
    total: Floats | None = None
    spread: Floats | None = None
    rank: npt.NDArray[np.int32] | None = None
    tied: npt.NDArray[np.int32] | None = None
    close: npt.NDArray[np.bool_] | None = None
    column: Floats | None = None

    @classmethod
    def of_scores(cls, scores: Array, labels: Counts, rows: Counts, digests: npt.NDArray[np.uint64]) -> Self:
        """What is kept of ``scores (K, C)``, ``(K, 1)`` or classes ``(K,)``; ``labels (K,)`` are output columns.

        None of them is `broken`.
        """
        if scores.ndim == 1:
            return cls(rows=rows, digests=digests, predicted=scores.astype(np.int32))
        if scores.shape[1] == 1:
            return cls(rows=rows, digests=digests, column=scores[:, 0].astype(np.float64))
        values = scores.astype(np.float64)  # (K, C)
        first = values.max(axis=1)  # (K,)
        return cls(
            rows=rows,
            digests=digests,
            predicted=scores.argmax(axis=1).astype(np.int32),
            first=first,
            own=np.take_along_axis(values, labels[:, None], axis=1)[:, 0],
            least=values.min(axis=1),
            total=values.sum(axis=1),
            spread=np.log(np.exp(values - first[:, None]).sum(axis=1)),
            rank=rank(scores, labels),
            tied=(values == first[:, None]).sum(axis=1).astype(np.int32),
            close=close(values),
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


def close(scores: Array) -> npt.NDArray[np.bool_]:
    """Whether the two highest of scores (K, C >= 2) are within float noise of the largest magnitude among them."""
    second, first = np.partition(scores.astype(np.float64), -2, axis=1)[:, -2:].T  # (K,)
    largest = np.abs(np.where(np.isfinite(scores), scores, 0)).max(axis=1)
    near: npt.NDArray[np.bool_] = first - second <= NOISE * largest
    return near
