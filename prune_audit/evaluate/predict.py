"""A model run on some samples: what is fed to it, in what pieces, and what comes back.

`predict` is the whole of it, and knows nothing of a run: equal arguments give equal results, wherever and in whatever
order it is called, so that the rows of a data set can be shared out and what comes back put together (`Kept.concat`).
A pass over the data that shows each decoded batch to several models is made of the same steps.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from prune_audit.core import Array, Batch, Classifier, Counts, Distant, Kept, Preprocess
from prune_audit.errors import AlignmentError, ModelError
from prune_audit.evaluate.batch_size import FREE, BatchSize, Plan
from prune_audit.evaluate.inputs import Feeder
from prune_audit.tasks.classification import broken, keep


class Readable(Protocol):
    """What is asked of data to predict: a `prune_audit.core.Dataset`, or samples that were read before."""

    @property
    def preprocess(self) -> Preprocess | None:
        """How images are made into inputs, None where inputs are fed as they are."""
        ...

    def read(self, rows: Counts) -> Batch:
        """As `prune_audit.core.Dataset.read`."""
        ...


def predict(model: Classifier, dataset: Readable, rows: Counts, plan: Plan = FREE, *, size: int | None = None) -> Kept:
    """What ``model`` gives for the samples of ``dataset`` at ``rows`` (R,), in that order.

    What cannot be read has no row in it. The samples are read together, and predicted in batches as ``plan`` has it,
    else of ``size``, or all at once.

    Raises:
        AlignmentError: the data do not have the model's inputs.
        ModelError: the model cannot run, or gives scores that predict nothing.
    """
    batch = dataset.read(rows)
    parts = [Kept(rows=batch.rows[:0], digests=batch.digests[:0])]
    for piece in pieces(batch, model.expects.batch or plan.batch or size or max(1, len(batch.labels))):
        inputs = Feeder(piece.inputs, dataset.preprocess).feed(model.card.name, model.expects)
        check_input(model, inputs)
        scores = ask(model, inputs, pairs=plan.pairs)
        if (wrong := broken(scores)).any():
            raise ModelError(
                f"model {model.card.name} gave NaN or infinity for row {piece.rows[int(np.flatnonzero(wrong)[0])]}",
                hint="check the preprocessing, and what the model makes of such a sample",
            )
        parts.append(keep(scores, piece.labels, piece.rows, piece.digests))
    return Kept.concat(parts)


def ask(model: Classifier, inputs: Mapping[str, Array], *, pairs: bool = False, size: int | None = None) -> Array:
    """``model.predict`` for any number of rows: in calls of ``size``, which divides it, or in one.

    A model of fixed batch size is asked in calls of that. The last one is filled up by repeating its last row, and what
    comes out of the filling is dropped. With ``pairs`` a single row is predicted beside a copy of itself.

    Raises:
        ModelError: the model cannot run, or gives another number of rows than it was given.
    """
    count = len(next(iter(inputs.values())))
    if pairs and (size or count) == 1:
        twice = {name: np.repeat(values, 2, axis=0) for name, values in inputs.items()}
        return in_calls(model, twice, 2)[::2]
    fixed = model.expects.batch or size or count
    if lacking := -count % fixed:
        inputs = {name: np.concatenate([v, np.repeat(v[-1:], lacking, axis=0)]) for name, v in inputs.items()}
    return in_calls(model, inputs, fixed)[:count]


def in_calls(model: Classifier, inputs: Mapping[str, Array], size: int) -> Array:
    """As `prune_audit.core.Distant.predict_in_calls`, of any model.

    Raises:
        ModelError: the model cannot run, or gives another number of rows than it was given.
    """
    if isinstance(model, Distant):
        return model.predict_in_calls(inputs, size)
    parts = []
    for start in range(0, len(next(iter(inputs.values()))), size):
        piece = {name: values[start : start + size] for name, values in inputs.items()}
        scores, count = model.predict(piece), len(next(iter(piece.values())))
        if len(scores) != count:
            raise ModelError(
                f"model {model.card.name} gave {len(scores)} rows for {count} samples",
                hint="the first axis of a classifier's output must be the batch",
            )
        parts.append(scores)
    return joined(model.card.name, parts)


def timed(model: Classifier, inputs: Mapping[str, Array], size: BatchSize, *, pairs: bool = False) -> Array:
    """As `ask`, in calls of the ``size`` that is being fitted, which is told of their time."""
    count, start, parts = len(next(iter(inputs.values()))), 0, list[Array]()
    size.offer(count)
    while start < count:
        # A call of fewer samples, as at the end, goes alone: it tells nothing of the size.
        samples = min(size.size * min(size.calls, max(1, (count - start) // size.size)), count - start)
        piece = {name: values[start : start + samples] for name, values in inputs.items()}
        began = time.perf_counter()
        scores = ask(model, piece, pairs=pairs, size=min(size.size, samples))
        size.took(samples, time.perf_counter() - began)
        parts.append(scores)
        start += samples
    return joined(model.card.name, parts)


def joined(name: str, parts: Sequence[Array]) -> Array:
    """The scores (B, C) of several calls of the model called ``name``, one after the other.

    Raises:
        ModelError: they have different numbers of columns.
    """
    widths = [part.shape[1] if part.ndim > 1 else 0 for part in parts]
    for width in widths:
        if width != widths[0]:
            raise uneven(name, widths[0], width)
    return np.concatenate(parts)


def part(batch: Batch, at: Array) -> Batch:
    """The samples of ``batch`` at ``at``, positions or a mask."""
    inputs = {name: values[at] for name, values in batch.inputs.items()}
    rows = batch.rows[at]
    turned = np.intersect1d(batch.turned, rows)
    return Batch(rows=rows, inputs=inputs, labels=batch.labels[at], digests=batch.digests[at], turned=turned)


def pieces(batch: Batch, most: int) -> Sequence[Batch]:
    """``batch`` in pieces of at most ``most`` samples, in order."""
    count = len(batch.labels)
    return [part(batch, np.arange(start, min(start + most, count))) for start in range(0, count, most)]


def check_input(model: Classifier, inputs: Mapping[str, Array]) -> None:
    """Compare the shapes that the data give with those that the model declares.

    Raises:
        AlignmentError: a dimension other than the batch differs.
    """
    for wanted in model.expects.inputs:
        if wanted.shape is None:
            continue
        found = inputs[wanted.name].shape
        fits = len(found) == len(wanted.shape) and all(
            want in (None, have) for want, have in zip(wanted.shape[1:], found[1:], strict=True)
        )
        if not fits:
            raise AlignmentError(
                f"model {model.card.name}: input {wanted.name!r} takes {_shape(wanted.shape)}, "
                f"the data give {_shape((None, *found[1:]))}",
                hint="for images see --size and --channels; arrays must have the model's own shape",
            )


def uneven(name: str, before: int, after: int) -> ModelError:
    """The error for a model called ``name`` that gave ``before`` output columns, and then ``after``."""
    return ModelError(
        f"model {name} gave {before} output columns, then {after}",
        hint="a classifier must give the same number of outputs for every batch",
    )


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("batch" if i == 0 else "any" if n is None else str(n) for i, n in enumerate(shape)) + ")"
