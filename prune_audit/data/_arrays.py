"""Arrays in memory as a data set: what formats share whose inputs are rows of numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prune_audit.core import Array, Assumption, Batch, Counts, DataSource, Preprocess
from prune_audit.data._rows import Rows
from prune_audit.errors import AlignmentError
from prune_audit.files import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayDataset:
    """A `prune_audit.core.Dataset` of N rows of arrays.

    ``bad`` says of rows that cannot be fed why not. ``lacks`` is a message and a hint where there is nothing to feed.
    """

    name: str
    path: str
    classes: tuple[str, ...]
    labels: Counts  # (N,)
    ids: tuple[str, ...]
    groups: Mapping[str, Array]
    inputs: Mapping[str, Array]  # each (N, ...), in C order
    notes: tuple[str, ...]
    indexed: bool = False
    bad: Mapping[int, str] = field(default_factory=dict)
    lacks: tuple[str, str] | None = None
    preprocess: Preprocess | None = None
    assumptions: tuple[Assumption, ...] = ()

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        """The rows of every input array, whose digests are over the inputs' bytes in the order of the names."""
        if self.lacks is not None:
            message, hint = self.lacks
            raise AlignmentError(message, hint=hint)
        at = np.array([row for row in map(int, rows) if row not in self.bad], np.int64)
        inputs = {name: values[at] for name, values in self.inputs.items()}
        return Batch(
            rows=at,
            inputs=inputs,
            labels=self.labels[at],
            digests=digests(inputs, len(at)),
            bad=tuple((self.ids[row], self.bad[row]) for row in map(int, rows) if row in self.bad),
        )

    def fingerprint(self, verify: bool) -> str:  # noqa: ARG002 - arrays in memory are always looked at
        """Of the arrays, and of which rows cannot be fed; see `prune_audit.files.fingerprint`."""
        return f"{fingerprint.of_arrays(self.inputs)}-{sorted(self.bad)}"


def unfed(source: DataSource, rows: Rows) -> ArrayDataset:
    """The ``rows`` of the table at ``source``, of which nothing is fed to a model."""
    return ArrayDataset(
        name=source.path.resolve().name,
        path=str(source.path),
        classes=rows.classes,
        labels=rows.labels,
        ids=rows.ids,
        groups=rows.groups,
        inputs={},
        notes=rows.notes,
        assumptions=rows.assumptions,
        lacks=(
            f"{source.path} holds labels alone, nothing to feed a model with",
            "a table needs a column of paths, of texts or of numbers (--path-column, --text-column, --features); "
            "labels alone fit predictions that were recorded elsewhere",
        ),
    )


def digests(inputs: Mapping[str, Array], count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """64-bit hashes (B,) of the ``count`` rows of ``inputs``, over their bytes in the order of the names."""
    found = np.empty(count, np.uint64)  # (B,)
    for i in range(count):
        content = hashlib.blake2b(digest_size=8)
        for name in sorted(inputs):
            content.update(inputs[name][i].tobytes())
        found[i] = int.from_bytes(content.digest(), "little")
    return found
