"""The story of a pruning run: load, cut, train, save; the search for the sparsest network that does no harm; and the
training of a network from nothing, for studies.

A method, a schedule and a training meet here and nowhere else: the schedule says before which step of the training the
method is asked for new masks. What is written is a network of the same kind that was read, with zeros in it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from prune_audit import data, models, plugins
from prune_audit.core import Audit, Dataset, DataSource, ModelCard, ModelSource, Settings
from prune_audit.errors import OutputError, UsageError
from prune_audit.evaluate.loop import Progress
from prune_audit.evaluate.remembered import Remembered
from prune_audit.pruning import Cut, Scope, _data, _masks, _schedule, _train, check_density
from prune_audit.pruning._examples import Examples
from prune_audit.pruning._resume import Resume
from prune_audit.pruning._schedule import Kind
from prune_audit.pruning._train import Epoch, Training

if TYPE_CHECKING:
    from prune_audit.pruning._masks import Masks

Stages = Callable[[str], Progress | None]

LOWEST = 0.01  # the density below which nobody looks without being asked
RATIO = 1.1  # the search ends where the next density would be this close


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is pruned.

    ``method`` is a plugin of the pruning room; ``density`` the share of weights to keep of the layers that may be cut,
    None where ``c_rates`` decide, as (pattern of names of layers, c_rate) of surgery. ``exempt`` as in
    `prune_audit.pruning._masks.prunable`. ``schedule`` and its ``rounds`` as in `prune_audit.pruning._schedule.plan`;
    None is the method's usual one. ``samples`` of the training data score, all where None.
    """

    method: str
    density: float | None = None
    scope: Scope = "global"
    exempt: tuple[str, ...] = ()
    c_rates: tuple[tuple[str, float], ...] = ()
    schedule: Kind | None = None
    rounds: int = 10
    samples: int | None = None
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if self.density is not None:
            check_density(self.density)
        elif not self.c_rates:
            raise UsageError("no density was given", hint="--density 0.1 keeps a tenth of the weights")
        for what, value in (("steps", self.rounds), ("samples to score", self.samples)):
            if value is not None and value < 1:
                raise UsageError(f"the number of {what} must be positive, found {value}", hint="see --help")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What came of a run. ``card`` is measured on the file that was written; ``density`` is the share kept of the
    weights that might be cut; ``history`` says how the epochs went; ``left`` names what may be weights, too, and could
    not be cut."""

    source: ModelSource
    card: ModelCard
    density: float
    history: tuple[Epoch, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The sparsest network that passed, None where none did; every (density, exit code) that was tried, in order; and
    the audit of the last one that did not pass, None where all did."""

    pruned: Pruned | None
    tried: tuple[tuple[float, int], ...]
    failed: Audit | None


