"""One model's running predictions: scores come in, batch by batch, and what is kept of them goes out, in order.

Models that ran elsewhere come out the same way, so that nothing after them knows the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from prune_audit.core import (
    Array,
    Assumption,
    Batch,
    Classifier,
    Counts,
    Dataset,
    Expects,
    Kept,
    Outputs,
    Prepares,
    Recorded,
    Scores,
    Settings,
    Value,
    chosen,
)
from prune_audit.errors import AlignmentError
from prune_audit.evaluate import diagnose
from prune_audit.evaluate import facts as noted
from prune_audit.evaluate.batch_size import FREE, BatchSize, Plan
from prune_audit.evaluate.cache import Entry
from prune_audit.evaluate.facts import ASSUMED, LEARNT
from prune_audit.evaluate.predict import check_input, part, timed, uneven
from prune_audit.tasks.classification import broken, keep, reading
from prune_audit.tasks.classification.reading import Reading

PLACES = ("odd", "turned")  # facts of single rows


class Tally:
    """A model that runs as ``plan`` says, and its predictions so far: those that ``entry`` knew, and of this run.

    Its batches are ``pinned`` where they are neither the model's own, nor those of the plan, nor asked for.
    """

    def __init__(
        self,
        model: Classifier,
        dataset: Dataset,
        settings: Settings,
        entry: Entry | None = None,
        plan: Plan = FREE,
        pinned: int | None = None,
    ) -> None:
        self._model = model
        self._dataset = dataset
        self._entry = entry
        self._settings = settings
        self._reading: Reading | None = None  # once the first samples of the run have decided
        self._told: tuple[Assumption, ...] = ()  # of it
        self.plan = plan
        self.ahead = 0  # samples that the model is to prepare for, where it predicts each by itself
        self._kept: list[Kept] = []
        self._found = 0  # rows that the entry knew
        self.known = np.zeros(len(dataset.labels), bool)  # (N,)
        self.width = 0  # output columns, 0 until the first batch and where the model gives classes alone
        self.facts: dict[str, Any] = {}
        before = entry.read() if entry is not None else None
        facts = entry.facts if entry is not None else {}
        # A part may hold what was learnt, and no row.
        if before is not None and isinstance(facts.get("columns"), int):
            self.facts = _as_one({name: facts[name] for name in LEARNT if name in facts})
            self._fits(facts["columns"])
            self._keep(before)
            self._found = len(before)
            self.facts["notes"] = noted.renamed(self.facts.get("notes", []), facts.get("model"), self.name)
        # An interrupted run goes on as it began: the last bits of a score may depend on the size of its batch. A size
        # that was asked for, or that was only being tried, binds no later run.
        size = model.expects.batch or plan.batch or settings.batch_size or pinned
        self._batch = BatchSize(size or self.facts.get("fitted"))

    @property
    def name(self) -> str:
        """The model's name in this run."""
        return self._model.card.name

    @property
    def expects(self) -> Expects:
        """What the model declares."""
        return self._model.expects

    @property
    def columns(self) -> int:
        """Classes that the outputs tell apart; 0 where the model gives classes alone."""
        if self.width == 1:
            return 0 if (chosen(self._settings.scores, self.name) or "").startswith("classes") else 2
        return self.width

    def lacks(self, rows: Counts) -> npt.NDArray[np.bool_]:
        """Which of ``rows`` (K,) have no prediction yet (K,)."""
        return ~self.known[rows]

    def ask(self, inputs: Mapping[str, Array], batch: Batch) -> Kept | None:
        """Predict what is not known of a batch, in pieces of the fitted size; None where all of it is known."""
        lacking = self.lacks(batch.rows)  # (B,)
        if not lacking.any():
            return None
        if not lacking.all():
            inputs, batch = {name: values[lacking] for name, values in inputs.items()}, part(batch, lacking)
        first = "columns" not in self.facts
        if first:
            check_input(self._model, inputs)
        if self.ahead and isinstance(self._model, Prepares):
            self._model.prepare(inputs, self.ahead)
            self.ahead = 0
        scores = timed(self._model, inputs, self._batch, pairs=self.plan.pairs)
        if broken(scores).any():
            raise diagnose.not_finite(self.name, scores, batch, self._dataset)
        self._fits(scores.shape[1] if scores.ndim > 1 else 0)
        self._note_odd(batch)
        if first:
            self._learn(inputs, scores)
        return keep(scores, batch.labels, batch.rows, batch.digests)

    def take(self, kept: Kept | None) -> None:
        """Keep what `ask` gave, wherever that was done."""
        if kept is None:
            return
        self._check(kept)
        self._keep(kept)
        if self._entry is not None:
            self._note_run()
            self._entry.add(kept)

    def take_back(self, kept: Kept, facts: Mapping[str, Any]) -> None:
        """Keep what was predicted elsewhere, and what was learnt there (`Tally.drain`)."""
        if not len(kept):
            return
        self._fits(facts["columns"])
        self.facts = _as_one(noted.together([self.facts, facts]))
        self.take(kept)

    def drain(self) -> tuple[Kept, Mapping[str, Any]]:
        """What was predicted since the last time, and what was learnt; its rows are forgotten, and may come again."""
        self._note_run()
        kept = Kept.concat(self._kept or [Kept(rows=np.empty(0, np.int64), digests=np.empty(0, np.uint64))])
        self.known[kept.rows], self._kept, facts = False, [], dict(self.facts)
        for what in PLACES:
            self.facts.pop(what, None)
        return kept, facts

    def kept(self, rows: Counts) -> Kept:
        """What is kept of ``rows``, which all have a prediction, in that order."""
        self._kept = [Kept.concat(self._kept)]
        whole = self._kept[0]
        order = np.argsort(whole.rows, kind="stable")
        return whole.take(order[np.searchsorted(whole.rows, rows, sorter=order)])

    def outputs(self, kept: Kept, classes: tuple[str, ...], like: Scores | None = None) -> Outputs:
        """The predictions of the samples that ``kept`` holds, in its order; the first time decides what scores are.

        ``classes`` are those of the run, and ``like`` is what the dense model's are.
        """
        if self._reading is None:
            self._reading = reading.decide(
                kept,
                self.width,
                labels=self._dataset.labels[kept.rows],
                classes=len(classes),
                name=self.name,
                integers=bool(self.facts.get("integers")),
                asked=chosen(self._settings.scores, self.name),
                activation=self.facts.get("activation"),
                like=like,
                dropped=bool(self._settings.drop_class),
            )
            self._told = (reading.assumption(self._reading, kept, self.name),)
            self.facts["scores"] = self._reading.kind
        self._check(kept)
        return reading.outputs(kept, self._reading, self.name, self._dataset.labels[kept.rows], self.width)

    def notes(self, kept: Kept) -> tuple[str, ...]:
        """What must be said of the model beside its numbers on the samples that ``kept`` holds."""
        said = [*(self.facts.get("notes") or self._model.notes), *self.plan.notes]
        # Exact ties are no matter of noise: they fall alike everywhere (`reading.ties`).
        if kept.close is not None and (count := int((kept.close & (kept.tied == 1)).sum())):
            said.append(
                f"on {count:,} sample{'s' if count > 1 else ''} the two highest scores of {self.name} differ by no "
                "more than float noise, so that another machine or batch size may predict another class"
            )
        return tuple(said)

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was taken for granted of the model, in this run or in the one that predicted."""
        return (
            *(Assumption(subject=self.name, **each) for each in self.facts.get("assumptions", [])),
            *self._told,
            *self.plan.assumptions,
        )

    def turned(self, rows: Counts) -> Counts:
        """Those of ``rows`` whose image carries an EXIF orientation, as far as this model saw them."""
        found: Counts = np.intersect1d(rows, np.array(self.facts.get("turned", []), np.int64))
        return found

    def odd(self, rows: Counts) -> Counts:
        """Those of ``rows`` that hold NaN or infinity though this model's scores are finite, as far as it saw them."""
        found: Counts = np.intersect1d(rows, np.array(self.facts.get("odd", []), np.int64))
        return found

    def finish(self, *, own: bool = False) -> None:
        """The run has come to its end; ``own`` as in `Entry.close`."""
        self._note_run()
        if self._entry is not None:
            self._entry.close(own=own)

    def flush(self) -> None:
        """Have on disk what has been predicted."""
        if self._entry is not None:
            self._entry.flush()

    @property
    def ran(self) -> bool:
        """Whether the model predicted anything in this run."""
        return bool(self.known.sum() > self._found)

    def forget(self) -> None:
        """Have nothing on disk of what has been predicted."""
        if self._entry is not None:
            self._entry.forget()

    def run(self) -> Mapping[str, Value]:
        """How the model ran: milliseconds a sample, the batch size, and how much was known before.

        The time of an earlier run is called so: the machine may have been busier, or another one.
        """
        when = "" if self._batch.seconds_per_sample() is not None else " earlier"
        told = {f"ms per sample{when}": self.facts.get("ms"), "batch size": self.facts.get("batch_size")}
        if (spread := self._batch.spread()) is not None:
            told |= {"ms per sample, quartiles": " to ".join(f"{1000 * each:.4g}" for each in spread)}
        return told | ({"known before": self._found} if self._found else {})

    def doubt(self, said: Sequence[str]) -> None:
        """Keep what speaks against the model having been run as it was trained."""
        self.facts["doubts"] = list(said)
        self._note_run()
        if self._entry is not None:
            self._entry.tell()

    def _note_run(self) -> None:
        """Note how the model runs, once that is known: what is interrupted later goes on like this."""
        seconds = self._batch.seconds_per_sample()
        if seconds is not None:
            self.facts |= {"ms": round(1000 * seconds, 4), "batch_size": self._batch.size}
        if self._batch.fitted:
            self.facts["fitted"] = self._batch.size
        self.facts["notes"] = list(self._model.notes) or self.facts.get("notes", [])
        told = [{name: getattr(each, name) for name in ASSUMED} for each in self._model.assumptions]
        # A model that was loaded and did not run knows of itself only what loading tells.
        known = {each["what"] for each in told}
        self.facts["assumptions"] = told + [e for e in self.facts.get("assumptions", []) if e["what"] not in known]
        if self._entry is not None:
            self._entry.note(**self.facts)

    def _note_odd(self, batch: Batch) -> None:
        """Remember, beside the predictions, which samples of ``batch`` hold NaN or are turned by EXIF.

        Where the predictions are known, no sample is read.
        """
        for what, found in zip(PLACES, (diagnose.odd(batch), batch.turned), strict=True):
            if len(found):
                self.facts[what] = sorted({*self.facts.get(what, []), *found.tolist()})[: diagnose.ODD_MOST]

    def _keep(self, kept: Kept) -> None:
        self.known[kept.rows] = True
        self._kept.append(kept)

    def _check(self, kept: Kept) -> None:
        """Check that the scores of ``kept`` are what the first ones were taken for, once that is decided."""
        if self._reading is None or (at := reading.contradicted(kept, self._reading)) is None:
            return
        raise reading.refuse(kept, self._reading, self.name, repr(diagnose.place(self._dataset, int(kept.rows[at]))))

    def _learn(self, inputs: Mapping[str, Array], scores: Array) -> None:
        """What one sample tells of the model."""
        one = self._model.expects.batch or 1
        few = {name: values[np.zeros(one, int)] for name, values in inputs.items()}
        macs = self._model.macs(few)
        self.facts |= {"columns": self.width, "macs": None if macs is None else macs // one}
        self.facts |= {"activation": self._model.activation(few), "integers": scores.dtype.kind in "iu"}

    def _fits(self, width: int) -> None:
        """Check the number of output columns against the classes, once."""
        if self.width == width:
            return
        if self.width:
            raise uneven(self.name, self.width, width)
        self.width = width
        named = self._dataset.classes
        if not self.columns or self.columns == len(named) or (self._dataset.indexed and self.columns > len(named)):
            return
        few = self.columns < len(named)
        raise AlignmentError(
            f"model {self.name} has {width} output column{'s' if width > 1 else ''}, "
            f"the data have {len(named)} classes ({_some(named)})"
            f"{diagnose.too_many(self._dataset, self.columns) if few else ''}",
            hint="is this the right model for these data? The model must know every class of the data; "
            "a stray label makes a class of its own"
            if few
            else "name all classes in the order of the model's outputs, one a line, with --classes FILE; "
            "those without samples are then shown as absent; an output that stands for no class, such as a background, "
            "is left out with --drop-class",
        )


class Given:
    """A model that ran elsewhere: predictions for all samples of ``dataset``, which are read when they are asked for.

    That is once the first samples have been predicted, when it is known what the dense model's scores are and which
    further classes models that run may know of.
    """

    def __init__(self, model: Recorded, dataset: Dataset) -> None:
        self._model = model
        self._dataset = dataset
        self._outputs: Outputs | None = None

    @property
    def name(self) -> str:
        """The model's name in this run."""
        return self._model.card.name

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was taken for granted of the model."""
        return self._model.assumptions

    @property
    def columns(self) -> int:
        """Classes that the scores tell apart; 0 where there are none, or they were not looked at."""
        return self._model.expects.outputs or 0

    def outputs(self, rows: Counts, classes: tuple[str, ...], like: Scores | None = None) -> Outputs:
        """The predictions for ``rows``, in that order, as positions in ``classes``; ``like`` as in `Tally.outputs`."""
        if self._outputs is None:
            self._outputs = self._model.outputs(self._dataset.ids, self._dataset.labels, classes, like)
        whole = self._outputs
        return Outputs(
            name=whole.name,
            predicted=whole.predicted[rows],
            confidence=None if whole.confidence is None else whole.confidence[rows],
            true_score=None if whole.true_score is None else whole.true_score[rows],
            rank=None if whole.rank is None else whole.rank[rows],
            tied=None if whole.tied is None else whole.tied[rows],
            scores=whole.scores,
        )


def _as_one(facts: Mapping[str, Any]) -> dict[str, Any]:
    """``facts`` of several runs as one run would have noted them."""
    return {**facts, **{what: sorted(facts[what])[: diagnose.ODD_MOST] for what in PLACES if what in facts}}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
