"""The story of a pruning run: load, cut, train, save; the search for the sparsest network that does no harm; and the
training of a network from nothing, for studies.

A method, a schedule and a training meet here and nowhere else: the schedule says before which step of the training the
method is asked for new masks. What is written is a network of the same kind that was read, with zeros in it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from prune_audit import data, models, plugins, pruning, reports, spelling
from prune_audit.choices import Allocate, Scope
from prune_audit.core import Array, Dataset, DataSource, ModelCard, ModelSource, Settings, Table
from prune_audit.core.predictions import strata
from prune_audit.errors import OutputError, UsageError
from prune_audit.evaluate.cached_dataset import Remembered
from prune_audit.evaluate.loop import Progress
from prune_audit.evaluate.sample import check as check_sample
from prune_audit.files import target as targets
from prune_audit.nets import masking, serialised, shrinking, train_loop, training_data, units
from prune_audit.nets import pattern as patterns
from prune_audit.nets.allocate import Allocation, by_regions
from prune_audit.nets.companion import Companion, Composed, Course
from prune_audit.nets.editable import put, written
from prune_audit.nets.examples import Examples, Groups
from prune_audit.nets.recalibrate import normalising, recalibrate
from prune_audit.nets.resume import Resume
from prune_audit.nets.scope import check_density
from prune_audit.nets.shrinking import Shrinking
from prune_audit.nets.train_loop import Epoch, Training
from prune_audit.pruning import Cut, check_pattern, schedules
from prune_audit.reports.csv import of as as_csv
from prune_audit.shrink import PROVED, Shrunk, proven

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.masking import Masks


Stages = Callable[[str], Progress | None]

WEIGHTS = "weights that may be cut"
"""What a density counts, unless a method says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is pruned.

    ``method`` is a plugin of the pruning room; ``density`` the share of weights to keep of the layers that may be cut,
    None where ``options``, the group that the method brings (`OPTIONS`), set it, or a ``pattern`` such as ``2:4`` does
    (`prune_audit.nets.pattern`), without which single weights are cut. ``allocate`` names what decides how much of each
    layer is kept. ``exempt`` as in `prune_audit.nets.masking.prunable`. ``schedule`` is one of
    `prune_audit.pruning.schedules`, with its ``rounds``; None is the method's usual one. ``samples`` of the training
    data score, all where None. ``recalibrate`` estimates the statistics of batch normalisation anew on the training
    data, once all else is done.
    """

    method: str
    density: float | None = None
    scope: Scope = "global"
    exempt: tuple[str, ...] = ()
    pattern: str | None = None
    allocate: Allocate | None = None
    options: Any = None
    schedule: str | None = None
    rounds: int = 10
    samples: int | None = None
    recalibrate: bool = False
    training: Training = field(default_factory=Training)

    @property
    def grouped(self) -> patterns.Pattern | None:
        """The pattern, None where single weights are cut."""
        return None if self.pattern is None else patterns.parse(self.pattern)

    @property
    def share(self) -> float:
        """The density at the end of the schedule; 1 where an option of the method decides."""
        of_pattern = self.grouped.density if self.grouped is not None else None
        return of_pattern if of_pattern is not None else 1.0 if self.density is None else self.density

    def __post_init__(self) -> None:
        settled = getattr(self.options, "sets_density", False)
        if self.grouped is not None:
            check_pattern(self.method)
            keeps = self.grouped.density
            if keeps is not None and self.density is not None and not math.isclose(self.density, keeps):
                raise UsageError(
                    f"the pattern {self.pattern} keeps {keeps:g} of the weights, and the density is {self.density:g}",
                    hint="leave out one of the two",
                )
            settled = True if keeps is not None and self.density is None else settled
        if self.allocate is not None:
            check_pattern(self.method)
            if self.grouped is not None or self.scope != "global" or self.schedule not in (None, "one-shot"):
                raise UsageError(
                    "--allocate decides what each layer keeps, at one blow and of single weights",
                    hint="leave out --pattern, --scope and --schedule",
                )
        if self.density is not None:
            check_density(self.density)
            if settled:
                raise UsageError(
                    f"a density was given, and an option of {self.method} that sets one, of which one decides",
                    hint="leave out one of the two",
                )
        elif not settled:
            raise UsageError("no density was given", hint="--density 0.1 keeps a tenth of the weights")
        for what, value in (("steps", self.rounds), ("samples to score", self.samples)):
            if value is not None and value < 1:
                raise UsageError(f"the number of {what} must be positive, found {value}", hint="see --help")
        if self.schedule is not None and self.schedule not in (known := schedules()):
            raise UsageError(
                f"--schedule: expected one of {', '.join(known)}, found {self.schedule!r}",
                hint=f"{spelling.meant(self.schedule, known)}see --help",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What came of a run. ``card`` is measured on the file that was written; ``density`` is the share kept of the
    weights that might be cut, or of what was ``counted`` in their place, as the weights in the file are composed of the
    ``parts`` in another file; ``tables`` are what the method says of the cut, each in NAME.csv beside;
    ``shrunk`` is the network without filters that were cut, and ``allocation`` decided how much of each layer is kept,
    each None where nobody asked for that;
    ``dead`` are the outputs of its layers that have no weight left, and of how many, as far as that is known;
    ``history`` says how the epochs went; ``left`` names what may be weights, too, and could not be cut.
    ``recalibrated`` are the layers of batch normalisation whose statistics are new, None where nobody asked for that,
    and ``stale`` those whose statistics are of the network before the cut."""

    source: ModelSource
    card: ModelCard
    density: float
    history: tuple[Epoch, ...]
    left: tuple[str, ...] = ()
    dead: tuple[int, int] = (0, 0)
    counted: str = WEIGHTS
    parts: Path | None = None
    tables: tuple[Table, ...] = ()
    shrunk: Shrunk | None = None
    allocation: Allocation | None = None
    recalibrated: tuple[str, ...] | None = None
    stale: tuple[str, ...] = ()

    @property
    def written(self) -> tuple[ModelSource, ...]:
        """The networks to compare with the dense one: what was written, and the smaller one beside it."""
        return (self.source,) if self.shrunk is None else (self.source, self.shrunk.source)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the weights and of batch normalisation, in the result and in reports."""
        if self.allocation is not None:
            return (f"{self.source.name}: {self.allocation.said}", *self._normalised)
        if self.shrunk is not None:
            return (*self.shrunk.told(self.source.name), *self._normalised)
        if self.parts is None:
            return self._normalised
        return (
            f"{self.source.name} keeps {100 * self.density:.2f} % of the {self.counted}; the weights in the file are "
            f"composed of these, and so dense, and {self.parts.name} has what they are composed of",
            *self._normalised,
        )

    @property
    def _normalised(self) -> tuple[str, ...]:
        if self.recalibrated is not None:
            if not self.recalibrated:
                return (f"{self.source.name} has no batch normalisation that could be recalibrated",)
            return (f"batch normalisation of {self.source.name} was recalibrated: {_layers(self.recalibrated)}",)
        if not self.stale:
            return ()
        return (
            f"batch normalisation of {self.source.name} still has the statistics of the network before the cut "
            f"({_layers(self.stale)}), which may be much of the harm: --recalibrate estimates them anew",
        )


def run(
    dense: ModelSource,
    output: Path,
    recipe: Recipe,
    settings: Settings,
    *,
    source: DataSource | Dataset | None = None,
    export: Path | None = None,
    shrink: bool = False,
    state: Path | None = None,
    progress: Stages | None = None,
) -> Pruned:
    """Prune the network at ``dense`` into the file (or folder) ``output``, and ``export`` it to ONNX beside.

    To ``shrink`` it writes another ONNX file beside, in which filters that were cut are not there any more. Biases and
    normalisation in their channels are cut, too, then, in both files, and both answer alike.

    ``source`` are labelled data to train and score on. A training that is killed goes on where it stopped when the
    same run is started again; its state lies beside ``output`` meanwhile, or at ``state``, where it is left for the
    caller to remove. Where that is a folder, it is there under a name of the run's own.

    Raises:
        AuditError: the network cannot be read, cut, trained or written, data are missing, or do not fit.
    """
    check_output(dense.path, output)
    if shrink and not isinstance(recipe.grouped, patterns.Filters):
        raise UsageError(
            "--shrink takes whole filters out of a network, and other cuts leave hardly any filter without a weight",
            hint="cut whole filters: --pattern filters --exempt last",
        )
    if shrink and source is None:
        raise UsageError(
            "a smaller network is proven on samples to answer alike, and there are none",
            hint="give some with --data or --audit",
        )
    if shrink:
        shrinking.require()
    method = plugins.load("pruning", recipe.method)
    opened = models.editable(dense, settings)
    use(settings.threads)
    masks = masking.whole(opened.module, masking.prunable(opened.module, recipe.exempt))
    left = (*masking.left_whole(opened.module), *opened.card.uncounted)
    cut = Cut(
        scope=recipe.scope,
        seed=recipe.training.seed,
        weight_decay=recipe.training.weight_decay,
        pattern=recipe.grouped,
    )
    sides = {}
    if cut.pattern is not None:
        sides = patterns.sides(opened.module, tuple(masks), cut.pattern)  # before anything is trained
    allocation = None
    if recipe.allocate is not None:
        allocation = by_regions(opened.module, masks, recipe.share, recipe.training.seed)
        cut = replace(cut, counts=allocation.counts)
    if recipe.options is not None:
        if not isinstance(recipe.options, getattr(method, "OPTIONS", ())):
            raise UsageError(f"{recipe.method} has no such options: {recipe.options}", hint="give those of the method")
        cut = replace(cut, options=recipe.options)
    if hasattr(method, "start"):
        cut = method.start(opened.module, masks, cut)
    needs = method.NEEDS_DATA or recipe.training.epochs > 0 or recipe.recalibrate
    tells = hasattr(method, "tables")
    given = None
    if needs or export is not None or shrink:
        by = getattr(recipe.options, "by", "class")
        reading = settings if by == "class" else replace(settings, by=(by,))
        given = open_data(opened, recipe.training, require_data(recipe, source, trains=needs), reading, trains=needs)
    held = _state(output) if state is None else state
    channels = None
    if shrink and given is not None:
        samples = given.shown(shrinking.TRIED, recipe.training.seed)
        channels = shrinking.seen(opened, masks, sides, samples)
    before = {name: value.clone() for name, value in opened.module.state_dict().items()} if tells else {}
    masks, history, companion = _tuned(
        opened, masks, method, cut, recipe, given if needs else None, held, channels, progress
    )
    recalibrated = None
    if recipe.recalibrate and given is not None and given.examples is not None:
        recalibrated = recalibrate(opened.module, given.examples, seed=recipe.training.seed)
    tuned = recalibrated is not None or history or masking.kept(masks) == 1
    parts = _save_parts(companion, output) if isinstance(companion, Composed) else None
    tables = _tables(method, opened, before, masks, given, recipe, replace(cut, companion=companion)) if tells else ()
    made = replace(dense, name=_called(output), path=output, column=None)
    with ExitStack() as stack:
        less = None
        if channels is not None and given is not None:
            place = beside(output, "shrunk.onnx")
            written_to = stack.enter_context(targets.scratch(place)) / place.name
            samples = given.shown(PROVED, recipe.training.seed)
            less = proven(opened, channels, masks, samples, made.name, written_to, settings)
        write_tables(tables, output)
        opened.save(output)
        if less is not None:
            targets.move(less.source.path, place)
            less = replace(less, source=replace(less.source, path=place))
    if export is not None and given is not None:
        opened.export(given.reader.arrays(given.rows[:2]), export)
    # What was written holds the weights that were used and no others.
    card = models.load(made, replace(settings, state_key=())).card
    if state is None:
        targets.remove(held)
    return Pruned(
        source=made,
        card=card,
        density=masking.kept(masks),
        history=history,
        left=left,
        dead=_dead(opened.module, masks),
        counted=getattr(method, "COUNTED", WEIGHTS),
        parts=parts,
        tables=tables,
        shrunk=less,
        allocation=allocation,
        recalibrated=recalibrated,
        stale=() if tuned else tuple(normalising(opened.module)),
    )


def train(
    factory: str,
    output: Path,
    training: Training,
    settings: Settings,
    *,
    source: DataSource | Dataset,
    progress: Stages | None = None,
) -> tuple[Epoch, ...]:
    """Train the network that ``factory`` builds from nothing, and write its state dict to ``output``.

    The seed of ``training`` draws the first weights too. A training that is killed goes on, as in `run`.

    Raises:
        AuditError: the network cannot be built, trained or written, or the data do not fit.
    """
    import torch

    _check_folder(output)
    use(settings.threads)
    with targets.scratch(output) as folder:
        start = folder / output.name
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            with written(output):
                start.write_bytes(serialised.content(models.build(factory).state_dict()))
        opened = models.editable(ModelSource(name=output.stem, path=start, factory=factory), settings)
    given = open_data(opened, training, source, settings, trains=True, trained=False)
    assert given.examples is not None  # it trains
    _, history = train_loop.train(
        opened.module,
        {},
        given.examples,
        training,
        update=lambda _, masks: masks,
        held_out=given.held_out,
        resume=Resume(_state(output), _key(opened.card, training, given.dataset)),
        progress=progress("training") if progress is not None else None,
    )
    opened.save(output)
    targets.remove(_state(output))
    return history


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The data, as they are read; ``examples`` to train on and ``held_out`` ones where the network is to be run."""

    dataset: Dataset
    reader: training_data.Reader
    rows: Any  # (N,) to train on
    examples: Examples | None = None
    held_out: Examples | None = None

    def scored(self, samples: int | None, seed: int) -> Examples | None:
        """``samples`` of the examples, all where None."""
        if self.examples is None:
            return None
        import torch

        rows = training_data.subset(self.dataset.labels, self.rows, samples, seed)
        return replace(self.examples, rows=torch.from_numpy(rows))

    def shown(self, samples: int, seed: int) -> Mapping[str, Array]:
        """At most so many ``samples``, as the network takes them."""
        few = min(samples, len(self.rows))
        return self.reader.arrays(training_data.subset(self.dataset.labels, self.rows, few, seed))


