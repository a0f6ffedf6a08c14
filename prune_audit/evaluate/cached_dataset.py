"""A data set whose samples are decoded once and kept, for whoever shows the same ones again and again: a training.

What does not fit into memory, or has another shape in every batch, is read anew each time, and so is a batch with a
sample that cannot be read.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Assumption, Batch, Counts, Dataset, Preprocess

KEPT = 10**9  # bytes of decoded samples that are kept


class Remembered:
    """The `prune_audit.core.Dataset` ``dataset``, or its samples at ``rows`` (R,) alone, in that order."""

    def __init__(self, dataset: Dataset, rows: Counts | None = None) -> None:
        self._dataset, self._rows = dataset, rows
        self.name: str = dataset.name
        self.path: str = dataset.path
        self.classes: tuple[str, ...] = dataset.classes
        self.indexed: bool = dataset.indexed
        self.preprocess: Preprocess | None = dataset.preprocess
        self.notes: tuple[str, ...] = dataset.notes
        self.assumptions: tuple[Assumption, ...] = dataset.assumptions
        at = np.arange(len(dataset.labels)) if rows is None else rows
        self.labels: Counts = dataset.labels[at]
        self.ids: tuple[str, ...] = tuple(dataset.ids[row] for row in at)
        self.groups: Mapping[str, Array] = {name: values[at] for name, values in dataset.groups.items()}
        self._at = at
        self._known = np.zeros(len(at), bool)
        self._turned = np.zeros(len(at), bool)
        self._inputs: dict[str, Array] | None = None  # (R, ...) each
        self._digests: npt.NDArray[np.uint64] = np.zeros(len(at), np.uint64)
        self._fingerprints: dict[bool, str] = {}  # looked for once, as the samples are
        self._keeps = True
        self._lock = threading.Lock()

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        """As `prune_audit.core.Dataset.read`."""
        rows = np.asarray(rows, np.int64)
        if self._keeps and not self._known[rows].all():
            missing = np.unique(rows[~self._known[rows]])
            self._learn(missing, self._dataset.read(self._at[missing]))
        with self._lock:
            if self._inputs is not None and self._known[rows].all():
                inputs = {name: array[rows] for name, array in self._inputs.items()}
                digests, turned = self._digests[rows], rows[self._turned[rows]]
                return Batch(rows=rows, inputs=inputs, labels=self.labels[rows], digests=digests, turned=turned)
        batch = self._dataset.read(self._at[rows])
        bad = {sample for sample, _ in batch.bad}
        own = np.array([row for row in rows if self.ids[row] not in bad], np.int64)
        turned = own[np.isin(self._at[own], batch.turned)]
        return Batch(
            rows=own, inputs=batch.inputs, labels=batch.labels, digests=batch.digests, bad=batch.bad, turned=turned
        )

    def fingerprint(self, verify: bool) -> str:
        """As `prune_audit.core.Dataset.fingerprint`."""
        if verify not in self._fingerprints:
            whole = self._dataset.fingerprint(verify)
            if self._rows is not None:
                whole = hashlib.sha256(whole.encode() + self._rows.astype("<i8").tobytes()).hexdigest()
            self._fingerprints[verify] = whole
        return self._fingerprints[verify]

    def _learn(self, rows: Counts, batch: Batch) -> None:
        """Keep ``batch``, the samples at ``rows``, if it can be kept."""
        if batch.bad:
            return
        with self._lock:
            if not self._keeps:
                return
            if self._inputs is None:
                size = sum(array[0].nbytes for array in batch.inputs.values()) * len(self._at)
                if size <= KEPT:
                    n = len(self._at)
                    self._inputs = {name: np.empty((n, *a.shape[1:]), a.dtype) for name, a in batch.inputs.items()}
            kept = self._inputs
            # Texts are as long as the longest of their batch.
            if kept is None or any(kept[name].shape[1:] != a.shape[1:] for name, a in batch.inputs.items()):
                self._keeps, self._inputs = False, None
                return
            for name, array in batch.inputs.items():
                kept[name][rows] = array
            self._digests[rows] = batch.digests
            self._turned[rows] = np.isin(self._at[rows], batch.turned)
            self._known[rows] = True
