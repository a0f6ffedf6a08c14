"""The story of an audit: load, check that all fits together, evaluate, measure, judge. Read this second.

This is where the rooms meet. `run` starts from files, `from_predictions` from predictions that something else made,
and both end in `assemble`. Where there is a policy, `prune_audit.gate` judges what was measured.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from prune_audit import data, gate, models, plugins, runners, sequential, spelling, stats, tasks
from prune_audit.core import (
    CLASSIFICATION,
    WHOLE,
    Assumption,
    Audit,
    Brings,
    Classifier,
    Comparison,
    Counts,
    Dataset,
    DataSource,
    Expects,
    Input,
    ModelCard,
    ModelSource,
    Policy,
    Predictions,
    Preprocess,
    Provenance,
    Recorded,
    Settings,
    Shard,
    Things,
    View,
    data_digest,
)
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.evaluate import plausible
from prune_audit.evaluate.batch_size import Plan
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.drop_outputs import dropped
from prune_audit.evaluate.loop import FIRST, Done, Evaluation, Progress, Work, at_work, evaluate, planned
from prune_audit.evaluate.pin import Pin, Pins, check_machine
from prune_audit.evaluate.pin import of as pin_of
from prune_audit.evaluate.rounds import Rounds
from prune_audit.evaluate.sample import check as check_sample
from prune_audit.evaluate.sample import notes
from prune_audit.evaluate.sampling import stratified
from prune_audit.evaluate.things import check as check_things
from prune_audit.evaluate.things import evaluate as evaluate_things
from prune_audit.evaluate.thumbnail import with_thumbnails
from prune_audit.files import regular

Model: TypeAlias = ModelSource | Classifier | Recorded
# Flipped samples kept per variant: enough to look at, small enough for a document that travels through CI.
FLIPS_KEPT, EVERY = 200, sys.maxsize
DRAWN = 8  # of each class and flow, where images were named to draw them in


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a few hundred samples say before a long run: ``predictions`` of these, of ``available``.

    ``facts`` are what was learnt of each model that ran, by name, as in `prune_audit.evaluate.loop.Evaluation`.
    """

    cards: tuple[ModelCard, ...]
    predictions: Predictions
    available: int
    preprocess: Preprocess | None
    facts: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...]
    assumptions: tuple[Assumption, ...]
    doubts: tuple[str, ...]


def run(
    dense: Model,
    pruned: Sequence[Model],
    source: DataSource | Dataset | None,
    settings: Settings,
    *,
    policy: Policy | None = None,
    store: Store | None = None,
    pins: Pins | None = None,
    thumbnails: int = 0,
    flips: int = FLIPS_KEPT,
    earlier: Audit | None = None,
    progress: Callable[[str], Progress | None] | None = None,
) -> Audit:
    """Compare ``pruned`` models with the ``dense`` one on labelled data, each a source or already there.

    Without a ``source`` the dense model brings what was asked of it.

    What ``store`` knows is not predicted again, and ``pins`` say by what the run is pinned. Of flipped images, up to
    ``thumbnails`` a variant are kept as small pictures, and of flipped samples up to ``flips`` are listed. ``earlier``
    is an audit that ended when all was settled, or its data did, to which as many samples are added as are needed
    still. ``progress`` is given the name of a stage and returns a callback that takes (done, total).

    Raises:
        AuditError: a model or the data cannot be read, or they do not fit together.
    """
    if earlier is not None:
        settings = replace(settings, until_settled=True)
    if settings.until_settled and policy is not None:
        settings = gate.settings_of(policy, settings)  # which say what is settled, and so when the run ends
    opened = _open((dense, *_distinct(dense, pruned)), source, settings, store, pins)
    if earlier is not None:
        sequential.check(earlier, [model.card for model in opened.models], opened.dataset, settings)
    things = opened.dataset if isinstance(opened.dataset, Things) else None
    if things is not None and things.draw is not None:
        thumbnails = thumbnails or DRAWN
    elif thumbnails and opened.dataset.preprocess is None:
        raise UsageError(
            f"thumbnails are of images, and {opened.dataset.path} has none",
            hint="leave out --thumbnails for such data" if things is None else "of labelled boxes: --images FOLDER",
        )
    rounds = opened.rounds(earlier) if settings.until_settled else None
    evaluation = opened.evaluate(progress, rounds=rounds)
    predictions, cards = evaluation.predictions, opened.cards(evaluation)
    audit = assemble(
        predictions,
        cards[0],
        cards[1:],
        opened.provenance(evaluation),
        policy if earlier is None else None,
        flips=flips,
        doubts=opened.doubts(evaluation),
        drawn_from=None if rounds is None else sequential.drawn_from(predictions, rounds),
    )
    if thumbnails:
        audit = replace(audit, comparisons=with_thumbnails(audit.comparisons, opened.dataset, thumbnails))
    if earlier is None:
        return audit
    audit = sequential.added(audit, earlier, flips)
    return audit if policy is None else gate.judge(audit, policy)


