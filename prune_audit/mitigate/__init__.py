"""The story of a mitigation: mend a pruned network, make its controls, and judge all of them on data that none saw.

A number of one network says nothing of a mitigation: much of what it seems to do, tuning does as well, or tuning with
classes drawn equally often, or statistics of batch normalisation that fit the cut. So these controls are always made,
from the same pruned file, with the same data, epochs and seed, and what the mitigation does better or worse than each
of them stands beside it. Epochs are chosen alike for all that is tuned, by the largest drop of any group on held out
samples, so that the loss is the one thing in which they differ. The largest *excess* drop would not do: it is small,
too, of a network that fails on all groups alike.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit import audit as auditing
from prune_audit import data, gate, mitigations, models, plugins, prune
from prune_audit.core import (
    Array,
    Audit,
    Counts,
    Dataset,
    DataSource,
    Floats,
    Look,
    ModelCard,
    ModelSource,
    Policy,
    Predictions,
    Settings,
    Table,
)
from prune_audit.errors import DataError, ModelError, UsageError
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.cached_dataset import Remembered
from prune_audit.evaluate.predict import ask
from prune_audit.evaluate.sample import check as check_sample
from prune_audit.files import target as targets
from prune_audit.mitigate.controls import Made, look
from prune_audit.mitigations import Asked, Known, Mended, Objective, Subject, excess
from prune_audit.nets import masking, train_loop, training_data
from prune_audit.nets.editable import Editable, put
from prune_audit.nets.examples import Examples
from prune_audit.nets.gradients import untouched
from prune_audit.nets.recalibrate import normalising, recalibrate
from prune_audit.nets.resume import Resume
from prune_audit.nets.train_loop import Epoch, Training
from prune_audit.prune import Pruned, Recipe, Split, Stages
from prune_audit.tasks.classification import decided, right

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.masking import Masks

Bools: TypeAlias = npt.NDArray[np.bool_]

TUNED, BALANCED, RECALIBRATED = "tuned", "tuned-balanced", "recalibrated"
PRUNED = "pruned"
CONTROLS = (TUNED, BALANCED, RECALIBRATED)
"""The controls, beside the pruned file itself."""
NOISY = 128  # samples in a batch, below which the loss of a group is one of very few
OVERLAP = 0.01  # of the audited samples, which may also be trained on: copies between files that are meant to differ
LOOKED = 5000  # of the audited samples, at most, of which it is looked whether they are also trained on
CHUNK = 256  # samples that are read together
SEEN, SLACK = 20.0, 1e-3  # how far below the highest score others count, and how far apart equal scores may be


@dataclass(frozen=True, slots=True, kw_only=True)
class Mitigation:
    """What is to be done: ``method`` is a plugin of the mitigations' room; ``by`` what groups are, ``class`` or columns
    of the data. ``step`` and ``tolerance`` (in points) are as usual with the method where None; ``options`` are its own
    (`OPTIONS`). ``training`` is that of a method that trains, and says what is held out. ``same_data`` lets the data
    that are trained and judged on be the same."""

    method: str
    by: str = "class"
    step: float | None = None
    tolerance: float | None = None
    options: Any = None
    training: Training = field(default_factory=Training)
    same_data: bool = False

    def asked(self) -> Asked:
        """What the plugin is told. Raises `UsageError` where it does not take that."""
        module = plugins.load("mitigations", self.method)
        if mitigations.trains(module) and not self.training.epochs:
            raise UsageError(
                f"{self.method} trains, and no epochs were given", hint=f"--epochs {mitigations.EPOCHS}, say"
            )
        if not mitigations.trains(module) and self.training.epochs:
            raise UsageError(f"{self.method} trains nothing, and epochs were given", hint="leave out --epochs")
        if mitigations.trains(module) and not self.training.held_out:
            raise UsageError(
                f"{self.method} chooses an epoch by held out samples, and none are to be held out",
                hint="--hold-out .1 is usual",
            )
        return mitigations.asked(self.method, self.step, self.tolerance, self.options, self.training.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mitigated:
    """What came of it. ``audit`` is of the network that was written, against the dense one, with a `Look` at it beside
    the pruned one and the controls; it was ``changed``, or is the pruned one as it was."""

    source: ModelSource
    changed: bool
    audit: Audit

    def table(self, name: str) -> Table:
        """One of the tables of that look. Raises `KeyError` where there is none."""
        for each in self.audit.comparisons[0].looks[-1].tables:
            if each.name == name:
                return each
        raise KeyError(name)

    def controls(self) -> Table:
        """The mended network, the pruned one and the controls, a row each, with all that is known of each."""
        one, other = self.table("networks"), self.table("harm")
        rows = tuple((*row, *more[1:]) for row, more in zip(one.rows, other.rows, strict=True))
        return replace(one, fields=(*one.fields, *other.fields[1:]), rows=rows, drawn=())


def run(
    dense: ModelSource,
    pruned: ModelSource,
    output: Path,
    mitigation: Mitigation,
    settings: Settings,
    *,
    source: DataSource,
    audited: DataSource,
    policy: Policy | None = None,
    store: Store | None = None,
    progress: Stages | None = None,
) -> Mitigated:
    """Mend the ``pruned`` network into the file (or folder) ``output``, and judge it and its controls.

    It learns from the data at ``source`` alone, and all are judged on those at ``audited``, by ``policy`` where there
    is one. What was cut stays cut. Trainings that are killed go on where they stopped when the same run is started
    again, and none that is finished is done twice; their states lie beside ``output`` meanwhile.

    Raises:
        AuditError: a network cannot be read, trained or written, the data are the same or do not fit, there is one
            group alone, or the method does not do for the network.
    """
    prune.check_output(dense.path, output)
    if output.exists() and pruned.path.exists() and output.samefile(pruned.path):
        raise UsageError(f"{output} is the pruned model itself", hint="write the mended one under another name")
    asked, module = mitigation.asked(), plugins.load("mitigations", mitigation.method)
    prune.use(settings.threads)
    pruned, taken = models.with_factory(pruned, dense, settings)
    work, judged = _begun(dense, pruned, output, mitigation, settings, source, audited, store, progress)
    with targets.scratch(output) as folder:
        (place := folder / "made").mkdir()
        made = place / output.name
        if mitigations.trains(module):
            objective = module.objective(work.known(), asked)
            done = work.tuned(made, mitigation.training, objective, stage=mitigation.method)
            done = replace(done, multipliers=tuple(objective.multipliers))
        else:
            done = work.mended(made, module.mend, asked)
        own = getattr(module, "CONTROL", None)
        controls = work.controls(folder, output.suffix, own, trains=mitigations.trains(module))
        targets.move(made, output)
        final = replace(pruned, name=output.stem if output.suffix else output.name, path=output)
        whole = auditing.run(dense, [final, *controls], judged, work.settings, store=store, progress=progress)
    work.forget()
    made_all, notes = [done, *controls.values()], (*taken, *work.notes)
    alone = _alone(whole, look(whole, mitigation.by, made_all, notes, mitigation.training.seed))
    return Mitigated(source=final, changed=done.changed, audit=alone if policy is None else gate.judge(alone, policy))


def prune_and_run(
    dense: ModelSource,
    output: Path,
    recipe: Recipe,
    mitigation: Mitigation,
    settings: Settings,
    *,
    source: DataSource,
    audited: DataSource,
    policy: Policy | None = None,
    store: Store | None = None,
    progress: Stages | None = None,
) -> tuple[Pruned, Mitigated]:
    """Prune the ``dense`` network and mend what comes of it, as `run` does, into the file (or folder) ``output``.

    The epochs of ``recipe`` are those of a mitigation that trains, and of its controls, behind a cut at one blow; they
    tune the pruned network before any other mitigation.

    Raises:
        UsageError: the recipe cuts while it trains, and the mitigation trains.
        AuditError: as `prune_audit.prune.run` and `run`.
    """
    prune.check_output(dense.path, output)
    if (counted := getattr(plugins.load("pruning", recipe.method), "COUNTED", None)) is not None:
        raise UsageError(
            f"{recipe.method} leaves zeros among {counted} and not among weights, and a mitigation keeps only those",
            hint="leave out --mitigate: tune by --epochs, or mend what another method cut",
        )
    training, cut = recipe.training, recipe
    if mitigations.trains(plugins.load("mitigations", mitigation.method)):
        if recipe.schedule not in (None, "one-shot"):
            raise UsageError(
                f"{mitigation.method} trains behind a cut at one blow, and --schedule {recipe.schedule} cuts meanwhile",
                hint="prune with the schedule first, and give what comes of it to prune-audit mitigate",
            )
        cut = replace(recipe, schedule="one-shot", training=replace(training, epochs=0))
    else:
        training = replace(training, epochs=0)
    mitigation = replace(mitigation, training=training)
    mitigation.asked()  # before anything is cut
    with targets.scratch(output) as folder:
        place = folder / f"pruned{output.suffix}"
        kept = _state(output, PRUNED)
        pruned = prune.run(dense, place, cut, settings, source=source, state=kept, progress=progress)
        done = run(
            dense,
            pruned.source,
            output,
            mitigation,
            settings,
            source=source,
            audited=audited,
            policy=policy,
            store=store,
            progress=progress,
        )
    prune.write_tables(pruned.tables, output)
    targets.remove(kept)
    return pruned, done


def apply(
    dense: ModelSource,
    output: Path,
    recipe: Recipe,
    method: str,
    settings: Settings,
    *,
    source: Dataset,
) -> Pruned:
    """Prune the ``dense`` network, and mend what comes of it into the file ``output``, without judging it: for studies.

    ``method`` is a mitigation, or one of the `CONTROLS`, which a study has as methods of their own. Epochs are as in
    `prune_and_run`; what trains nothing and is no control needs them to tune before.

    Raises:
        AuditError: as `run`.
    """
    trains = method in (TUNED, BALANCED) or (
        method != RECALIBRATED and mitigations.trains(plugins.load("mitigations", method))
    )
    cut = replace(recipe, schedule="one-shot", training=replace(recipe.training, epochs=0)) if trains else recipe
    training = recipe.training if trains else replace(recipe.training, epochs=0)
    mitigation = Mitigation(method=method, training=training)
    with targets.scratch(output) as folder:
        place, kept = folder / f"pruned{output.suffix}", _state(output, PRUNED)
        pruned = prune.run(dense, place, cut, settings, source=source, state=kept)
        card = models.load(dense, settings).card
        work = _Work.of(dense, card, pruned.source, output, mitigation, settings, source)
        if method in (TUNED, BALANCED):
            work.tuned(output, replace(training, balanced=method == BALANCED), stage=method)
        elif method == RECALIBRATED:
            opened, given = work.opened(training, runs=True)
            assert given.examples is not None  # it runs
            recalibrate(opened.module, given.examples, seed=training.seed)
            opened.save(output)
        else:
            module, asked = plugins.load("mitigations", method), mitigation.asked()
            if trains:
                work.tuned(output, training, module.objective(work.known(), asked), stage=method)
            else:
                work.mended(output, module.mend, asked)
        work.forget()
    targets.remove(kept)
    return replace(pruned, source=replace(pruned.source, path=output))


def _begun(
    dense: ModelSource,
    pruned: ModelSource,
    output: Path,
    mitigation: Mitigation,
    settings: Settings,
    source: DataSource,
    audited: DataSource,
    store: Store | None,
    progress: Stages | None,
) -> tuple[_Work, Dataset]:
    """All of it loaded, and seen to fit before anything takes long, with the data to judge on. Raises as `run`."""
    opened, whole = models.editable(pruned, settings), models.load(dense, settings)
    _check_fit(whole.card, opened.card)
    expects = auditing.merge([(each.card.name, each.expects) for each in (whole, opened.source)])
    learnt = Remembered(data.load(source, expects, settings))
    judged = Remembered(data.load(audited, expects, settings))
    settings = replace(settings, by=() if mitigation.by == "class" else (mitigation.by,))
    for each in (learnt, judged):
        check_sample(settings, each.classes, each.labels, each.groups, complete=not each.indexed)
    if not mitigation.same_data and learnt.fingerprint(False) == judged.fingerprint(False):
        raise _same(len(judged.labels), len(judged.labels), learnt, judged)
    auditing.trial(dense, [pruned], judged, settings)
    work = _Work.of(dense, whole.card, pruned, output, mitigation, settings, learnt, store=store, progress=progress)
    if not mitigation.same_data:
        work = replace(work, notes=(*_check_apart(work.dense, learnt, judged, settings.seed), *work.notes))
    return work, judged


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """The pruned network and the data, as they are shown to all that is made. ``dense`` are the dense model's
    predictions on the data to learn from, ``groups`` (M,) of these are positions in ``names``."""

    pruned: ModelSource
    output: Path
    key: str  # of all that trainings have in common
    method: str
    runs: bool  # in torch
    training: Training
    settings: Settings
    learnt: Dataset
    dense: Predictions
    groups: Counts
    names: tuple[str, ...]
    progress: Stages | None
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        dense: ModelSource,
        card: ModelCard,
        pruned: ModelSource,
        output: Path,
        mitigation: Mitigation,
        settings: Settings,
        learnt: Dataset,
        *,
        store: Store | None = None,
        progress: Stages | None = None,
    ) -> _Work:
        """See how the ``dense`` model of that ``card`` does on the data to learn from, ``learnt``. Raises as `run`."""
        opened = models.editable(pruned, settings)
        predictions, _ = auditing.predict(dense, learnt, settings, store=store)
        if predictions.ids != learnt.ids:
            raise DataError(f"{learnt.path} has samples that cannot be read", hint="repair or remove them")
        names, groups = predictions.strata(mitigation.by)
        there = np.unique(groups)
        if len(there) < 2:
            raise UsageError(
                f"--by {mitigation.by}: all samples of {learnt.path} are of one group, so there is nothing to equalise",
                hint="choose another column, or leave --by out to go by class",
            )
        notes: tuple[str, ...] = ()
        if opened.card.density == 1:
            notes += (f"{opened.card.name} has no zeros among its weights: is it the pruned network?",)
        training = mitigation.training
        if training.epochs and training.batch_size < NOISY and not training.balanced:
            notes += (
                f"batches of {training.batch_size} samples hold few of each group, so their losses are noise: "
                f"--balanced, or --batch-size {NOISY}, is better",
            )
        shown = [learnt.fingerprint(False), learnt.preprocess, names]
        # Of the dense model its file and not its scores, whose last bits go with the size of batches.
        files = [part for each in (opened.card, card) for part in (each.digest, each.factory)]
        key = hashlib.sha256(repr([*files, mitigation, shown]).encode())
        for array in (predictions.labels, groups):
            key.update(np.ascontiguousarray(array).tobytes())
        return cls(
            pruned=pruned,
            output=output,
            key=key.hexdigest(),
            method=mitigation.method,
            runs=opened.classifier is not None,
            training=training,
            settings=settings,
            learnt=learnt,
            dense=predictions,
            groups=np.searchsorted(there, groups),
            names=tuple(names[at] for at in there),
            progress=progress,
            notes=notes,
        )

    @property
    def before(self) -> Bools:
        """On which samples (M,) the dense model is right."""
        return right(self.dense.models[0].predicted, self.dense.labels)

    def opened(self, training: Training, *, runs: bool) -> tuple[Editable, Split]:
        """The pruned network, read anew, and the data as it takes them; without epochs nothing is held out."""
        opened = models.editable(self.pruned, self.settings)
        # Whether classes and labels fit was asked of the dense model: a pruned one may well be right by chance.
        return opened, prune.open_data(opened, training, self.learnt, self.settings, trains=runs, trained=False)

    def known(self) -> Known:
        """What an objective may know."""
        import torch

        true = self.dense.models[0].true_score
        if true is None:
            raise ModelError(
                f"{self.dense.models[0].name} gives no scores that tell how sure it is",
                hint="give a dense model whose scores are logits or probabilities (--scores)",
            )
        _, given = self.opened(self.training, runs=True)
        return Known(
            groups=torch.from_numpy(self.groups),
            names=self.names,
            rows=torch.from_numpy(given.rows),
            right=torch.from_numpy(self.before),
            true=torch.from_numpy(np.asarray(true, np.float64)),
        )

    def tuned(self, path: Path, training: Training, objective: Objective | None = None, *, stage: str) -> Made:
        """The pruned network trained into the file at ``path``, with what was cut held at zero."""
        opened, given = self.opened(training, runs=True)
        masks, named = _uncut(opened.module), stage if stage == self.method else f"control: {stage}"
        held_out = given.held_out
        assert given.examples is not None
        assert held_out is not None
        _, history = train_loop.train(
            opened.module,
            masks,
            given.examples,
            training,
            update=lambda _, masks: masks,
            held_out=held_out,
            objective=objective,
            judged=lambda: self.worst(opened, held_out),
            resume=Resume(_state(self.output, stage), f"{self.key} {stage}"),
            progress=self.progress(named) if self.progress is not None else None,
        )
        _check_cut(opened.module, masks)
        opened.save(path)
        return Made(epoch=_chosen(history), trained=self.excess(opened, given.examples))

    def forget(self) -> None:
        """Remove the states of all trainings, which nothing needs any more."""
        for stage in (self.method, TUNED, BALANCED):
            targets.remove(_state(self.output, stage))

    def mended(self, path: Path, mend: Callable[[Subject, Asked], Mended], asked: Asked) -> Made:
        """What ``mend`` makes of the pruned network, written to ``path``; its own file where nothing was changed."""
        opened, given = self.opened(replace(self.training, epochs=0), runs=self.runs)
        shown = given.reader.arrays(given.rows[:CHUNK])
        expected: list[Floats] = []

        def shift(offsets: Floats) -> None:
            expected.append(_scores(opened, shown) + offsets)
            opened.shift(offsets, shown)

        masks = _uncut(opened.module)
        done = mend(
            Subject(
                opened=opened,
                training=given.examples,
                held_out=training_data.split(self.dense.labels, self.training.held_out, self.training.seed)[1],
                classes=self.dense.classes,
                labels=self.dense.labels,
                groups=self.groups,
                names=self.names,
                right=self.before,
                scores=lambda rows: np.concatenate([_scores(opened, given.reader.arrays(r)) for r in _parts(rows)]),
                shift=shift,
            ),
            asked,
        )
        if not done.changed:
            self._copy(path)
            return Made(changed=False, said=done.said)
        _check_cut(opened.module, masks)
        opened.save(path)
        if expected:
            written = models.editable(
                replace(self.pruned, path=path, column=None), replace(self.settings, state_key=())
            )
            _check_same(_scores(written, shown), expected[-1], path)
        return Made(said=done.said, trained=None if given.examples is None else self.excess(opened, given.examples))

    def controls(self, folder: Path, suffix: str, own: str | None, *, trains: bool) -> dict[ModelSource, Made]:
        """The pruned file itself and the controls, which are written into ``folder``, but for what is the method's
        ``own`` result."""
        opened, given = self.opened(replace(self.training, epochs=0), runs=self.runs)
        share = self.training.held_out if self.training.epochs else 0.0
        learnt = training_data.split(self.dense.labels, share, self.training.seed)[0]

        def trained() -> float | None:
            import torch

            if given.examples is None:
                return None
            return self.excess(opened, replace(given.examples, rows=torch.from_numpy(learnt)))

        def at(name: str) -> ModelSource:
            return replace(self.pruned, name=name, path=folder / f"{name}{suffix}", column=None)

        made = {self.pruned: Made(trained=trained())}
        if given.examples is not None and normalising(opened.module) and own != RECALIBRATED:
            recalibrate(opened.module, given.examples, seed=self.training.seed)
            opened.save((place := at(RECALIBRATED)).path)
            made[place] = Made(trained=trained())
        for name, balanced in ((TUNED, False), (BALANCED, True)) if trains else ():
            training = replace(self.training, balanced=balanced)
            made[place] = self.tuned((place := at(name)).path, training, stage=name)
        return made

    def hits(self, opened: Editable, examples: Examples) -> Bools:
        """On which of ``examples`` (N,) the network is right in evaluation mode; modes are left as they are."""
        import torch

        with untouched(opened.module), torch.no_grad():
            found = [decided(examples.forward(opened.module, inputs).cpu().numpy()) for inputs, _ in examples]
        return right(np.concatenate(found), self.dense.labels[examples.rows.numpy()])

    def worst(self, opened: Editable, examples: Examples) -> float:
        """The largest drop of any group on ``examples``, as a share."""
        rows = examples.rows.numpy()
        drop = self.before[rows].astype(np.float64) - self.hits(opened, examples)
        n = np.bincount(self.groups[rows], minlength=len(self.names))
        return float((np.bincount(self.groups[rows], drop, len(self.names))[n > 0] / n[n > 0]).max())

    def excess(self, opened: Editable, examples: Examples) -> float:
        """The largest excess drop on ``examples``, as a share."""
        rows = examples.rows.numpy()
        found = excess(self.before[rows], self.hits(opened, examples), self.groups[rows], len(self.names))
        return float(np.nanmax(found))

    def _copy(self, path: Path) -> None:
        """The pruned network as it is, byte for byte where it is one file without other sets of weights."""
        source = self.pruned.path
        opened = models.editable(self.pruned, self.settings)
        if source.is_file() and source.stat().st_size == opened.card.size and not self.settings.state_key:
            put(path, partial(_copied, source))
        else:
            opened.save(path)


def _copied(source: Path, made: Path) -> None:
    shutil.copyfile(source, made)


def _chosen(history: Sequence[Epoch]) -> str:
    """Which epoch was chosen, from 1 on, of how many."""
    order = [(each.judged or 0.0, each.held_out or 0.0) for each in history]
    return f"{order.index(min(order)) + 1} of {len(order)}"


def _state(output: Path, stage: str) -> Path:
    """Where the state of a training for ``output`` lies."""
    return output.with_name(f"{output.name}.{stage}.resume")


def _check_fit(dense: ModelCard, pruned: ModelCard) -> None:
    """Refuse a ``pruned`` model that is none of ``dense``; of files of two formats names tell nothing."""
    if dense.layers and pruned.layers and pruned.nonzero > dense.nonzero:
        raise UsageError(
            f"the pruned model {pruned.name} keeps {pruned.nonzero:,} weights, and {dense.name} only {dense.nonzero:,}",
            hint="the dense model comes first: prune-audit mitigate DENSE PRUNED",
        )
    if dense.format != pruned.format:
        return
    shapes = {layer.name: layer.shape for layer in dense.layers}
    for layer in pruned.layers:
        if shapes.get(layer.name) != layer.shape:
            found = "none of that name" if layer.name not in shapes else f"{shapes[layer.name]}"
            raise ModelError(
                f"{layer.name} of {pruned.name} is {layer.shape}, of {dense.name} {found}",
                hint="give a dense and a pruned network of one architecture",
            )


def _check_apart(seen: Predictions, learnt: Dataset, judged: Dataset, seed: int) -> tuple[str, ...]:
    """What is to be said of samples that are in both data, ``seen`` being all that is learnt from; of many that are
    judged some are drawn. Raises `UsageError` where they are the same ones."""
    rows = np.arange(len(judged.labels))
    if len(rows) > LOOKED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, LOOKED, replace=False))
    both = sum(int(np.isin(judged.read(part).digests, seen.digests).sum()) for part in _parts(rows))
    if both > OVERLAP * len(rows):
        raise _same(both, len(rows), learnt, judged)
    return (f"{both:,} of {len(rows):,} samples of --audit are in --data, too",) if both else ()


def _same(both: int, of: int, learnt: Dataset, judged: Dataset) -> UsageError:
    """The error where ``both`` ``of`` the samples that are judged were learnt from."""
    drawn = "" if of == len(judged.labels) else f" that were drawn of {len(judged.labels):,}"
    return UsageError(
        f"{both:,} of the {of:,} samples of {judged.path}{drawn} are in {learnt.path}, too, so they would judge what "
        "was learnt from them",
        hint="give other samples with --audit, or where it is meant so --same-data to prune-audit mitigate",
    )


def _uncut(module: torch.nn.Module) -> Masks:
    """Masks of what was not cut: those of the weights that may be cut which are not zero."""
    return {name: module.get_parameter(name).detach() != 0 for name in masking.prunable(module)}


def _check_cut(module: torch.nn.Module, masks: Masks) -> None:
    """Make sure that what was zero is zero, bit for bit."""
    for name, mask in masks.items():
        if bool((module.get_parameter(name).detach()[~mask] != 0).any()):
            raise AssertionError(f"a weight of {name} that was cut has come back")


def _scores(opened: Editable, arrays: Mapping[str, Array]) -> Floats:
    """The scores (B, C) of a network for the inputs ``arrays``, as logits or log-probabilities.

    Raises:
        ModelError: they are neither.
    """
    if opened.classifier is not None:
        import torch

        with untouched(opened.module), torch.no_grad():
            found: Floats = opened.scores(opened.tensors(arrays)).double().cpu().numpy()
        return found
    scores = ask(opened.source, arrays)
    comes = opened.source.activation(arrays)
    if scores.ndim != 2 or comes not in ("linear", "softmax", "log-softmax"):
        raise ModelError(
            f"{opened.card.path}: expected logits or the softmax of some, found what comes out of {comes or 'neither'}",
            hint="export the network so that its output is its logits, of shape (batch, classes)",
        )
    logs: Floats = scores.astype(np.float64)
    return np.log(np.maximum(logs, np.finfo(np.float64).tiny)) if comes == "softmax" else logs


def _check_same(found: Floats, expected: Floats, path: Path) -> None:
    """See that what was written gives the scores that are ``expected`` (B, C), up to a number a row."""
    apart = found - expected
    if found.shape[1] > 1:
        apart = apart - np.median(apart, axis=1, keepdims=True)
    # The least of a softmax may be 0, whose logarithm tells nothing; they decide no class either.
    near = expected > expected.max(1, keepdims=True) - SEEN
    if np.abs(apart[near]).max() > SLACK * max(1.0, float(np.abs(expected[near]).max())):
        raise ModelError(
            f"{path.name} does not give the scores that its offsets should",
            hint="give the network as logits, without steps behind its last layer",
        )


def _parts(rows: Counts) -> list[Counts]:
    return np.array_split(rows, max(1, -(-len(rows) // CHUNK)))


def _alone(whole: Audit, seen: Look) -> Audit:
    """The first variant of an audit by itself, with what was ``seen`` of it beside the others."""
    first = replace(whole.comparisons[0], looks=(seen,))
    kept = None
    if whole.samples is not None:
        names = (first.dense.name, first.pruned.name)
        kept = replace(whole.samples, right={n: hits for n, hits in whole.samples.right.items() if n in names})
    return replace(whole, comparisons=(first,), samples=kept)
