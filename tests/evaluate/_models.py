"""Classifiers and data sets made of plain functions and arrays, for the tests of the pass over the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from prune_audit.core import (
    Activation,
    Array,
    Assumption,
    Batch,
    Counts,
    Expects,
    Input,
    ModelCard,
    Preprocess,
    Suspect,
)


class FunctionModel:
    """A classifier that is one function of its first input; it remembers the shapes it was given."""

    def __init__(
        self,
        name: str,
        function: Callable[[Array], Array],
        expects: Expects | None = None,
        ends: Activation | None = None,
    ) -> None:
        self.card = ModelCard(name=name, path=name, format="test", digest=name, size=0)
        self.expects = expects or Expects(inputs=(Input(name="x"),))
        self.notes: tuple[str, ...] = ()
        self.assumptions: tuple[Assumption, ...] = ()
        self._function = function
        self.ends = ends
        self.shapes: list[tuple[int, ...]] = []
        self.seen: tuple[Suspect, ...] = ()

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        values = next(iter(inputs.values()))
        self.shapes.append(values.shape)
        return self._function(values)

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        return next(iter(inputs.values())).size

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:
        return self.ends

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
        return self.seen


class ArrayData:
    """A data set of arrays, in which some rows may be unreadable; it counts how often each row is read."""

    def __init__(
        self,
        inputs: Mapping[str, Array],
        labels: Sequence[int],
        *,
        classes: Sequence[str] = ("a", "b"),
        indexed: bool = False,
        bad: Sequence[int] = (),
        preprocess: Preprocess | None = None,
    ) -> None:
        self.name = self.path = "arrays"
        self.classes = tuple(classes)
        self.indexed = indexed
        self.labels: Counts = np.asarray(labels, np.int64)
        self.ids = tuple(f"s{i}" for i in range(len(self.labels)))
        self.groups: Mapping[str, Array] = {"parity": np.arange(len(self.labels)) % 2}
        self.preprocess = preprocess
        self.notes: tuple[str, ...] = ()
        self.assumptions: tuple[Assumption, ...] = ()
        self.reads = np.zeros(len(self.labels), int)
        self._inputs = inputs
        self._bad = set(bad)

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        np.add.at(self.reads, np.asarray(rows), 1)
        good = np.array([r for r in rows if r not in self._bad], np.int64)
        return Batch(
            rows=good,
            inputs={name: values[good] for name, values in self._inputs.items()},
            labels=self.labels[good],
            digests=good.astype(np.uint64),
            bad=tuple((self.ids[r], "broken") for r in rows if r in self._bad),
        )

    def fingerprint(self, verify: bool) -> str:
        return f"{len(self.labels)} {verify}"
