"""One pass over the data: each sample is decoded once and shown to every model that has not seen it yet.

What a store of predictions knows is neither decoded nor predicted again, and what comes in is kept there as it comes,
so that an interrupted pass goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from math import lcm
from typing import Any, TypeAlias

import numpy as np

from prune_audit import runners
from prune_audit.core import (
    WHOLE,
    Assumption,
    Batch,
    Chooses,
    Classifier,
    Counts,
    Dataset,
    Kept,
    Outputs,
    Predictions,
    Recorded,
    Settings,
    Shard,
    Value,
)
from prune_audit.errors import AlignmentError, DataError, UsageError
from prune_audit.evaluate import diagnose, plausible, sample_checks, watch
from prune_audit.evaluate.batch_size import Plan
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.inputs import Feeder
from prune_audit.evaluate.kept_images import KeptImages
from prune_audit.evaluate.pin import Pin, Pins, fastest
from prune_audit.evaluate.pin import of as pin_of
from prune_audit.evaluate.rounds import Rounds
from prune_audit.evaluate.sampling import stratified
from prune_audit.evaluate.tally import Given, Tally
from prune_audit.tasks.classification import alignment, reading, right

Progress = Callable[[int, int], None]

# Samples that the alignment of models and labels is judged by before the long run.
FIRST = 300
# Samples that are decoded and made into floats together: some 16 photographs of 224 pixels. Of small ones no more than
# `BATCH_MOST`, or a share of a long run, in which what a batch costs beside its samples would add up. Models take them
# in pieces of their own size (`prune_audit.evaluate.batch_size`).
BATCH_BYTES = 10 * 2**20
BATCH_MOST = 256
BATCHES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a pass leaves: predictions, the samples that could not be read, and how the pass went.

    ``assumptions`` are what was taken for granted of the models, ``doubts`` what speaks against the first one having
    been run as it was trained. ``facts`` are what the pass learnt of each model that
    ran, by name: ``macs`` a sample, what the ``scores`` are, milliseconds (``ms``) a sample, ``batch_size``, and
    ``found``, the samples whose predictions were known before.
    """

    predictions: Predictions
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    assumptions: tuple[Assumption, ...]
    doubts: tuple[str, ...]
    run: Mapping[str, Value]
    facts: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What comes back of a part that was predicted elsewhere: of each model what is kept and learnt; ``bad`` rows."""

    kept: Mapping[str, tuple[Kept, Mapping[str, Any]]]
    bad: tuple[tuple[str, str], ...]


Work: TypeAlias = Callable[[Sequence[Counts]], Done]
"""Predicts batches of rows, wherever it is called."""


def evaluate(
    models: Sequence[Classifier | Recorded],
    dataset: Dataset,
    rows: Counts,
    settings: Settings,
    progress: Progress | None = None,
    *,
    store: Store | None = None,
    first_only: bool = False,
    rounds: Rounds | None = None,
    pins: Pins | None = None,
    threads: int = 1,
    shard: Shard = WHOLE,
    elsewhere: Callable[..., Work] | None = None,
) -> Evaluation:
    """Run ``models``, the dense one first, once over the samples of ``dataset`` at ``rows`` (R,), sorted.

    A few samples tell whether predictions are of one sample each (`prune_audit.evaluate.sample_checks`). Then a
    stratified few hundred go first, and the rest only where models and labels fit together on these; the
    predictions come in the order of the data all the same. ``first_only`` ends the pass after these; ``rounds`` of
    these rows say what goes first and next, and the pass ends where they do. Recorded models run nowhere, and where
    there are no others the data are not read. Where the run is pinned by ``pins``, batches are cut once from all rows;
    a ``shard`` has every so many of them, and ``threads`` are those that each model was loaded with. What ``elsewhere``
    gives for a ``pin`` and ``plans`` does the work where the runner is of such as work elsewhere.

    Raises:
        AlignmentError: a model's outputs do not fit the classes of the data, or recorded ones not its samples.
        DataError: more than ``settings.skip_bad`` samples cannot be read, or one holds NaN or infinities and so do
            the scores of a model; or the data were changed meanwhile.
        ModelError: a model cannot run, gives NaN or infinities, or answers at random.
        OutputError: the store or the pin cannot be written.
        UsageError: the run is pinned otherwise, or cannot be; or the shard is empty.
    """
    started = time.perf_counter()
    for model in models:
        if isinstance(model, Chooses):
            model.expect_classes(len(dataset.classes), more=dataset.indexed)
    reads = store is None and not all(isinstance(model, Recorded) for model in models)
    before = watch.of_data(dataset) if reads else {}
    whole = planned(dataset, rows, settings)
    stages = whole[:1] if first_only else whole
    first = stages[0] if rounds is None else rounds.first
    fixed = max(model.expects.batch or 1 for model in models)
    chunk = None if settings.batch_size is None else -(-settings.batch_size // fixed) * fixed
    checked = sample_checks.check(models, dataset, first, settings, store)
    plans = {
        model.card.name: sample_checks.plan(model.card.name, model.expects, checked.get(model.card.name), settings)
        for model in models
        if not isinstance(model, Recorded)
    }
    pin, together = None, stages if rounds is None else None
    if pins is not None and (pins.paths or not all(isinstance(model, Recorded) for model in models)):
        if rounds is not None:
            raise UsageError(
                "which samples are drawn hangs on earlier predictions, so that no batches can be cut beforehand",
                hint="leave out --until-settled, or --pin and --runner",
            )
        pin = _pinned(pins, models, plans, dataset, whole, settings, store, threads)
        chunk = lcm(pin.batch, *(model.expects.batch or 1 for model in models))
        stages = _shared_out(stages, chunk, shard)
    tallies: list[Tally | Given] = []
    for model in models:
        if isinstance(model, Recorded):
            tallies.append(Given(model, dataset))
            continue
        plan = plans[model.card.name]
        company = sample_checks.company(model.card.name, plan, together, chunk if pin is None else plan.batch)
        if pin is not None and pins is not None and pins.paths:
            company = f"{company or 'any'} under {pin.key}"
        entry = None if store is None else store.entry(model.card, model.expects, dataset, settings, company)
        tallies.append(Tally(model, dataset, settings, entry, plan, None if pin is None else pin.batch))
    running = [tally for tally in tallies if isinstance(tally, Tally)]
    for tally in running if together is not None and pin is None else ():
        seen = checked.get(tally.name)
        if tally.plan.batch is None and not tally.plan.pairs and (seen is None or not seen.draws):
            tally.ahead = int(tally.lacks(np.concatenate(stages)).sum())
    images = None if store is None or not running else store.images(dataset)
    read = dataset.read if images is None else images.read
    skipped: list[tuple[str, str]] = []
    workers = settings.workers or runners.cores()
    fits = 0 if chunk else _fits(dataset, running, rows, settings.skip_bad)
    done, doubts, checking_seconds = 0, tuple[str, ...](), 0.0

    def advance(samples: int) -> None:
        nonlocal done
        done += samples
        if progress is not None and samples:
            progress(done, sum(map(len, stages)) if rounds is None else len(rows))

    def tasks(batch: Batch) -> list[Callable[[], Kept | None]]:
        """What is to be done with a batch: each model to be asked."""
        advance(len(batch.labels) + len(batch.bad))
        skipped.extend(batch.bad)
        _tolerate(dataset.path, skipped, settings.skip_bad)
        if not len(batch.labels):
            return []
        feeder = Feeder(batch.inputs, dataset.preprocess)
        return [partial(t.ask, feeder.feed(t.name, t.expects), batch) for t in running]

    def handed_on(done: Done) -> list[Callable[[], tuple[Kept, Mapping[str, Any]]]]:
        """What was done elsewhere, for each model."""
        first = next(iter(done.kept.values()))[0]
        advance(len(first) + len(done.bad))
        skipped.extend(done.bad)
        _tolerate(dataset.path, skipped, settings.skip_bad)
        return [partial(done.kept.__getitem__, tally.name) for tally in running]

    take = [tally.take for tally in running]
    back = [partial(_take_back, tally) for tally in running]
    work = None if elsewhere is None or pin is None else elsewhere(pin=pin, plans=plans)
    try:
        coming = _stages(stages, rounds)
        stage, asked = next(coming), rows[:0]
        while stage is not None:
            size = chunk or _together(len(stage), fits, fixed)
            parts = [stage[start : start + size] for start in range(0, len(stage), size)]
            # Keep the chunks of an uninterrupted run, so that a resumed run gives identical results.
            wanted = [lacking for part in parts if len(lacking := _lacking(running, part))]
            advance(len(stage) - sum(map(len, wanted)))
            if work is None:
                runners.run(settings.runner, wanted, read, tasks, take, workers=workers)
            else:
                many = max(1, BATCH_MOST // size)
                runners.run(
                    settings.runner,
                    [wanted[start : start + many] for start in range(0, len(wanted), many)],
                    work,
                    handed_on,
                    back,
                    workers=threads * len(running),
                    options=settings.of_runner,
                )
            asked = np.sort(np.concatenate([asked, stage]))
            predictions, notes = _predictions(tallies, dataset, asked)
            # A model alone may well be a pruned one that knows nothing any more.
            if stage is first and len(tallies) > 1:
                checking = time.perf_counter()
                if settings.plausibility:
                    doubts = _doubts(models[0], running, dataset, asked, predictions)
                checking_seconds += time.perf_counter() - checking
                alignment.check(predictions, doubts)
                if rounds is None or rounds.mixed:
                    alignment.check_expected(predictions, settings, doubts, luck=True)
            stage = coming.send(predictions)
        if len(tallies) > 1 and not first_only:
            alignment.check(predictions, doubts)
            if rounds is None:  # classes that stop at different times are not mixed as they are in the data
                alignment.check_expected(predictions, settings, doubts)
        other = watch.changed(before) if _keep(running, dataset, store, images) else dataset.path
        if other is not None:
            raise DataError(
                f"{other} was changed while the audit was under way",
                hint="audit a copy of data that are still being written",
            )
        for tally in running:
            tally.finish(own=shard.of > 1)
    except BaseException:  # whatever stops the run, what it has done is kept
        _keep(running, dataset, store, images)
        raise
    seconds = time.perf_counter() - started
    return Evaluation(
        predictions=predictions,
        skipped=tuple(sorted(skipped)),
        notes=(*notes, *alignment.notes(predictions)),
        doubts=doubts,
        assumptions=(
            *(store.assumptions(dataset) if store is not None and running else ()),
            *(each for tally in tallies for each in tally.assumptions),
        ),
        run={
            "seconds": round(seconds, 3),
            "samples_per_second": round(len(predictions.labels) / seconds, 1),
            "runner": settings.runner,
            "workers": workers,
            **({"seconds for plausibility": round(checking_seconds, 3)} if doubts or checking_seconds > 0.01 else {}),
            **{f"{what}, {tally.name}": value for tally in running for what, value in tally.run().items()},
        },
        facts={tally.name: tally.facts for tally in running},
    )


def planned(dataset: Dataset, rows: Counts, settings: Settings) -> tuple[Counts, ...]:
    """What of ``rows`` (R,) of ``dataset`` goes first, drawn from all of them, and the rest."""
    head = stratified(dataset.labels[rows], FIRST, settings.seed)
    return rows[head], np.delete(rows, head)


def at_work(
    models: Sequence[Classifier], dataset: Dataset, settings: Settings, plans: Mapping[str, Plan], pin: Pin
) -> Work:
    """A function that predicts the batches of a part by ``models``, as the pass does that gives it out."""
    tallies = [Tally(model, dataset, settings, None, plans[model.card.name], pin.batch) for model in models]
    for model in models:
        if isinstance(model, Chooses):
            model.expect_classes(len(dataset.classes), more=dataset.indexed)

    def work(part: Sequence[Counts]) -> Done:
        bad: list[tuple[str, str]] = []

        def tasks(batch: Batch) -> list[Callable[[], Kept | None]]:
            bad.extend(batch.bad)
            feeder = Feeder(batch.inputs, dataset.preprocess)
            return [partial(t.ask, feeder.feed(t.name, t.expects), batch) for t in tallies if len(batch.labels)]

        take = [tally.take for tally in tallies]
        workers = settings.workers or runners.cores()
        runners.run(runners.here(settings.runner), part, dataset.read, tasks, take, workers=workers)
        return Done(kept={tally.name: tally.drain() for tally in tallies}, bad=tuple(bad))

    return work


def _take_back(tally: Tally, done: tuple[Kept, Mapping[str, Any]]) -> None:
    tally.take_back(*done)


def _pinned(
    pins: Pins,
    models: Sequence[Classifier | Recorded],
    plans: Mapping[str, Plan],
    dataset: Dataset,
    stages: Sequence[Counts],
    settings: Settings,
    store: Store | None,
    threads: int,
) -> Pin:
    """The pin of a run over all rows of ``stages``; what it leaves free is chosen here."""
    running = [model for model in models if not isinstance(model, Recorded)]
    if not running:
        raise UsageError("--pin: no model runs, all predictions are recorded", hint="leave --pin out")

    def make(found: Pin | None) -> Pin:
        batch = settings.batch_size or (found and found.batch)
        return pin_of(
            running,
            dataset,
            stages,
            settings,
            fingerprint=dataset.fingerprint(False) if store is None else store.fingerprint(dataset),
            threads=threads,
            batch=batch or fastest([(m, plans[m.card.name]) for m in running], dataset, stages[0], BATCH_BYTES),
        )

    return pins.agree(make)


def _shared_out(stages: Sequence[Counts], size: int, shard: Shard) -> tuple[Counts, ...]:
    """What of the rows of ``stages`` the ``shard`` has: of all batches of ``size``, every so many of them."""
    cut = [(at, stage[start : start + size]) for at, stage in enumerate(stages) for start in range(0, len(stage), size)]
    mine = cut[shard.number - 1 :: shard.of]
    if not mine:
        raise UsageError(
            f"part {shard.number} of {shard.of} has nothing to do: there are {len(cut)} batches of {size}",
            hint=f"--shard I/{len(cut)} is the finest",
        )
    kept = [[rows for of, rows in mine if of == at] for at in range(len(stages))]
    return tuple(np.concatenate(each) for each in kept if each) if shard.of > 1 else tuple(stages)


def _stages(stages: Sequence[Counts], rounds: Rounds | None) -> Generator[Counts | None, Predictions, None]:
    """What is run together, one after the other, told what has been predicted by then; None at the end."""
    if rounds is None:
        for stage in stages:  # noqa: UP028  # which would send the predictions on to the tuple
            yield stage
    else:
        predictions = yield rounds.first
        while len(more := rounds.next(predictions)):
            predictions = yield more
    yield None


def _doubts(
    model: Classifier | Recorded, running: Sequence[Tally], dataset: Dataset, asked: Counts, predictions: Predictions
) -> tuple[str, ...]:
    """What speaks against the dense ``model`` having been run as it was trained: found once, and kept with the rows."""
    if isinstance(model, Recorded):
        return ()
    tally = running[0]
    if "doubts" not in tally.facts:
        hits = right(predictions.models[0].predicted, predictions.labels)
        tally.doubt(plausible.doubts(model, dataset, _readable(running, asked), hits, tally.plan))
    return tuple(tally.facts["doubts"])


def _keep(running: Sequence[Tally], dataset: Dataset, store: Store | None, images: KeptImages | None) -> bool:
    """Have on disk what was predicted, unless ``dataset`` is no longer what it is kept by; whether it still is."""
    if store is None or not any(tally.ran for tally in running) or store.unchanged(dataset):
        with ExitStack() as each:  # all of them, though one cannot be written
            for tally in running:
                each.callback(tally.flush)
        return True
    for tally in running:
        tally.forget()
    if images is not None:
        images.forget()
    return False


def _predictions(
    tallies: Sequence[Tally | Given], dataset: Dataset, asked: Counts
) -> tuple[Predictions, tuple[str, ...]]:
    """The predictions for those of the rows ``asked`` that could be read, in the order of the data, and notes."""
    running = [tally for tally in tallies if isinstance(tally, Tally)]
    rows = _readable(running, asked)
    if not len(rows):
        raise DataError(f"{dataset.path}: no sample could be read", hint="see the reasons with --skip-bad 0")
    kept = {tally.name: tally.kept(rows) for tally in running}
    for other in running[1:]:
        _check_same_samples(dataset, running[0].name, kept[running[0].name], other.name, kept[other.name])
    classes = _classes(tallies, dataset)
    outputs: list[Outputs] = []
    for tally in tallies:
        like = outputs[0].scores if outputs else None  # the dense model's go first
        if isinstance(tally, Tally):
            outputs.append(tally.outputs(kept[tally.name], classes, like))
        else:
            outputs.append(tally.outputs(rows, classes, like))
    predictions = Predictions(
        classes=classes,
        ids=tuple(dataset.ids[i] for i in rows) if len(rows) < len(dataset.ids) else tuple(dataset.ids),
        labels=dataset.labels[rows],
        models=tuple(outputs),
        groups={name: values[rows] for name, values in dataset.groups.items()},
        digests=kept[running[0].name].digests if running else np.empty(0, np.uint64),
    )
    odd = np.unique(np.concatenate([rows[:0], *(tally.odd(rows) for tally in running)]))
    said = [note for tally in running for note in tally.notes(kept[tally.name])]
    said += [note for each in outputs if (note := reading.ties(each))]
    turned = np.unique(np.concatenate([rows[:0], *(tally.turned(rows) for tally in running)]))
    return predictions, (*said, *diagnose.told(dataset, odd), *diagnose.turned(dataset, turned))


def _check_same_samples(dataset: Dataset, dense: str, one: Kept, name: str, other: Kept) -> None:
    """Check that two models saw the same samples, wherever and whenever each of them did."""
    differ = np.flatnonzero(one.digests != other.digests)
    if len(differ):
        sample = dataset.ids[int(one.rows[differ[0]])]
        raise DataError(
            f"{dataset.path}: {len(differ):,} samples, such as {sample!r}, were others when {name} saw them than when "
            f"{dense} did",
            hint="the predictions that are kept are from different copies of the data: predict with equal ones, into a "
            "new folder (--cache DIR)",
        )


def _readable(running: Sequence[Tally], asked: Counts) -> Counts:
    """Those of the rows ``asked`` that every model has seen, which leaves out what could not be read."""
    return asked[np.logical_and.reduce([tally.known[asked] for tally in running])] if running else asked


def _lacking(running: Sequence[Tally], rows: Counts) -> Counts:
    """Those of ``rows`` that some model has not seen yet."""
    lacks = [tally.lacks(rows) for tally in running]
    return rows[np.logical_or.reduce(lacks)] if lacks else rows[:0]


def _fits(dataset: Dataset, running: Sequence[Tally], rows: Counts, skip_bad: int) -> int:
    """How many samples fit into `BATCH_BYTES` as float inputs, and as scores."""
    if len(_lacking(running, rows)):
        scores = max([len(dataset.classes), *(tally.expects.outputs or 0 for tally in running)]) * 4
        for row in rows[: skip_bad + 1]:
            one = dataset.read([row])
            if len(one.labels):
                inputs: int = sum(int(values[0].size) * 4 for values in one.inputs.values())
                few, more = (BATCH_BYTES // max(1, each) for each in (inputs, max(inputs, scores)))
                return max(1, min(few, max(more, BATCH_MOST)))
    return BATCH_MOST  # nothing to read, or more that cannot be read than is tolerated, so that the run ends there


def _together(stage: int, fits: int, fixed: int) -> int:
    """How many of the samples of a ``stage`` are decoded together, where ``fits`` fit; they fill a ``fixed`` batch."""
    share = stage // BATCHES // BATCH_MOST * BATCH_MOST
    return -(-min(fits, max(BATCH_MOST, share)) // fixed) * fixed


def _classes(tallies: Sequence[Tally | Given], dataset: Dataset) -> tuple[str, ...]:
    """The classes of the data, extended to the models' outputs where labels are output columns themselves."""
    widths = {tally.name: tally.columns for tally in tallies if tally.columns}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise AlignmentError(
            f"the models have different numbers of outputs: {told}", hint="compare models of the same classes"
        )
    named = dataset.classes
    if not dataset.indexed:  # positions mean nothing where classes have names, and another width is refused
        return named
    return named + tuple(str(i) for i in range(len(named), max(widths.values(), default=0)))


def _tolerate(path: str, skipped: Sequence[tuple[str, str]], most: int) -> None:
    if len(skipped) > most:
        name, reason = skipped[most]
        so_far = f" (after {most} that --skip-bad {most} allows)" if most else ""
        raise DataError(
            f"cannot read sample {name!r} of {path}: {reason}{so_far}",
            hint="repair or remove the sample, or allow some with --skip-bad N, which lists them in the report",
        )