def run(
    dense: ModelSource,
    output: Path,
    recipe: Recipe,
    settings: Settings,
    *,
    source: DataSource | Dataset | None = None,
    export: Path | None = None,
    progress: Stages | None = None,
) -> Pruned:
    """Prune the network at ``dense`` into the file (or folder) ``output``, and ``export`` it to ONNX beside.

    ``source`` are labelled data to train and score on. A training that is killed goes on where it stopped when the
    same run is started again; its state lies beside ``output`` meanwhile.

    Raises:
        AuditError: the network cannot be read, cut, trained or written, data are missing, or do not fit.
    """
    _check_output(dense.path, output)
    method = plugins.load("pruning", recipe.method)
    opened = models.editable(dense, settings)
    _use(settings.threads)
    masks = _masks.whole(opened.module, _masks.prunable(opened.module, recipe.exempt))
    left = (*_masks.left_whole(opened.module), *opened.card.uncounted)
    cut = Cut(scope=recipe.scope, seed=recipe.training.seed, weight_decay=recipe.training.weight_decay)
    if recipe.c_rates:
        cut = _fixed(method, opened, masks, cut, recipe)
    needs = method.NEEDS_DATA or recipe.training.epochs > 0
    given = None
    if needs or export is not None:
        given = _given(opened, recipe.training, _needed(recipe, source, trains=needs), settings, trains=needs)
    masks, history = _tuned(opened, masks, method, cut, recipe, given if needs else None, output, progress)
    opened.save(output)
    if export is not None and given is not None:
        opened.export(given.reader.arrays(given.rows[:2]), export)
    made = replace(dense, name=output.stem if output.suffix else output.name, path=output, column=None)
    # What was written holds the weights that were used and no others.
    card = models.load(made, replace(settings, state_key=())).card
    _state(output).unlink(missing_ok=True)
    return Pruned(source=made, card=card, density=_masks.kept(masks), history=history, left=left)


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
    _use(settings.threads)
    with _beside(output) as folder:
        start = Path(folder) / output.name
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            torch.save(models.build(factory).state_dict(), start)
        opened = models.editable(ModelSource(name=output.stem, path=start, factory=factory), settings)
    given = _given(opened, training, source, settings, trains=True, trained=False)
    assert given.examples is not None  # it trains
    _, history = _train.train(
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
    _state(output).unlink(missing_ok=True)
    return history


def until_harm(
    dense: ModelSource,
    output: Path,
    recipe: Recipe,
    settings: Settings,
    audited: Callable[[ModelSource], Audit],
    *,
    source: DataSource | Dataset | None = None,
    export: Path | None = None,
    progress: Stages | None = None,
) -> Search:
    """Search the sparsest network whose audit passes, by bisection of the logarithm of the density, and write it.

    The density of ``recipe`` is the lowest that is looked at. Each try is cut anew from the dense network at one blow,
    and trained where the recipe says so. That a sparser network does more harm is taken for granted, as in any
    bisection; that the last to pass was chosen by these very data is why it should be confirmed on others.

    Raises:
        UsageError: the recipe has a schedule of several cuts, or no density.
        AuditError: as `run`, and whatever ``audited`` raises.
    """
    if recipe.density is None or recipe.schedule not in (None, "one-shot"):
        raise UsageError(
            "the search for the sparsest network cuts at one blow, at densities of its own",
            hint="leave --schedule and --c-rate out, or give a --density without --until-harm",
        )
    _check_output(dense.path, output)
    low, high = recipe.density, 1.0
    tried: list[tuple[float, int]] = []
    best: Pruned | None = None
    failed: Audit | None = None
    with _beside(output) as folder:
        kept: Path | None = None
        while not tried or high / low > RATIO:
            density = math.sqrt(low * high)
            place = Path(folder) / str(len(tried))
            place.mkdir()
            step = replace(recipe, density=density, schedule="one-shot")
            made = run(dense, place / output.name, step, settings, source=source, export=None, progress=progress)
            audit = audited(made.source)
            tried.append((density, audit.exit_code))
            if audit.exit_code == 0:
                high, best, kept = density, made, place
            else:
                low, failed = density, audit
        if best is None or kept is None:
            return Search(pruned=None, tried=tuple(tried), failed=failed)
        for each in sorted(kept.iterdir(), key=lambda each: each.name == output.name):
            each.replace(output.parent / each.name)
    if export is not None:
        opened = models.editable(replace(dense, path=output), settings)
        given = _given(opened, recipe.training, _needed(recipe, source, trains=False), settings, trains=False)
        opened.export(given.reader.arrays(given.rows[:2]), export)
    where = replace(best.source, path=output)
    pruned = replace(best, source=where, card=replace(best.card, path=str(output)))
    return Search(pruned=pruned, tried=tuple(tried), failed=failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The data, as they are read; ``examples`` to train on and ``held_out`` ones where the network is to be run."""

    dataset: Dataset
    reader: _data.Reader
    rows: Any  # (N,) to train on
    examples: Examples | None = None
    held_out: Examples | None = None

    def scored(self, samples: int | None, seed: int) -> Examples | None:
        """``samples`` of the examples, all where None."""
        if self.examples is None:
            return None
        import torch

        rows = _data.subset(self.dataset.labels, self.rows, samples, seed)
        return replace(self.examples, rows=torch.from_numpy(rows))


def _needed(recipe: Recipe, source: DataSource | Dataset | None, *, trains: bool) -> DataSource | Dataset:
    """``source``. Raises `UsageError` where there is none."""
    if source is not None:
        return source
    what = "a training" if recipe.training.epochs else f"the method {recipe.method}" if trains else "an export"
    none = "magnitude, random and surgery need none without --epochs" if trains else "it is made by their shape"
    raise UsageError(f"{what} needs labelled training data, found none", hint=f"give them with --data; {none}")


def _given(
    opened: models.Editable,
    training: Training,
    source: DataSource | Dataset,
    settings: Settings,
    *,
    trains: bool,
    trained: bool = True,
) -> _Given:
    """The data at ``source``, split; ``trained`` says that the network knows its classes already."""
    import torch

    if trains:
        opened.require("trained")
    dataset = source
    if isinstance(dataset, DataSource):
        # Every epoch shows the same samples.
        dataset = Remembered(data.load(dataset, opened.source.expects, settings))
    reader = _data.Reader(dataset, opened.card.name, opened.source.expects)
    seed, labels = training.seed, dataset.labels
    rows, held_out = _data.split(labels, training.held_out if training.epochs else 0.0, seed)
    if not trains:
        return _Given(dataset=dataset, reader=reader, rows=rows)
    examples = Examples(
        labels=torch.from_numpy(labels.astype("int64")),
        rows=torch.from_numpy(rows),
        read=_data.as_tensors(reader, opened.tensors),
        forward=lambda _, inputs: opened.scores(inputs),
        size=training.batch_size,
    )
    _data.check(examples, dataset, opened.module, opened.card.name, seed, trained=trained)
    return _Given(
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
    given: _Given | None,
    output: Path,
    progress: Stages | None,
) -> tuple[Masks, tuple[Epoch, ...]]:
    """The network cut, and trained where the recipe has epochs; the masks, and how the epochs went."""
    module, training = opened.module, recipe.training
    lasting = getattr(method, "STRAIGHT_THROUGH", False)
    examples = given.examples if given is not None else None
    steps = _train.steps(examples, training) if examples is not None else 0
    kind = recipe.schedule or ("surgery" if lasting and steps else "one-shot")
    plan = _schedule.plan(kind, recipe.density or 1.0, steps=steps, rounds=recipe.rounds, seed=training.seed)
    due: dict[int, list[float]] = {}
    for step, density in plan:
        due.setdefault(step, []).append(density)

    scored = given.scored(recipe.samples, training.seed) if given is not None else None

    def update(step: int, masks: Masks) -> Masks:
        for density in due.get(step, ()):
            masks = method.update(module, masks, density, scored, cut)
            if not lasting:
                _masks.apply(module, masks)
        return masks

    if examples is None or given is None or not training.epochs:
        masks = update(0, masks)
        _masks.apply(module, masks)
        return masks, ()
    return _train.train(
        module,
        masks,
        examples,
        training,
        update=update,
        settled=plan[-1][0],
        held_out=given.held_out,
        straight_through=lasting,
        resume=Resume(_state(output), _key(opened.card, recipe, given.dataset)),
        progress=progress("training") if progress is not None else None,
    )


def _fixed(method: ModuleType, opened: models.Editable, masks: Masks, cut: Cut, recipe: Recipe) -> Cut:
    """``cut`` with the thresholds of the recipe's c_rates; of several patterns the last that fits a layer holds."""
    if not hasattr(method, "start"):
        raise UsageError(f"{recipe.method} has no thresholds to set", hint="--c-rate is for surgery; give a --density")
    rates: dict[str, float] = {}
    for name in masks:
        names = (name, name.rpartition(".")[0])
        fits = [rate for pattern, rate in recipe.c_rates if any(fnmatch.fnmatchcase(each, pattern) for each in names)]
        if not fits:
            raise UsageError(f"no c_rate was given for the layer {name}", hint="--c-rate 1 holds for all layers")
        rates[name] = fits[-1]
    found: Cut = method.start(opened.module, masks, cut, rates)
    return found


def _key(card: ModelCard, recipe: Recipe | Training, dataset: Dataset) -> str:
    """What tells one run from another: the network, the recipe and the data."""
    parts = [card.digest, card.factory, recipe, dataset.fingerprint(False), dataset.preprocess]
    return hashlib.sha256(repr(parts).encode() + dataset.labels.astype("<i8").tobytes()).hexdigest()


def _state(output: Path) -> Path:
    """Where the state of a training lies."""
    return output.with_name(f"{output.name}.resume")


def _use(threads: int | None) -> None:
    """Let torch run in so many threads, if there is a wish."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def _check_folder(output: Path) -> None:
    if not output.parent.is_dir():
        raise OutputError(f"{output} cannot be written: there is no folder {output.parent}", hint="make it first")


def _check_output(dense: Path, output: Path) -> None:
    _check_folder(output)
    if output.exists() and dense.exists() and output.samefile(dense):
        raise UsageError(f"{output} is the dense model itself", hint="write the pruned one under another name")
    if output.is_dir() and any(output.iterdir()):
        raise OutputError(f"{output} is a folder that is there already", hint="remove it, or write elsewhere")


def _beside(output: Path) -> TemporaryDirectory[str]:
    """A folder from which files can be renamed to ``output``."""
    try:
        return TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent)
    except OSError as fault:
        raise OutputError(f"{output} cannot be written: {fault.strerror}", hint="write elsewhere") from fault
