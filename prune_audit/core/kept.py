"""What comes back of running one model on some samples: a few numbers a sample, never the scores themselves.

Wherever the samples were run - in this thread, on another machine, in an earlier run - what comes back of them is the
same, so that parts are put together without knowing where each is from. So memory grows by some 70 bytes a sample and
model, not by the number of classes. What is kept is the same whatever the scores turn out to be, so that neither the
size of a batch nor an earlier run can decide it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from prune_audit.core.types import Array, Counts, Floats


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
    def concat(cls, parts: Sequence[Kept]) -> Self:
        """The samples of all ``parts``, one after the other; a field is there where it is in every part.

        A part without samples has no say in that.
        """
        some = [part for part in parts if len(part)] or parts
        joined: dict[str, Any] = {}
        for field in fields(cls):
            values = [getattr(part, field.name) for part in some]
            joined[field.name] = None if any(v is None for v in values) else np.concatenate(values)
        return cls(**joined)

    @property
    def columns(self) -> dict[str, Array]:
        """The fields that are there, (K,) each, by name: what a part on disk holds."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def take(self, at: Array) -> Self:
        """The samples at positions ``at``."""
        taken: dict[str, Any] = {name: values[at] for name, values in self.columns.items()}
        return type(self)(**taken)

    def __len__(self) -> int:
        return len(self.rows)
