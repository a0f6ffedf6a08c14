"""Predictions that were recorded elsewhere: a Parquet, CSV, JSON or NPZ table, one model a file or a column.

A phone, TFLite, TensorRT, JAX or a cluster so feeds an audit, and so does `prune-audit predict`. Columns are known by
their usual names: ``id`` (or another that `prune_audit.files.columns` lists, or that ``--id-column`` names),
``predicted`` (or ``prediction``, ``pred``), and beside it ``confidence``, ``true_score``, ``rank`` and ``tied``; or the
scores, as lists in the order of the classes (``scores``, ``logits``, ``probabilities``), or a column for every class,
called like it or like it behind ``score_``. Of several models in one file, ``FILE#COLUMN`` names one. Nothing is ever
chosen by a guess: where there are no ids the order must be that of the data, and a column that may hold ids stops the
run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prune_audit.core import (
    Array,
    Assumption,
    Counts,
    Expects,
    Found,
    Kept,
    ModelCard,
    ModelSource,
    Outputs,
    Scores,
    Settings,
    Things,
    chosen,
)
from prune_audit.errors import AlignmentError, ModelError, UsageError
from prune_audit.files import recorded_tables
from prune_audit.files.columns import shown
from prune_audit.files.recorded_tables import EACH, PREDICTED, Table
from prune_audit.models._elsewhere import no_factory
from prune_audit.models.recorded import join, label_sets
from prune_audit.models.recorded.columns import TRUTH, Columns, choose
from prune_audit.tasks.classification import broken, keep, reading, right
from prune_audit.tasks.classification.reading import SUM_TOLERANCE, Reading

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = True
"""A file may hold several models, of which a source names one."""
_PIECE = 1 << 22  # scores that are worked on at once
_WHOLE = ("rank", "tied")
_CALLED: dict[str, Scores] = {"logits": "logits", "probabilities": "probabilities"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedPredictions:
    """A `prune_audit.core.Recorded` model; the table is read when its predictions are asked for.

    ``asked`` is what ``--scores`` says of it, ``called`` what the model calls the classes where a class map renames
    them, and ``told`` takes up what was taken for granted once it was read.
    """

    card: ModelCard
    expects: Expects
    columns: Columns
    table: Table
    asked: str | None = None
    called: tuple[str, ...] = ()
    told: dict[str, Assumption] = field(default_factory=dict)

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was taken for granted of the table, after `outputs`."""
        return tuple(self.told.values())

    def outputs(
        self, ids: Sequence[str], labels: Counts, classes: tuple[str, ...], like: Scores | None = None
    ) -> Outputs:
        """The predictions for the samples ``ids`` (N,), in that order; ``labels`` (N,) are positions in ``classes``.

        Lists of scores are in the order of ``classes``. ``like`` is what the dense model's scores are.

        Raises:
            AlignmentError: a sample has no prediction or several, the numbers of samples differ, a prediction is no
                class, or what was recorded of the true class is not about the labels given.
            ModelError: the table is damaged, or scores or what stands beside the classes are no such numbers.
        """
        import pyarrow

        found = self._outputs(ids, labels, classes, like)
        # Arrow keeps freed memory in its pool: hundreds of MB where there are a million samples.
        pyarrow.default_memory_pool().release_unused()
        return found

    def found(self, things: Things) -> Found:
        """Which of several labels a sample the scores of each class find, and what they say of all others.

        Where names of labels were recorded in place of scores, those are found that are named.

        Raises:
            AlignmentError: these are no labels of samples, or others than were predicted.
            ModelError: the table is damaged, or holds neither scores of each class nor lists of labels.
        """
        c, path = self.columns, self.card.path
        cells = label_sets.cells_of(things, path)
        named = c.several or c.classes
        texts = [name for name in (c.ids, named) if name is not None]
        table = self.table.read(texts, [*([c.scores] if c.scores is not None else []), *c.each.values()])
        given = None if c.ids is None else table.column(c.ids)
        at = label_sets.rows(given, cells.ids, c.ids, path, table.num_rows)
        taken = label_sets.NAMES
        called = c.scores is not None and self.asked is None and c.scores.strip().lower() in PREDICTED
        if named is None and called and label_sets.numbers(table.column(c.scores), len(things.classes)):
            named, taken = c.scores, label_sets.NUMBERS
        if named is not None:
            column = table.column(named)
            answer, told = label_sets.named(column, at, cells, things.classes, self.card.name, path, taken)
            if self.asked is not None:
                raise UsageError(f"--scores {self.asked}: {path} has names of labels", hint="leave --scores out")
        else:
            scores = _scores(table, c, things.classes, path)
            answer, told = label_sets.found(scores, at, cells, self.card.name, path, self.asked)
        self.told["scores"] = told
        value = "taken in the order of the data" if c.ids is None else f"joined by id, column {shown([c.ids])}"
        why = "the predictions have no column of ids" if c.ids is None else "ids as they are written"
        self.told["samples"] = Assumption(
            subject=self.card.name, what="samples", value=value, why=why, option="--id-column NAME"
        )
        return answer

    def _outputs(self, ids: Sequence[str], labels: Counts, classes: tuple[str, ...], like: Scores | None) -> Outputs:
        c, path = self.columns, self.card.path
        if c.several is not None:
            raise AlignmentError(
                f"{path}: the column {c.several!r} holds several labels a sample, and the data have one",
                hint="give labels of the same kind with --data, or one predicted class a sample",
            )
        texts = [name for name in (c.ids, c.classes, c.truth) if name is not None]
        numbers = [*([c.scores] if c.scores is not None else []), *c.each.values(), *c.beside.values()]
        table = self.table.read(texts, numbers)
        at = self._rows(table, ids, labels, classes)
        if c.classes is None:
            names = self._as_written(set(c.each), classes)
            return self._of_scores(_scores(table, c, names, path), at, ids, labels, classes, like)
        recorded = join.taken(table.column(c.classes), at)
        found = self._numbers(table.column(c.classes), at, ids, labels, classes, like)
        start = 1 if found is not None and found.kind == "classes-from-1" else None
        names = self._as_written(join.different(path, recorded, ids), classes)
        predicted = join.positions(path, recorded, ids, names, start)
        if c.truth is not None:
            given = join.taken(table.column(c.truth), at)
            names = self._as_written(join.different(path, given, ids), classes)
            truth = join.positions(path, given, ids, names, start)
            self._same(right(truth, labels), ids)
        beside = {name: self._number(name, table.column(c.beside[name]), at, ids) for name in c.beside}
        rank = beside.get("rank")
        if rank is not None:
            self._same((rank == 0) == right(predicted, labels), ids)
        return Outputs(
            name=self.card.name,
            predicted=predicted,
            confidence=beside.get("confidence"),
            true_score=beside.get("true_score"),
            rank=None if rank is None else rank.astype(np.int32),
            # Without the rank nothing says whether the label is among several classes that are tied.
            tied=beside["tied"].astype(np.int64)
            if "tied" in beside and (rank is not None or len(classes) == 2)
            else None,
            scores=None if found is None else found.kind,
        )

    def _as_written(self, names: Collection[str | int], classes: tuple[str, ...]) -> tuple[str, ...]:
        """The ``classes`` (C,) as the file calls them: the model's own names, where its ``names`` all are such.

        The data's names come first: with the same class map `prune-audit predict` writes these.
        """
        if len(self.called) != len(classes) or set(names) <= set(classes) or not set(names) <= set(self.called):
            return classes
        self.told["classes"] = Assumption(
            subject=self.card.name,
            what="names of classes",
            value="as --classes has them",
            why="--class-map says which class of the data each is",
            option="--class-map FILE",
        )
        return self.called

    def _numbers(
        self,
        column: pa.ChunkedArray,
        at: Counts,
        ids: Sequence[str],
        labels: Counts,
        classes: tuple[str, ...],
        like: Scores | None,
    ) -> Reading | None:
        """Where the numbers of ``column`` in rows ``at`` (N,) begin, told in the assumptions; None of names."""
        numbers = join.numbered(self.card.path, column, at, ids, classes)
        if numbers is None:
            if self.asked is not None:
                raise UsageError(
                    f"--scores {self.asked}: {self.card.path} has names of classes", hint="leave --scores out"
                )
            return None
        usual, from_1 = numbers
        found = reading.numbered(usual, from_1, labels, self.card.name, asked=self.asked, like=like)
        kept = Kept(rows=np.arange(len(usual)), digests=np.zeros(len(usual), np.uint64))
        self.told["scores"] = reading.assumption(found, kept, self.card.name)
        return found

    def _rows(self, table: pa.Table, ids: Sequence[str], labels: Counts, classes: tuple[str, ...]) -> Counts:
        """The rows of ``table`` with the predictions for the samples ``ids`` (N,), in that order."""
        c, path = self.columns, self.card.path
        if c.ids is None:
            at = join.in_order(path, table.num_rows, len(ids))
            join.check_order(path, self.table.read(c.unused, []), TRUTH, labels, classes)
            value, why = "taken in the order of the data", "the predictions have no column of ids"
        else:
            at, spelt = join.rows(path, c.ids, table.column(c.ids), ids)
            value = f"joined by id, column {shown([c.ids])}"
            why = "ids compared as numbers, without blanks" if spelt else "ids as they are written"
            if all(each == str(at) for at, each in enumerate(ids)):
                why += "; those of the data are 0, 1, 2 ..."
        self.told["samples"] = Assumption(
            subject=self.card.name, what="samples", value=value, why=why, option="--id-column NAME"
        )
        return at

    def _of_scores(
        self,
        scores: Array,
        at: Counts,
        ids: Sequence[str],
        labels: Counts,
        classes: tuple[str, ...],
        like: Scores | None,
    ) -> Outputs:
        """What the loop over the data would have kept of ``scores`` (R, C), of the samples in rows ``at`` (N,)."""
        if scores.shape[1] != len(classes) and not (scores.shape[1] == 1 and len(classes) == 2):
            raise AlignmentError(
                f"{self.card.path}: {self.columns.name} has {scores.shape[1]} scores a sample, "
                f"the data have {len(classes)} classes",
                hint="name all classes, in the order of the scores, with --classes FILE",
            )
        size = max(1, _PIECE // len(classes))
        parts = []
        for start in range(0, len(at), size):
            piece = scores[at[start : start + size]]  # (K, C)
            if (first := join.first_without(~broken(piece))) is not None:
                raise ModelError(
                    f"{self.card.path}: sample {ids[start + first]!r} has no score for some class, "
                    "or one that is NaN or infinite, or minus infinity for every class",
                    hint="a model that gives NaN predicts nothing; of infinities only minus infinity is a score, that "
                    "of a class which is ruled out",
                )
            rows = np.arange(start, start + len(piece))
            parts.append(keep(piece, labels[rows], rows, np.zeros(len(piece), np.uint64)))
        kept = Kept.concat(parts)
        found = reading.decide(
            kept,
            scores.shape[1],
            labels=labels,
            classes=len(classes),
            name=self.card.name,
            integers=scores.dtype.kind in "iu",
            asked=self.asked,
            called=_CALLED.get((self.columns.scores or "").strip().lower()),
            like=like,
        )
        if (wrong := reading.contradicted(kept, found)) is not None:
            raise reading.refuse(kept, found, self.card.name, repr(ids[wrong]))
        self.told["scores"] = reading.assumption(found, kept, self.card.name)
        return reading.outputs(kept, found, self.card.name, labels, scores.shape[1])

    def _number(self, name: str, column: pa.ChunkedArray, at: Counts, ids: Sequence[str]) -> Array:
        """The column ``name`` beside the classes, of the samples in rows ``at`` (N,), checked for what it can be."""
        if recorded_tables.kind(column.type) not in ("integer", "real"):
            raise ModelError(f"{self.card.path}: {name} is {column.type}", hint=f"{name} must be a number")
        values: Array = column.to_numpy().astype(np.float64)[at]  # (N,)
        fits: Array = (values >= 0) & (values < np.inf if name in _WHOLE else values <= 1 + SUM_TOLERANCE)  # (N,)
        if name in _WHOLE:
            fits &= values == np.floor(values)
        broken = join.first_without(fits)
        if broken is not None:
            what = "a whole number from 0" if name in _WHOLE else "a probability"
            raise ModelError(
                f"{self.card.path}: expected {what}, found {name} {values[broken]:g} for sample {ids[broken]!r}",
                hint=f"correct the column {name}, or remove it",
            )
        return values

    def _same(self, fits: Array, ids: Sequence[str]) -> None:
        broken = join.first_without(fits)
        if broken is not None:
            raise AlignmentError(
                f"{self.card.path}: {' and '.join(self.columns.beside)} of sample {ids[broken]!r} were recorded for "
                "another label than the data have",
                hint="predict again with these labels, or remove the columns true_score, rank and label",
            )


def recognises(path: Path) -> bool:
    """Whether the file is a table: Parquet, CSV with a line of names, JSON, or NPZ with an array of predictions."""
    return recorded_tables.form(path) is not None


def load(source: ModelSource, settings: Settings) -> RecordedPredictions:
    """The predictions at ``source``, which are not read yet; ``source.column`` chooses among several models.

    Raises:
        ModelError: the file is damaged, or holds no predictions.
        UsageError: there is no such column, several may be meant and none was chosen, or there is a factory.
    """
    no_factory(source, "predictions")
    table = recorded_tables.opened(source.path)
    columns = choose(source, table)
    with source.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(columns.name.encode())
    return RecordedPredictions(
        card=ModelCard(
            name=source.name,
            path=str(source.path),
            format="predictions",
            digest=digest.hexdigest(),
            size=source.path.stat().st_size,
        ),
        expects=Expects(outputs=_outputs(columns, table), runs=False, id_column=columns.ids),
        columns=columns,
        table=table,
        asked=chosen(settings.scores, source.name),
        called=source.called,
    )


def _outputs(columns: Columns, table: Table) -> int | None:
    """The number of the model's outputs, where the table tells before it is read."""
    width = len(columns.each) or (None if columns.scores is None else table.widths.get(columns.scores))
    return None if width == 1 else width


def _scores(table: pa.Table, columns: Columns, classes: tuple[str, ...], path: str) -> Array:
    """The scores in all rows of ``table`` (R, C), in the order of ``classes``."""
    if columns.scores is not None:
        return _matrix(table.column(columns.scores), path)
    at = join.matched(list(columns.each), classes)
    if sorted(at) != list(range(len(classes))):
        names = list(columns.each)
        stray = [names[i] for i in np.flatnonzero(at < 0)] or [c for i, c in enumerate(classes) if i not in at]
        raise AlignmentError(
            f"{path}: expected a column of scores for each of the {len(classes)} classes, found {len(names)}; "
            f"{stray[0] if stray else names[0]!r} does not fit",
            hint=f"call each column of scores like its class, {classes[0]} or {EACH}{classes[0]}; or, where these are "
            f"no scores but several models, choose one: '{path}#{names[0]}'",
        )
    ordered = [column for _, column in sorted(zip(at, columns.each.values(), strict=True))]
    return np.stack([table.column(name).to_numpy() for name in ordered], axis=1)


def _matrix(column: pa.ChunkedArray, path: str) -> Array:
    """A column of lists of numbers as scores (R, C)."""
    from pyarrow import compute

    lists: Any = column.combine_chunks()
    lengths = compute.list_value_length(lists)
    widths = compute.unique(lengths).to_pylist()
    if len(widths) > 1:
        raise ModelError(
            f"{path}: expected as many scores for every sample, found {widths[0]} and {widths[1] or 'none'}",
            hint="record one score for every class of every sample",
        )
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    scores: Array = flat.reshape(len(lists), -1) if len(lists) else flat.reshape(0, 1)
    return scores