def require_data(recipe: Recipe, source: DataSource | Dataset | None, *, trains: bool) -> DataSource | Dataset:
    """``source``. Raises `UsageError` where there is none."""
    if source is not None:
        return source
    named = {
        "a training": recipe.training.epochs > 0,
        "recalibration": recipe.recalibrate,
        f"the method {recipe.method}": trains,
    }
    what = next((each for each, asked in named.items() if asked), "an export")
    *first, last = (name for name, module in plugins.loaded("pruning") if not module.NEEDS_DATA)
    free = f"{', '.join(first)} and {last} need none without --epochs and --recalibrate"
    none = free if trains else "it is made by their shape"
    raise UsageError(f"{what} needs labelled training data, found none", hint=f"give them with --data; {none}")


def open_data(
    opened: models.Editable,
    training: Training,
    source: DataSource | Dataset,
    settings: Settings,
    *,
    trains: bool,
    trained: bool = True,
) -> Split:
    """The data at ``source``, split; ``trained`` says that the network knows its classes already."""
    import torch

    if trains:
        opened.require("trained")
    dataset = source
    if isinstance(dataset, DataSource):
        # Every epoch shows the same samples.
        dataset = Remembered(data.load(dataset, opened.source.expects, settings))
    reader = training_data.Reader(dataset, opened.card.name, opened.source.expects)
    seed, labels = training.seed, dataset.labels
    rows, held_out = training_data.split(labels, training.held_out if training.epochs else 0.0, seed)
    check_sample(settings, dataset.classes, labels, dataset.groups, complete=not dataset.indexed)
    if not trains:
        return Split(dataset=dataset, reader=reader, rows=rows)
    by = settings.by[0] if settings.by else "class"
    names, groups = strata(by, dataset.classes, labels, dataset.groups)
    examples = Examples(
        labels=torch.from_numpy(labels.astype("int64")),
        rows=torch.from_numpy(rows),
        read=training_data.as_tensors(reader, opened.tensors),
        forward=lambda _, inputs: opened.scores(inputs),
        size=training.batch_size,
        groups=Groups(names=names, of=torch.from_numpy(groups.astype("int64"))),
    )
    training_data.check(examples, dataset, opened.module, opened.card.name, seed, trained=trained)
    return Split(
        dataset=dataset,
        reader=reader,
        rows=rows,
        examples=examples,
        held_out=replace(examples, rows=torch.from_numpy(held_out)) if len(held_out) else None,
    )


