"""One pass over the data: each sample is decoded once and shown to every model.

What is kept of a sample is its predicted class, two probabilities and the rank of the true class per model; logits
are never kept, so memory grows by some 30 bytes a sample and model, not by the number of classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from prune_audit.core import (
    Array,
    Batch,
    Classifier,
    Counts,
    Dataset,
    Floats,
    Outputs,
    Predictions,
    Settings,
    Value,
)
from prune_audit.errors import AlignmentError, DataError, ModelError
from prune_audit.evaluate import alignment, culprits
from prune_audit.evaluate.draw import stratified
from prune_audit.evaluate.feed import Feeder
from prune_audit.evaluate.pipeline import Lanes, batches, cores

Progress = Callable[[int, int], None]

# Samples that the alignment of models and labels is judged by before the long run.
FIRST = 300
# Two photographs of 224 pixels: batches whose activations leave the processor's caches are up to four times slower
# (tests/benchmarks/batch_size.py), and more than 256 small samples at once gain nothing further.
BATCH_BYTES = 5 * 2**18
BATCH_MOST = 256
# Rows of scores count as probabilities where they lie in [0, 1] and sum to 1 this closely: float16 and int8 softmax
# outputs miss by about a percent.
SUM_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a pass leaves: predictions, the samples that could not be read, and how the pass went."""

    predictions: Predictions
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    run: Mapping[str, Value]


def evaluate(
    models: Sequence[Classifier],
    dataset: Dataset,
    rows: Counts,
    settings: Settings,
    progress: Progress | None = None,
) -> Evaluation:
    """Run ``models``, the dense one first, once over the samples of ``dataset`` at ``rows`` (R,).

    A stratified few hundred go first, and the rest only where models and labels fit together on these; the
    predictions come in the order of the data all the same.

    Raises:
        AlignmentError: a model's outputs do not fit the classes of the data.
        DataError: more than ``settings.skip_bad`` samples cannot be read, or one holds NaN or infinities and so do
            the scores of a model.
        ModelError: a model cannot run, or gives NaN or infinities.
    """
    started = time.perf_counter()
    workers = settings.workers or cores()
    size = settings.batch_size or _batch_size(dataset, rows[: settings.skip_bad + 1])
    tallies = [_Tally(model, dataset) for model in models]
    seen: list[Batch] = []
    skipped: list[tuple[str, str]] = []
    done = 0
    first = stratified(dataset.labels[rows], FIRST, settings.seed)
    for stage in (rows[first], np.delete(rows, first)):
        with closing(batches(dataset, stage, size=size, workers=workers)) as decoded, Lanes(len(tallies)) as lanes:
            for batch in decoded:
                done += len(batch.labels) + len(batch.bad)
                skipped += batch.bad
                _tolerate(skipped, settings.skip_bad)
                if len(batch.labels):
                    feeder = Feeder(batch.inputs, dataset.preprocess)
                    lanes.run([partial(t.add, feeder.feed(t.name, t.expects), batch) for t in tallies])
                    # The inputs go; labels and digests stay.
                    seen.append(Batch(rows=batch.rows, inputs={}, labels=batch.labels, digests=batch.digests))
                if progress is not None:
                    progress(done, len(rows))
            lanes.finish()
        predictions = _predictions(tallies, dataset, seen)
        alignment.check(predictions)
    seconds = time.perf_counter() - started
    return Evaluation(
        predictions=predictions,
        skipped=tuple(sorted(skipped)),
        notes=tuple(note for tally in tallies for note in tally.notes),
        run={
            "seconds": round(seconds, 3),
            "samples_per_second": round(len(predictions.labels) / seconds, 1),
            "batch_size": size,
            "workers": workers,
        },
    )


