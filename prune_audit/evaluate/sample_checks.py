"""Is a model a function of one sample? Asked of a few samples before the long run, of every model that runs.

An audit counts each sample once and takes its prediction for the model's answer to it. Where the answer is drawn, or
depends on what else is in the batch, the counts are of the machine's mood: equal runs disagree, and so do batch sizes.
So some samples are predicted alone, together, the same again, and in another order and company. What the model's
structure says (`Suspect`) decides how closely the differences are looked at, and names the place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from prune_audit import runners
from prune_audit.core import (
    Array,
    Assumption,
    Batch,
    Classifier,
    Counts,
    Dataset,
    Expects,
    Floats,
    Recorded,
    Settings,
    Suspect,
)
from prune_audit.errors import ModelError
from prune_audit.evaluate.batch_size import FREE, Plan
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.inputs import Feeder
from prune_audit.evaluate.predict import ask, check_input, joined
from prune_audit.tasks.classification import decided, right

CHECKED = 8  # samples
COMPANY = 4  # further ones that some of them are predicted beside
# Of healthy models alone and in batches, the largest difference of a score as a share of the sample's largest score is
# 2.5e-6 in single precision, 0 in half, and up to .014 with a median of 0 in static int8; with dynamic int8 the median
# is .04 and more.
MOVED = 1e-3
# A class that changed says the same, unless its two best scores, as shares of the largest, are as near as this.
NEAR = 0.05
# Where the structure shows a cause, whatever is more than rounding in single precision counts.
ROUNDING = 1e-4
REPEATS = 4  # of the same call, where anything gives rise to suspicion
DRAWN = 256  # samples that what draws random numbers is asked for again: it may do so for few of them
READS = 3  # of the data, where samples are alike
NAMED = 2  # places in a message

Changed = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is known of one model, from ``samples`` of the data. It is kept with the predictions.

    ``depends`` says that a prediction depends on the batch: beside others instead of alone, scores move by ``median``
    and by up to ``largest`` of a sample's largest score, and ``changed`` of the samples change class, because of
    ``places`` as far as they are known. ``single`` is the fault of a model that takes one sample at a time only.
    ``alone`` says that it can be asked for one sample, and ``mute`` that every class then has the same score.
    ``draws`` are places that draw random numbers which have changed nothing.
    """

    samples: int = 0
    depends: bool = False
    median: float = 0.0
    largest: float = 0.0
    changed: int = 0
    places: tuple[str, ...] = ()
    single: str | None = None
    alone: bool = True
    mute: bool = False
    draws: tuple[str, ...] = ()