def confirm(
    chosen: Audit,
    dense: ModelSource,
    pruned: Sequence[ModelSource],
    source: DataSource,
    *,
    store: Store | None = None,
    progress: Callable[[str], Progress | None] | None = None,
) -> Audit:
    """The variant that ``chosen`` ends with, judged again on fresh data at ``source``, by the same policy.

    The best of several variants looks better than it is on the data that it was chosen by; fresh data tell.

    Raises:
        UsageError: there is no variant to confirm.
        AlignmentError: the data are not fresh.
    """
    name = gate.to_confirm(chosen)
    at = [comparison.pruned.name for comparison in chosen.comparisons].index(name)
    again = replace(pruned[at], name=name)
    settings = chosen.provenance.settings
    fresh = run(dense, [again], source, settings, policy=chosen.policy, store=store, progress=progress)
    gate.check_fresh(chosen, fresh)
    return fresh


def trial(
    dense: ModelSource,
    pruned: Sequence[ModelSource],
    source: DataSource | Dataset | None,
    settings: Settings,
    *,
    pins: Pins | None = None,
) -> Trial:
    """Do what `run` does before its long run: load everything, and see on a few hundred samples whether it fits.

    The pin is made where there is none.

    Raises:
        AuditError: as `run`.
    """
    opened = _open((dense, *_distinct(dense, pruned)), source, settings, None, pins)
    evaluation = opened.evaluate(None, first_only=True)
    provenance = opened.provenance(evaluation)
    return Trial(
        cards=opened.cards(evaluation),
        predictions=evaluation.predictions,
        available=len(opened.rows),
        preprocess=opened.dataset.preprocess,
        facts=evaluation.facts,
        notes=provenance.notes,
        assumptions=provenance.assumptions,
        doubts=opened.doubts(evaluation),
    )