def _predictions(tallies: Sequence[_Tally], dataset: Dataset, seen: Sequence[Batch]) -> Predictions:
    """All predictions so far, in the order of the data."""
    if not seen:
        raise DataError(f"{dataset.path}: no sample could be read", hint="see the reasons with --skip-bad 0")
    rows = np.concatenate([b.rows for b in seen])  # (N,)
    order = np.argsort(rows)
    kept = rows[order]
    return Predictions(
        classes=_classes(tallies, dataset),
        ids=tuple(dataset.ids[i] for i in kept),
        labels=np.concatenate([b.labels for b in seen])[order],
        models=tuple(tally.outputs(order) for tally in tallies),
        groups={name: values[kept] for name, values in dataset.groups.items()},
        digests=np.concatenate([b.digests for b in seen])[order],
    )


class _Tally:
    """One model's running predictions."""

    def __init__(self, model: Classifier, dataset: Dataset) -> None:
        self._model = model
        self._dataset = dataset
        self.name = model.card.name
        self.expects = model.expects
        self.width = 0  # output columns, 0 until the first batch and where the model gives classes alone
        self.notes: list[str] = []
        self._predicted: list[Counts] = []
        self._confidence: list[Floats] = []
        self._true: list[Floats] = []
        self._rank: list[npt.NDArray[np.int32]] = []
        self._labels: list[Counts] = []
        self._column: list[Floats] = []  # raw scores of a model with one output column

    @property
    def columns(self) -> int:
        """Classes that the outputs tell apart; 0 where the model gives classes alone."""
        return 2 if self.width == 1 else self.width

    def add(self, inputs: Mapping[str, Array], batch: Batch) -> None:
        labels = batch.labels
        if not self._predicted and not self._column:
            _check_input(self._model, inputs)
        scores = predict(self._model, inputs)
        if len(scores) != len(labels):
            raise ModelError(
                f"model {self.name} gave {len(scores)} rows for {len(labels)} samples",
                hint="the first axis of a classifier's output must be the batch",
            )
        if scores.ndim == 1:
            self._predicted.append(scores.astype(np.int64))
            return
        if not np.isfinite(scores).all():
            raise culprits.not_finite(self.name, scores, batch, self._dataset)
        self._fits(scores.shape[1])
        if self.width == 1:
            self._column.append(scores[:, 0].astype(np.float64))
            self._labels.append(labels)
            return
        probabilities = _probabilities(scores)  # (B, C)
        predicted = scores.argmax(axis=1)  # (B,)
        each = np.arange(len(labels))
        self._predicted.append(predicted.astype(np.int64))
        self._confidence.append(probabilities[each, predicted])
        self._true.append(probabilities[each, labels])
        # Of the scores as they came: probabilities may round different scores to equal ones.
        self._rank.append(_rank(scores, labels))

    def outputs(self, order: Counts) -> Outputs:
        """All that was kept so far, as one value, in ``order`` (N,)."""
        if self.width == 1:
            return self._binary(order)
        predicted = np.concatenate(self._predicted)[order]
        if not self._confidence:
            return Outputs(name=self.name, predicted=predicted)
        return Outputs(
            name=self.name,
            predicted=predicted,
            confidence=np.concatenate(self._confidence)[order],
            true_score=np.concatenate(self._true)[order],
            rank=np.concatenate(self._rank)[order],
        )

    def _binary(self, order: Counts) -> Outputs:
        """One output column: 0 splits logits, .5 probabilities. Which of both they are only the whole run can tell."""
        column, labels = np.concatenate(self._column)[order], np.concatenate(self._labels)[order]  # (N,)
        given = bool(column.min() >= 0 and column.max() <= 1)
        positive = column if given else 1 / (1 + np.exp(-column.clip(-700, 700)))
        predicted = (positive > 0.5 if given else column > 0).astype(np.int64)
        kind, split = ("probabilities", "0.5") if given else ("logits", "0")
        self.notes = [f"model {self.name} has one output column, read as {kind} and split at {split}"]
        return Outputs(
            name=self.name,
            predicted=predicted,
            confidence=np.where(predicted == 1, positive, 1 - positive),
            true_score=np.where(labels == 1, positive, 1 - positive),
        )

    def _fits(self, width: int) -> None:
        """Check the number of output columns against the classes, once."""
        if self.width == width:
            return
        if self.width:
            raise ModelError(
                f"model {self.name} gave {self.width} output columns, then {width}",
                hint="a classifier must give the same number of outputs for every batch",
            )
        self.width = width
        named = self._dataset.classes
        if self.columns == len(named) or (self._dataset.indexed and self.columns > len(named)):
            return
        few = self.columns < len(named)
        raise AlignmentError(
            f"model {self.name} has {width} output column{'s' if width > 1 else ''}, "
            f"the data have {len(named)} classes ({_some(named)})"
            f"{culprits.too_many(self._dataset, self.columns) if few else ''}",
            hint="is this the right model for these data? The model must know every class of the data; "
            "a stray label makes a class of its own"
            if few
            else "name all classes in the order of the model's outputs, one a line, with --classes FILE; "
            "those without samples are then shown as absent",
        )