def check(
    models: Sequence[Classifier | Recorded], dataset: Dataset, rows: Counts, settings: Settings, store: Store | None
) -> dict[str, Checked]:
    """What is found of each model that runs, by name, on some of the samples at ``rows``, or is known to ``store``.

    Raises:
        ModelError: a model answers differently when it is asked the same again, normalises by the batch as in
            training, or cannot run.
        AlignmentError: the data do not have a model's inputs.
    """
    found: dict[str, Checked] = {}
    waiting: list[Classifier] = []
    for model in models:
        if isinstance(model, Recorded):
            continue
        known = store.checked(model.card, model.expects, dataset, settings) if store is not None else None
        if known is None:
            waiting.append(model)
        else:
            lists = {"places": tuple(known["places"]), "draws": tuple(known["draws"])}
            found[model.card.name] = Checked(**{**known, **lists})
    batch = _some(dataset, rows) if waiting else None
    if batch is None:  # without a sample nothing runs either
        return found

    def tasks(some: Batch) -> list[Callable[[], Checked]]:
        feeder = Feeder(some.inputs, dataset.preprocess)
        return [partial(examine, model, feeder.feed(model.card.name, model.expects)) for model in waiting]

    take = [partial(found.__setitem__, model.card.name) for model in waiting]
    runners.run(runners.here(settings.runner), [batch], lambda some: some, tasks, take, workers=1)
    drawing = [model for model in waiting if found[model.card.name].draws]
    if drawing:
        step = max(1, len(rows) // DRAWN)
        more = dataset.read(rows[::step][:DRAWN])
        feeder = Feeder(more.inputs, dataset.preprocess)
        for model in drawing if len(more.labels) else ():
            _draw_again(model, feeder.feed(model.card.name, model.expects), found[model.card.name].draws)
    for model in waiting if store is not None else ():
        assert store is not None
        store.note_checked(model.card, model.expects, dataset, settings, asdict(found[model.card.name]))
    return found


def plan(name: str, expects: Expects, checked: Checked | None, settings: Settings) -> Plan:
    """How the model called ``name`` is run because of what was ``checked``, and what must be said of it.

    Raises:
        ModelError: there is no way to run it in which a prediction is of its sample, and no other was asked for.
    """
    if checked is None:  # no sample could be read, so that it will not run
        return FREE
    draws = (
        f"{name} draws random numbers ({_list(checked.draws)}), which changed no score of {checked.samples} samples "
        "when they were predicted again",
    )
    notes = draws if checked.draws else ()
    if checked.single is not None:
        said = f"{name} fails on several samples at once, so it ran one sample at a time ({checked.single})"
        return Plan(batch=1, notes=(*notes, said))
    if not checked.depends:
        return Plan(pairs=not checked.alone and expects.batch is None, notes=notes)
    depends = f"predictions of {name} depend on the batch{f' ({_list(checked.places)})' if checked.places else ''}"
    asked = settings.batch_size
    if asked is None:
        _refuse_alone(depends, expects, checked)
    batch = expects.batch or asked or 1
    cut = f"in batches of {batch}, cut in the order of the data"
    note = (
        f"{depends}: together instead of alone, {checked.changed} of {checked.samples} samples are of another class, "
        f"and scores move by {_percent(checked.median)} of the largest in the median and by up to "
        f"{_percent(checked.largest)}; it ran {'one sample at a time, as a model in use does' if batch == 1 else cut}"
    )
    assumption = Assumption(
        subject=name,
        what="batch",
        value="one sample at a time" if batch == 1 else cut,
        why="its predictions depend on the batch" + ("" if asked is None else ", and this size was asked for"),
        option="--batch-size N",
    )
    return Plan(
        batch=batch,
        depends=True,
        pairs=not checked.alone and expects.batch is None,
        assumptions=(assumption,),
        notes=(*notes, note),
    )


def company(name: str, plan: Plan, stages: Sequence[Counts] | None, chunk: int | None) -> str | None:
    """Which samples the model called ``name`` predicts together, where that decides predictions; else None.

    It is decided by the rows of the ``stages`` of a run, None where these are not known beforehand, and by the
    ``chunk`` of them that is cut into batches.

    Raises:
        ModelError: it matters, and is not known.
    """
    if not plan.depends:
        return None
    if plan.batch == 1:
        return "1"
    if stages is None:
        raise ModelError(
            f"predictions of {name} depend on the batch, and which samples are in one hangs on earlier predictions",
            hint="run all data, without --until-settled; or one sample at a time, without --batch-size",
        )
    digest = hashlib.sha256()
    for stage in stages:
        digest.update(f"{len(stage)} ".encode() + stage.astype("<i8").tobytes())
    return f"{plan.batch} of {chunk} of {digest.hexdigest()}"


def _refuse_alone(depends: str, expects: Expects, checked: Checked) -> None:
    """Raise `ModelError` where a model that ``depends`` on its batch cannot be run one sample at a time."""
    if (expects.batch or 1) > 1:
        raise ModelError(
            f"{depends}, which is fixed at {expects.batch} samples",
            hint=f"export it with a free first axis, or give --batch-size {expects.batch} to audit it in batches that "
            "are cut in the order of the data",
        )
    cut = "or give --batch-size N to audit it in batches that are cut in the order of the data"
    if not checked.alone:
        raise ModelError(
            f"{depends}, and it fails on one sample",
            hint=f"look for what it computes over the first axis, which is the batch; {cut}",
        )
    if checked.mute:
        raise ModelError(
            f"{depends}, and one sample alone has the same score for every class",
            hint="what it computes over the first axis, which is the batch, such as a softmax, belongs to the axis of "
            f"the classes (1 or -1); {cut}",
        )


def examine(model: Classifier, inputs: Mapping[str, Array]) -> Checked:
    """Try ``model`` on ``inputs``, of which the first `CHECKED` samples are looked at and the others are company.

    Raises:
        ModelError: as `check`.
        AlignmentError: ``inputs`` do not have the shapes that the model declares.
    """
    check_input(model, inputs)
    trial = _Trial(model, inputs)
    together, fault = _together(trial)
    fixed = model.expects.batch
    several = fixed or min(2, trial.total)
    trial.suspects = model.suspects({name: np.resize(v, (several, *v.shape[1:])) for name, v in inputs.items()})
    if dropout := trial.places("dropout"):
        raise _random(trial, f"drops values at random, as in training ({_list(dropout)})")
    if fault is not None or fixed == 1:
        trial.again(together, trial.singly)
        trial.again(together, lambda: trial.singly(range(trial.count)[::-1])[::-1])
        return Checked(samples=trial.count, single=fault, draws=trial.places("random"))
    if (fixed or 0) <= CHECKED:  # else it would be shown the same samples more often than need be
        trial.again(together, trial.all)
    # Pairs (K, C) that are equal where predictions are of one sample.
    ways = [_beside_others(trial, together)] if fixed is None else []
    alone = None if fixed is not None else trial.tried(trial.singly)
    if alone is None:  # among its own copies a sample has no company either, and two of them will tell
        few = trial.tried(lambda: trial.copies(range(min(2, trial.count)), fixed or 2))
        ways += [] if few is None else _among_copies(few, together)
    else:
        ways.append((alone, together))
    if trial.places("random") or any(_moved(*way)[0].max() > MOVED for way in ways):
        for _ in range(REPEATS):
            trial.again(together, trial.all)
        if fixed is not None:
            ways += _among_copies(trial.copies(range(trial.count), fixed), together)
    dynamic = trial.places("dynamic")
    depends = any(_is_another(*way, ROUNDING if dynamic else MOVED, bool(dynamic)) for way in ways)
    if depends and trial.places("batch"):
        raise _trains(trial)
    median, largest, changed = max(map(_effect, ways), default=(0.0, 0.0, 0))
    return Checked(
        samples=trial.count,
        depends=depends,
        median=median,
        largest=largest,
        changed=changed,
        places=(*dynamic, *trial.places("axis")),
        alone=alone is not None,
        mute=alone is not None and alone.shape[1:] > (1,) and not np.ptp(alone, axis=1).any(),
        draws=trial.places("random"),
    )


@dataclass(slots=True)
class _Trial:
    """A model, and the samples that it is tried on."""

    model: Classifier
    inputs: Mapping[str, Array]
    suspects: tuple[Suspect, ...] = ()
    first: list[Array] = field(default_factory=list)  # an answer without rows, which every other must be alike

    @property
    def name(self) -> str:
        return self.model.card.name

    @property
    def total(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def count(self) -> int:
        return min(CHECKED, self.total)

    def places(self, kind: str) -> tuple[str, ...]:
        return tuple(each.where for each in self.suspects if each.kind == kind)

    def ask(self, order: Sequence[int]) -> Array:
        """The scores of the samples at ``order``, in one call where the model's batch is free."""
        scores = ask(self.model, {name: values[list(order)] for name, values in self.inputs.items()})
        self.first = self.first or [scores[:0]]
        return joined(self.name, [*self.first, scores])

    def all(self) -> Array:
        return self.ask(range(self.count))

    def singly(self, order: Sequence[int] | None = None) -> Array:
        return joined(self.name, [self.ask([i]) for i in (range(self.count) if order is None else order)])

    def copies(self, samples: Sequence[int], size: int) -> Array:
        """Each of ``samples`` in a batch of ``size`` copies of itself (S, size, C)."""
        return np.stack([self.ask([i] * size) for i in samples])

    def tried(self, ask: Callable[[], Array]) -> Array | None:
        try:
            return ask()
        except ModelError:
            return None

    def again(self, before: Array, ask: Callable[[], Array]) -> None:
        """Ask what was answered by ``before`` again. Raises `ModelError` where the answer is another."""
        random = self.places("random")
        differs, changed = _moved(before, again := ask())
        if _is_another(before, again, tolerance := ROUNDING if random else MOVED, True):
            if self.places("batch"):  # some runtimes go on averaging its statistics
                raise _trains(self)
            moved = int(((differs > tolerance) | changed).sum())
            raise _random(
                self,
                f"answers otherwise when it is asked the same again: the scores of {moved} of {len(before)} samples "
                f"moved by up to {_percent(differs.max())} of the largest"
                + (f"; it draws random numbers ({_list(random)})" if random else ""),
            )


def _draw_again(model: Classifier, inputs: Mapping[str, Array], draws: Sequence[str]) -> None:
    """Ask ``model``, which draws random numbers in ``draws``, twice for ``inputs``: more samples than are looked at.

    Raises:
        ModelError: the answers differ.
    """
    trial = _Trial(model, inputs, tuple(Suspect(kind="random", where=where) for where in draws))
    together = trial.tried(lambda: trial.ask(range(trial.total)))  # None where it takes one sample at a time
    ask = partial(trial.singly if together is None else trial.ask, range(trial.total))
    trial.again(ask() if together is None else together, ask)


def _together(trial: _Trial) -> tuple[Array, str | None]:
    """The scores of all samples in one call; or singly, and the fault of a model that fails on several at once."""
    try:
        return trial.all(), None
    except ModelError as fault:
        singly = trial.tried(trial.singly) if trial.model.expects.batch is None and trial.count > 1 else None
        if singly is None:
            raise
        return singly, fault.message


def _among_copies(copies: Array, together: Array) -> list[tuple[Array, Array]]:
    """``copies`` (S, B, C) of the first samples beside ``together``, and beside one another."""
    first = copies[:, 0]
    return [(first, together[: len(first)]), *((np.repeat(each[:1], len(each), axis=0), each) for each in copies)]


def _beside_others(trial: _Trial, together: Array) -> tuple[Array, Array]:
    """``together``, and the scores of the same samples in another order and company."""
    others = range(trial.count, trial.total)
    before = len(others) // 2
    order = [*others[:before], *reversed(range(trial.count)), *others[before:]]
    return together, trial.ask(order)[before : before + trial.count][::-1]


def _random(trial: _Trial, what: str) -> ModelError:
    return ModelError(
        f"{trial.name} {what}",
        hint="switch off what is random: model.eval() before the export, F.dropout with training=self.training, no "
        "training_mode in ONNX; where a model is random in use, audit recorded predictions of it",
    )


def _trains(trial: _Trial) -> ModelError:
    return ModelError(
        f"{trial.name} normalises by the statistics of each batch, as in training ({_list(trial.places('batch'))}), so "
        "that a prediction depends on the other samples",
        hint="export it after model.eval(), with a normalisation that keeps running statistics "
        "(track_running_stats=True); or audit recorded predictions",
    )


def _is_another(before: Array, after: Array, tolerance: float, any_sample: bool) -> bool:
    """Whether ``after`` is another answer than ``before``: in any sample, or by the median over all."""
    differs, changed = _moved(before, after)
    return bool(changed.any() or (differs.max() if any_sample else np.median(differs)) > tolerance)


def _effect(way: tuple[Array, Array]) -> tuple[float, float, int]:
    """The median and the largest difference, and how many samples change class."""
    differs, _ = _moved(*way)
    a, b, _ = _scaled(*way)
    return float(np.median(differs)), float(differs.max()), int((~right(decided(a), decided(b))).sum())


def _moved(before: Array, after: Array) -> tuple[Floats, Changed]:
    """How far scores moved, as shares of each sample's largest (K,), and whether that changed a class clearly (K,)."""
    a, b, scale = _scaled(before, after)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(a - b).max(axis=1, where=~((a == b) | (np.isnan(a) & np.isnan(b))), initial=0)  # (K,)
        apart[np.isnan(apart)] = np.inf
        differs = np.where(apart > 0, apart / scale, 0)
        best = np.sort(np.stack([a, b]), axis=2)  # (2, K, C)
        clear = ((best[:, :, -1] - best[:, :, -2]) / scale > NEAR).any(axis=0)
    return differs, clear & ~right(decided(a), decided(b))


def _scaled(before: Array, after: Array) -> tuple[Floats, Floats, Floats]:
    """Both as scores of two classes or more (K, C), and what they are measured by (K,).

    That is the largest score of a sample, unless it is next to nothing beside those of other samples. Of one column
    of logits, which has none that is not near 0 somewhere, it is the largest of all samples.
    """
    both: Floats = np.concatenate([before, after]).astype(np.float64)
    share = 1e-3
    if both.ndim == 1:
        both = (both[:, None] == np.arange(max(2, both.max() + 1))).astype(np.float64)
    elif both.shape[1] == 1 and both.min() >= 0 and both.max() <= 1:
        both = np.concatenate([1 - both, both], axis=1)
    elif both.shape[1] == 1:
        both, share = np.concatenate([-both, both], axis=1), 1.0
    a, b = np.split(both, 2)
    largest = np.abs(np.where(np.isfinite(a), a, 0)).max(axis=1)  # (K,)
    return a, b, np.maximum(largest, share * largest.max())


def _some(dataset: Dataset, rows: Counts) -> Batch | None:
    """Some of the samples at ``rows``, spread over them: such as can be read and differ, as far as there are any."""
    most = CHECKED + COMPANY
    step = max(1, len(rows) // most)
    order = np.concatenate([rows[start::step] for start in range(step)])
    parts: list[Batch] = []
    for start in range(0, len(order), most):
        parts.append(dataset.read(order[start : start + most]))
        digests = np.concatenate([part.digests for part in parts])  # (K,)
        first = np.sort(np.unique(digests, return_index=True)[1])
        if len(first) >= most or (len(first) and len(parts) == READS):
            break
    if not len(digests):
        return None
    chosen = [*first, *np.setdiff1d(np.arange(len(digests)), first)][:most]
    names = next(part.inputs for part in parts if len(part.labels))
    return Batch(
        rows=np.concatenate([part.rows for part in parts])[chosen],
        inputs={name: np.concatenate([p.inputs[name] for p in parts if len(p.labels)])[chosen] for name in names},
        labels=np.concatenate([part.labels for part in parts])[chosen],
        digests=digests[chosen],
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.99 else f"{100 * share:,.0f} %"


def _list(places: Sequence[str]) -> str:
    more = len(places) - NAMED
    return ", ".join(places[:NAMED]) + (f" and {more} more" if more > 0 else "")