def _tuned(
    opened: models.Editable,
    masks: Masks,
    method: ModuleType,
    cut: Cut,
    recipe: Recipe,
    given: Split | None,
    state: Path,
    channels: Shrinking | None,
    progress: Stages | None,
) -> tuple[Masks, tuple[Epoch, ...], Companion | None]:
    """The network cut, and trained where the recipe has epochs; the masks, how the epochs went, and what went along."""
    import torch

    module, training = opened.module, recipe.training
    lasting = getattr(method, "STRAIGHT_THROUGH", False)
    examples = given.examples if given is not None else None
    examples, own = _apart(examples, getattr(method, "OWN", 0.0) if training.epochs else 0.0, training.seed)
    steps = train_loop.steps(examples, training) if examples is not None else 0
    kind = recipe.schedule or (recipe.method if hasattr(method, "schedule") and steps else "one-shot")
    plan = schedules()[kind](recipe.share, steps=steps, rounds=recipe.rounds, seed=training.seed)
    due: dict[int, list[float]] = {}
    for step, density in plan:
        due.setdefault(step, []).append(density)

    scored = given.scored(recipe.samples, training.seed) if given is not None else None

    companion = None
    trains = training.epochs > 0 and examples is not None
    if hasattr(method, "accompany") and (trains or hasattr(method, "COUNTED")):
        course = Course(
            examples=examples if trains else None,
            own=own,
            preprocess=given.dataset.preprocess if given is not None else None,
            steps=steps,
            per_epoch=steps // max(1, training.epochs),
            until=plan[-1][0],
            density=recipe.share,
            lr=training.lr,
            seed=training.seed,
        )
        companion = method.accompany(module, masks, cut, course)
        cut = replace(cut, companion=companion)

    names = tuple(masks)

    def update(step: int, masks: Masks) -> Masks:
        for density in due.get(step, ()):
            masks = pruning.cut(method, module, {name: masks[name] for name in names}, density, scored, cut)
            if channels is not None:
                masks |= channels.along(module, masks)
            if not lasting:
                masking.apply(module, masks)
        return masks

    if channels is not None:
        masks = masks | channels.along(module, masks)
    if examples is None or given is None or not training.epochs:
        masks = update(0, masks)
        masking.apply(module, masks)
        if companion is not None:
            with torch.no_grad():
                companion.show()
        return {name: masks[name] for name in names}, (), companion
    key = _key(opened.card, recipe, given.dataset, shrinks=channels is not None)
    masks, history = train_loop.train(
        module,
        masks,
        examples,
        training,
        update=update,
        settled=plan[-1][0],
        held_out=given.held_out,
        straight_through=lasting,
        companion=companion,
        resume=Resume(state / f"{key}.resume" if state.is_dir() else state, key),
        progress=progress("training") if progress is not None else None,
    )
    return {name: masks[name] for name in names}, history, companion