def predict(model: Classifier, inputs: Mapping[str, Array]) -> Array:
    """``model.predict`` for any number of rows: a model of fixed batch size is fed in pieces of that size.

    The last piece is filled up by repeating its last row, and what comes out of the filling is dropped.
    """
    fixed = model.expects.batch
    count = len(next(iter(inputs.values())))
    if fixed is None or fixed == count:
        return model.predict(inputs)
    parts = []
    for start in range(0, count, fixed):
        piece = {name: values[start : start + fixed] for name, values in inputs.items()}
        real = len(next(iter(piece.values())))
        if real < fixed:
            piece = {name: np.concatenate([v, np.repeat(v[-1:], fixed - real, axis=0)]) for name, v in piece.items()}
        parts.append(model.predict(piece)[:real])
    return np.concatenate(parts)


def _check_input(model: Classifier, inputs: Mapping[str, Array]) -> None:
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


def _classes(tallies: Sequence[_Tally], dataset: Dataset) -> tuple[str, ...]:
    """The classes of the data, extended to the models' outputs where labels are output columns themselves."""
    widths = {tally.name: tally.columns for tally in tallies if tally.columns}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise AlignmentError(
            f"the models have different numbers of outputs: {told}", hint="compare models of the same classes"
        )
    named = dataset.classes
    return named + tuple(str(i) for i in range(len(named), max(widths.values(), default=0)))


def _tolerate(skipped: Sequence[tuple[str, str]], most: int) -> None:
    if len(skipped) > most:
        name, reason = skipped[most]
        so_far = f" (after {most} that --skip-bad {most} allows)" if most else ""
        raise DataError(
            f"cannot read {name}: {reason}{so_far}",
            hint="repair or remove the sample, or allow some with --skip-bad N, which lists them in the report",
        )


def _batch_size(dataset: Dataset, rows: Counts) -> int:
    """As many samples as fit into `BATCH_BYTES` of float inputs, by the first of ``rows`` that can be read."""
    for row in rows:
        one = dataset.read([row])
        if len(one.labels):
            sample: int = sum(int(values[0].size) * 4 for values in one.inputs.values())
            return max(1, min(BATCH_MOST, BATCH_BYTES // max(1, sample)))
    return 1  # more than are tolerated, so that the run ends there


def _probabilities(scores: Array) -> Floats:
    """Scores (B, C) as probabilities: what already is one is not softmaxed again."""
    values = scores.astype(np.float64)
    sums = values.sum(axis=1)
    if values.min() >= 0 and values.max() <= 1 + SUM_TOLERANCE and (abs(sums - 1) <= SUM_TOLERANCE).all():
        return values
    values -= values.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values


def _rank(scores: Array, labels: Counts) -> npt.NDArray[np.int32]:
    """How many classes stand before the label (B,), by scores (B, C): higher ones, and equal ones of lower index.

    So a rank of 0 is what argmax calls right.
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)  # (B, 1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]  # (B, C)
    rank: npt.NDArray[np.int32] = ((scores > own) | ((scores == own) & earlier)).sum(axis=1).astype(np.int32)
    return rank


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("batch" if i == 0 else "any" if n is None else str(n) for i, n in enumerate(shape)) + ")"