def predict(
    model: Model,
    source: DataSource | Dataset,
    settings: Settings,
    *,
    store: Store | None = None,
    pins: Pins | None = None,
    shard: Shard = WHOLE,
    progress: Callable[[str], Progress | None] | None = None,
) -> tuple[Predictions, Provenance]:
    """The predictions of one model on labelled data, or of a ``shard`` of a pinned run, and what must be said of them.

    Raises:
        AuditError: as `run`; or the shard is empty.
    """
    opened = _open((model,), source, settings, store, pins)
    if isinstance(opened.dataset, Things):
        raise UsageError(
            f"{source.path} holds labels for the task {opened.dataset.task}, for which nothing can be predicted here",
            hint="compare takes what models answered, as files",
        )
    evaluation = opened.evaluate(progress, shard=shard)
    return evaluation.predictions, opened.provenance(evaluation)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """Models and data that fit together as far as can be seen without a run."""

    loaded: tuple[Classifier | Recorded, ...]
    models: tuple[Classifier | Recorded, ...]  # without the outputs that are left out
    dataset: Dataset
    rows: Counts  # (R,) what is to be audited
    settings: Settings
    store: Store | None
    pins: Pins | None
    threads: int  # of each model
    elsewhere: Callable[..., _Elsewhere] | None

    def rounds(self, earlier: Audit | None) -> Rounds:
        """The samples in rounds, until every class is settled, with what ``earlier`` knew."""
        names = [model.card.name for model in self.models]
        return sequential.rounds(self.dataset, self.rows, names, self.settings, earlier, FIRST)

    def evaluate(
        self,
        progress: Callable[[str], Progress | None] | None,
        *,
        first_only: bool = False,
        rounds: Rounds | None = None,
        shard: Shard = WHOLE,
    ) -> Evaluation:
        if isinstance(self.dataset, Things):
            if self.pins is not None and self.pins.paths:
                raise UsageError("--pin: no model runs, all answers are recorded", hint="leave --pin out")
            return evaluate_things(self.models, self.dataset, self.settings)
        evaluation = evaluate(
            self.models,
            self.dataset,
            self.rows,
            self.settings,
            progress("evaluating") if progress else None,
            store=self.store,
            first_only=first_only,
            rounds=rounds,
            pins=self.pins,
            threads=self.threads,
            shard=shard,
            elsewhere=self.elsewhere,
        )
        predictions = evaluation.predictions
        # Again, because an indexed data set learns its last classes from the models.
        check_sample(self.settings, predictions.classes, predictions.labels, predictions.groups)
        return evaluation

    def cards(self, evaluation: Evaluation) -> tuple[ModelCard, ...]:
        """The models' cards with what the run has measured."""
        cards = [model.card for model in self.models]
        return tuple(replace(card, macs=evaluation.facts.get(card.name, {}).get("macs")) for card in cards)

    def doubts(self, evaluation: Evaluation) -> tuple[str, ...]:
        """What speaks against the dense model having been run as it was trained."""
        if isinstance(self.dataset, Things):  # nothing was run
            return evaluation.doubts
        if self.settings.until_settled:  # its accuracy is not known: classes that are hard to settle count for more
            return evaluation.doubts
        dense, predictions = self.models[0], evaluation.predictions
        right = int(tasks.right(predictions, predictions.models[0].name).sum())
        said = dense.expects.accuracy or models.of_name(Path(dense.card.path))
        below = plausible.below_record(said, right, len(predictions.labels))
        return (*evaluation.doubts, *([below] if below else []))

    def provenance(self, evaluation: Evaluation) -> Provenance:
        predictions, dataset = evaluation.predictions, self.dataset
        cards = [model.card for model in self.models]
        said = (*_model_notes(cards), *dataset.notes, *evaluation.notes, *notes(predictions, self.settings))
        return Provenance(
            data=dataset.path,
            data_digest=_data_digest(predictions, dataset.beside if isinstance(dataset, Things) else ""),
            samples=len(predictions.labels),
            available=len(dataset.labels),
            limited=len(self.rows) < len(dataset.labels),
            skipped=evaluation.skipped,
            preprocess=dataset.preprocess,
            settings=self.settings,
            versions=_versions(cards, self.settings, images=dataset.preprocess is not None),
            notes=said,
            assumptions=(*dataset.assumptions, *evaluation.assumptions),
            run={**evaluation.run, **self.isolation()},
        )

    def isolation(self) -> Mapping[str, str]:
        """What is around each model that runs."""
        running = [model for model in self.loaded if not isinstance(model, Recorded)]
        return {f"isolation, {model.card.name}": models.isolation(model) for model in running}