def beside(output: Path, name: str) -> Path:
    """Where that goes which is written beside the network at ``output`` under its name and this ``name``."""
    return output.with_name(f"{_called(output)}.{name}")


def write_tables(tables: Sequence[Table], output: Path) -> None:
    """Write ``tables`` of a method beside the network at ``output``, each as CSV under its name.

    Raises:
        OutputError: one cannot be written.
    """
    for table in tables:
        reports.put(beside(output, f"{table.name}.csv"), as_csv(table), named=False)


def _called(output: Path) -> str:
    """What the network at ``output`` is called."""
    return output.stem if output.suffix else output.name


def _tables(
    method: ModuleType,
    opened: models.Editable,
    before: Mapping[str, torch.Tensor],
    masks: Masks,
    given: Split | None,
    recipe: Recipe,
    cut: Cut,
) -> tuple[Table, ...]:
    """What ``method`` tells of the ``masks``, shown the network with the weights that it had ``before``."""
    scored = given.scored(recipe.samples, recipe.training.seed) if given is not None else None
    after = {name: value.clone() for name, value in opened.module.state_dict().items()}
    opened.module.load_state_dict(before)
    try:
        told: tuple[Table, ...] = method.tables(opened.module, masks, scored, cut)
    finally:
        opened.module.load_state_dict(after)
    return told


def _dead(module: torch.nn.Module, masks: Masks) -> tuple[int, int]:
    """How many outputs have no weight left, and of how many, of the weights of ``masks`` whose outputs are known."""
    known = [(module.get_parameter(name).detach(), units.axes(module, name)) for name in masks]
    found = [(units.dead(weight, axes[0]), weight.shape[axes[0]]) for weight, axes in known if axes is not None]
    return sum(dead for dead, _ in found), sum(of for _, of in found)


def _save_parts(companion: Composed, output: Path) -> Path:
    """Write what weights are composed of beside ``output``."""
    import numpy as np

    parts = companion.parts()
    path = beside(output, "factors.npz")
    put(targets.unlinked(path), lambda made: np.savez_compressed(made, allow_pickle=False, **parts))
    return path


def _apart(examples: Examples | None, share: float, seed: int) -> tuple[Examples | None, Examples | None]:
    """The examples to train the weights on, and the ``share`` of them that is a companion's own."""
    import torch

    if examples is None or not share:
        return examples, None
    labels = examples.labels[examples.rows].numpy()
    theirs, own = (torch.from_numpy(at) for at in training_data.split(labels, share, seed))
    return replace(examples, rows=examples.rows[theirs]), replace(examples, rows=examples.rows[own])


def _layers(names: Sequence[str]) -> str:
    return f"{len(names)} layer{'s' if len(names) > 1 else ''}"


def _key(card: ModelCard, recipe: Recipe | Training, dataset: Dataset, *, shrinks: bool = False) -> str:
    """What tells one run from another: the network, the recipe, whether it ``shrinks``, and the data."""
    parts = [card.digest, card.factory, recipe, dataset.fingerprint(False), dataset.preprocess, shrinks]
    return hashlib.sha256(repr(parts).encode() + dataset.labels.astype("<i8").tobytes()).hexdigest()


def _state(output: Path) -> Path:
    """Where the state of a training lies."""
    return output.with_name(f"{output.name}.resume")


def use(threads: int | None) -> None:
    """Let torch run in so many threads, if there is a wish."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def _check_folder(output: Path) -> None:
    if not output.parent.is_dir():
        raise OutputError(f"{output} cannot be written: there is no folder {output.parent}", hint="make it first")


def check_output(dense: Path, output: Path) -> None:
    """Raise where a network cannot be written to ``output``, or where it is the ``dense`` one itself."""
    _check_folder(output)
    if output.exists() and dense.exists() and output.samefile(dense):
        raise UsageError(f"{output} is the dense model itself", hint="write the pruned one under another name")
    targets.target(output, folders=True)