def _open(
    sources: Sequence[Model],
    source: DataSource | Dataset | None,
    settings: Settings,
    store: Store | None,
    pins: Pins | None,
) -> _Opened:
    """Load ``sources`` and the data at ``source``, and check what can be checked without a run."""
    # The models run side by side, each in a thread of its own, and share the cores.
    _check_names(settings, [_name(each) for each in sources])
    runners.check(settings.runner)
    if runners.elsewhere(settings.runner) and pins is None:
        pins = Pins()
    if pins is not None and settings.runtime == "auto":  # which hangs on the speed of the machine
        settings = replace(settings, runtime="own")
    known = pins.known() if pins is not None else None
    if known is not None:
        settings = replace(settings, batch_size=settings.batch_size or known.asked)
    threads = settings.threads or (known.threads if known is not None else max(1, runners.cores() // len(sources)))
    share = replace(settings, threads=threads)
    elsewhere = None
    if pins is not None and runners.elsewhere(settings.runner):
        elsewhere = _elsewhere(sources, source, share, store, pins)
    ids, called = (source.id_column, data.called(source)) if isinstance(source, DataSource) else (None, ())
    sources = [
        replace(each, id_column=ids, called=called) if isinstance(each, ModelSource) else each for each in sources
    ]
    idle = [isinstance(each, ModelSource) and models.knows(each, share, store) for each in sources]
    fresh = share
    if settings.threads is None and pins is None:
        # Those that the store knows will hardly run, and leave their cores to the others.
        fresh = replace(settings, threads=max(1, runners.cores() // max(1, idle.count(False))))
    loaded = [
        models.load(each, share if waits else fresh, store) if isinstance(each, ModelSource) else each
        for each, waits in zip(sources, idle, strict=True)
    ]
    opened = tuple(dropped(loaded, settings.drop_class))
    _seed(settings.seed)
    declared = merge([(m.card.name, m.expects) for m in opened])
    dataset = _brought(loaded[0]) if source is None else source
    if isinstance(dataset, DataSource):
        dataset = data.load(dataset, declared, settings)
    if isinstance(dataset, Things):
        settings = check_things(dataset, settings)
    _check_task(dataset, settings)
    check_sample(settings, dataset.classes, dataset.labels, dataset.groups, complete=not dataset.indexed)
    most = None if settings.until_settled else settings.limit  # which rounds keep to by themselves
    rows = stratified(dataset.labels, most or len(dataset.labels), settings.seed)
    return _Opened(
        loaded=tuple(loaded),
        models=opened,
        dataset=dataset,
        rows=rows,
        settings=settings,
        store=store,
        pins=pins,
        threads=threads,
        elsewhere=elsewhere,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Elsewhere:
    """The work of a pass for a process that has nothing of it yet, wherever that is; it can be pickled."""

    sources: tuple[ModelSource, ...]
    source: DataSource
    settings: Settings
    pin: Pin
    plans: Mapping[str, Plan]
    folder: Path
    verify: bool
    strict: bool  # another processor is refused

    def __call__(self, part: Sequence[Counts]) -> Done:
        if not _AT_WORK or _AT_WORK[0] != self:  # what was loaded for one part does for the next
            _AT_WORK[:] = [self, self._opened()]
        done: Done = _AT_WORK[1](part)
        return done

    def _opened(self) -> Work:
        """Models and data, which are what they are for the pass that gives out the parts."""
        runners.go_to(self.folder)
        opened = _open(self.sources, self.source, self.settings, None, None)
        running = [model for model in opened.models if not isinstance(model, Recorded)]
        here = pin_of(
            running,
            opened.dataset,
            planned(opened.dataset, opened.rows, self.settings),
            self.settings,
            fingerprint=opened.dataset.fingerprint(self.verify),
            threads=opened.threads,
            batch=self.pin.batch,
        )
        check_machine(self.pin, here, strict=self.strict)
        return at_work(running, opened.dataset, self.settings, self.plans, self.pin)


_AT_WORK: list[Any] = []  # an `_Elsewhere`, and what it does here


def _elsewhere(
    sources: Sequence[Model],
    source: DataSource | Dataset | None,
    settings: Settings,
    store: Store | None,
    pins: Pins,
) -> Callable[..., _Elsewhere]:
    """What is to be pickled of a run, once its ``pin`` is known, and the ``plans`` of its models."""
    if settings.device != "cpu":
        raise UsageError(
            f"--runner {settings.runner}: only processors are given out, not the device {settings.device}",
            hint="an array of jobs has devices: predict --shard I/N (docs/cluster.md)",
        )
    files = tuple(each for each in sources if isinstance(each, ModelSource))
    if len(files) < len(sources) or not isinstance(source, DataSource):
        raise UsageError(
            f"--runner {settings.runner}: models and data that are in memory are on no other machine",
            hint="give them as paths, or leave the runner out",
        )
    return partial(
        _Elsewhere,
        sources=files,
        source=source,
        settings=replace(settings, runner=runners.here(settings.runner), of_runner=None),
        folder=Path.cwd(),
        verify=store is not None and store.verify,
        strict=bool(pins.paths),
    )


def _brought(model: Classifier | Recorded) -> Things:
    """What was asked of the dense ``model``, where its file says so."""
    if isinstance(model, Brings):
        return model.things()
    raise UsageError(
        "there are no labelled data: --data is missing",
        hint=f"{model.card.path or model.card.name} says nothing of what was asked of it; name labelled data with "
        "--data",
    )


def _check_task(dataset: Dataset, settings: Settings) -> None:
    """Check that ``dataset`` is of the task that was asked for, if one was, and all options are of that."""
    task = dataset.task if isinstance(dataset, Things) else CLASSIFICATION.name
    if settings.task is not None and tasks.of(settings.task).TASK.name != task:
        raise UsageError(
            f"--task {settings.task}: {dataset.path} holds labels for the task {task}",
            hint=f"leave --task out, or give labelled data of the task {settings.task}",
        )
    tasks.check_options(task, dataset.path, settings)


def _check_names(settings: Settings, names: Sequence[str]) -> None:
    """Check that options of one model are of models that there are."""
    options = {"--scores": settings.scores, "--model-output": settings.model_output, "--state-key": settings.state_key}
    for option, values in options.items():
        for value in values:
            name, equals, rest = value.partition("=")
            if equals and not any(value.startswith(f"{each}=") for each in names):
                raise UsageError(
                    f"{option} {value}: there is no model {name!r}",
                    hint=f"{spelling.meant(name, names)}the models are called {', '.join(names)}: "
                    f"{option} {names[0]}={rest}",
                )


def from_predictions(
    predictions: Predictions, dense: str, pruned: Sequence[str], settings: Settings, *, policy: Policy | None = None
) -> Audit:
    """Audit predictions that were made elsewhere: ``dense`` and ``pruned`` name models of ``predictions``.

    Raises:
        UsageError: the predictions lack a model, or a column or class that the settings name.
    """
    check_sample(settings, predictions.classes, predictions.labels, predictions.groups)
    if settings.until_settled:
        raise UsageError(
            "until_settled: predictions that are all there spare nothing",
            hint="give them to compare as files or models",
        )

    def card(name: str) -> ModelCard:
        # With the name: a baseline goes by the digest, and two models may well predict alike.
        digest = hashlib.sha256(name.encode() + predictions.model(name).predicted.tobytes()).hexdigest()
        return ModelCard(name=name, path="", format="predictions", digest=digest, size=0)

    provenance = Provenance(
        data="predictions",
        data_digest=_data_digest(predictions),
        samples=len(predictions.labels),
        available=len(predictions.labels),
        settings=settings,
        versions=_versions(),
        notes=notes(predictions, settings),
    )
    return assemble(predictions, card(dense), [card(name) for name in pruned], provenance, policy)


def assemble(
    predictions: Predictions,
    dense: ModelCard,
    pruned: Sequence[ModelCard],
    provenance: Provenance,
    policy: Policy | None = None,
    *,
    flips: int = FLIPS_KEPT,
    doubts: tuple[str, ...] = (),
    drawn_from: Counts | None = None,
) -> Audit:
    """Measure every pair of ``predictions`` in every view, and judge where there is a policy.

    Of the flipped samples of each variant up to ``flips`` are listed.
    ``drawn_from`` (C,) is how many samples of each class there were, where drawing stopped once it was settled.
    """
    settings, comparisons, task = provenance.settings, [], tasks.of(predictions.task.name)
    for card in pruned:
        views = []
        for by in dict.fromkeys(("class", *settings.by)):
            counted = task.pair(predictions, dense.name, card.name, by, settings.cluster, top_k=settings.top_k)
            # What is one network by its digest may still draw random numbers, or be live and have hooks.
            # Predictions of one name are one entry, asked for twice.
            same = card.name == dense.name or card.same_as(dense)
            pair = replace(counted, same_model=same and not len(counted.moves))
            if drawn_from is not None:  # what is made of scores would be biased
                pair = replace(pair, drawn_from=drawn_from, calibration=None, top=None, ties=None)
            views.append(View(pair=pair, measures=stats.measures(pair, settings)))
        listed, flipped = task.flips(predictions, dense.name, card.name, flips)
        comparisons.append(
            Comparison(dense=dense, pruned=card, views=tuple(views), flips=listed, flipped=flipped, doubts=doubts)
        )
    kept = task.samples(predictions, ("class", *settings.by), settings.cluster)
    if drawn_from is not None:
        kept = replace(kept, seen=sequential.seen(predictions.ids))
    provenance = replace(provenance, notes=(*provenance.notes, *(error.message for error in plugins.broken())))
    audit = Audit(comparisons=tuple(comparisons), provenance=provenance, samples=kept)
    return audit if policy is None else gate.judge(audit, policy)


def merge(declared: Sequence[tuple[str, Expects]]) -> Expects:
    """What all models of a run declare together; ``declared`` pairs their names with their declarations.

    Raises:
        AlignmentError: two models declare different classes, numbers of outputs, channels, image sizes, sample rates,
            or files of preprocessing or tokenizers that do not say the same.
    """
    merged = Expects()
    first: dict[str, str] = {}
    for name, expects in declared:
        for field in ("classes", "outputs", "channels", "size", "preprocess", "tokenizer", "sample_rate"):
            mine, theirs = getattr(expects, field), getattr(merged, field)
            if mine is not None and theirs is not None and not _agree(field, mine, theirs):
                raise AlignmentError(
                    f"the models do not fit together: {field} of {first[field]} {_told(theirs)}, "
                    f"of {name} {_told(mine)}",
                    hint="compare models of the same inputs and classes; one preprocessing feeds all models of a run",
                )
            if mine is not None and theirs is None:
                merged = replace(merged, **{field: mine})
                first[field] = name
    # Input names matter where data are arrays; the model with most inputs, of most known shapes, names them for all.
    inputs = max((expects.inputs for _, expects in declared), key=_known, default=())
    id_column = next((expects.id_column for _, expects in declared if expects.id_column is not None), None)
    return replace(merged, inputs=inputs, runs=any(expects.runs for _, expects in declared), id_column=id_column)


def _known(inputs: Sequence[Input]) -> tuple[int, int]:
    return len(inputs), sum(each.shape is not None for each in inputs)


def _agree(field: str, mine: object, theirs: object) -> bool:
    """Whether two declarations say the same; a file may lie in the folder of each model."""
    if not (isinstance(mine, Path) and isinstance(theirs, Path)):
        return mine == theirs
    if regular.content(mine) == regular.content(theirs):
        return True
    # The same steps may be written down in several ways.
    return field == "preprocess" and data.preprocess(str(mine), Preprocess()) == data.preprocess(
        str(theirs), Preprocess()
    )


def _distinct(dense: Model, pruned: Sequence[Model]) -> list[Model]:
    """``pruned`` with names that differ: ``dense.onnx`` against ``dense.pt`` are two models, not one.

    Only a name taken from the file gives way; one that somebody chose is never changed.
    """
    if not pruned:
        raise UsageError("expected at least one pruned model, found none", hint="prune-audit compare DENSE PRUNED ...")
    chosen = [_name(model) for model in (dense, *pruned) if not _named_by_file(model)]
    taken: set[str] = {_name(dense)}
    renamed: list[Model] = []
    for source in pruned:
        default = _named_by_file(source)
        if (_name(source) in taken or chosen.count(_name(source)) > 1) and not default:
            raise UsageError(
                f"two models are called {_name(source)!r}", hint="give each variant a name of its own: NAME=PATH"
            )
        if not isinstance(source, ModelSource):
            taken.add(_name(source))
            renamed.append(source)
            continue
        candidates = [source.name, source.path.name, *(f"{source.name}-{i}" for i in range(2, len(pruned) + 3))]
        unwanted = taken | set(chosen) if default else taken
        name = next(name for name in candidates if name not in unwanted)
        taken.add(name)
        renamed.append(replace(source, name=name))
    return renamed


def _name(model: Model) -> str:
    return model.name if isinstance(model, ModelSource) else model.card.name


def _named_by_file(model: Model) -> bool:
    return isinstance(model, ModelSource) and model.name == model.path.stem


def _seed(seed: int) -> None:
    """Fix torch's random numbers, for models that draw some; torch is not imported for it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _data_digest(predictions: Predictions, beside: str = "") -> str:
    return data_digest(predictions.classes, predictions.ids, predictions.labels, predictions.digests, beside)


def _model_notes(cards: Sequence[ModelCard]) -> tuple[str, ...]:
    dense, *others = cards
    told = []
    for card in others:
        if card.path and card.same_as(dense):
            told.append(f"{card.name} is the same file as {dense.name}")
        elif card.path and card.recorded and card.digest == dense.digest:
            told.append(
                f"the predictions of {card.name} are those of {dense.name}, byte for byte: as nothing shows that one "
                "model made both, they are judged as two models that answer alike on these samples"
            )
    return tuple(told)


def _versions(
    cards: Sequence[ModelCard] = (), settings: Settings | None = None, *, images: bool = False
) -> dict[str, str]:
    """The libraries that decide the predictions of ``cards`` and the statistics, whether or not they ran just now."""
    used = ["numpy", "scipy"]
    for card in cards:
        if card.format == "ONNX":
            used += ["onnx", "onnxruntime"]
        elif not card.recorded and card.format != "function":
            used += ["torch", *(["transformers"] if card.format == "transformers" else [])]
            used += ["onnxruntime"] if settings is not None and settings.runtime != "own" else []
    used += ["pillow"] if images else []
    return {
        "prune-audit": version("prune-audit"),
        "python": platform.python_version(),
        **{name: version(name) for name in dict.fromkeys(used)},
    }


def _told(value: object) -> str:
    """A declared value in a few words."""
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return f"{len(value)} names ({', '.join(value[:3])}{', ...' if len(value) > 3 else ''})"
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
