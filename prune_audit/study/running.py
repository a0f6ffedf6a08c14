"""The runs of a study: each dense network is trained once, pruned in every way, audited, and forgotten.

A run that is finished is a file, written whole, so whatever stops a study costs at most the run it was at, and of
that little, since a training goes on where it stopped. Each file says what it is a run of; one of another plan is
refused and never taken for this one. All runs of a dense network belong to one machine: those are what is split.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prune_audit import audit as auditing
from prune_audit import data, mitigate, models, plugins, prune
from prune_audit.core import WHOLE, Audit, Counts, Dataset, Expects, ModelSource, Settings, Shard, rows
from prune_audit.errors import AlignmentError, AuditError, ModelError, StudyError, UsageError
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.cache_key import source_digest
from prune_audit.evaluate.cached_dataset import Remembered
from prune_audit.files import target as targets
from prune_audit.nets import masking
from prune_audit.study import results, samples
from prune_audit.study.plan import Method, Network, Plan

DENSE, PRUNED, PREDICTIONS = "dense", "pruned", "predictions"  # folders beside `results.RUNS`


def run(
    plan: Plan,
    folder: Path,
    settings: Settings,
    *,
    shard: Shard = WHOLE,
    keep: bool = False,
    told: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Do all runs of the ``shard`` of ``plan`` that ``folder`` does not hold yet.

    A network that cannot be trained or audited (its loss is no number, it is right by chance) is a run that failed and
    not the end of the study. Pruned networks are removed after their audit unless ``keep``. ``told`` gets a line for
    every run, ``progress`` (runs done, of all).

    Raises:
        AuditError: as `units`; or the data cannot be read, or something cannot be written.
    """
    todo = units(plan, folder, settings, shard)
    total, done = sum(unit.of_all for unit in todo), 0
    for unit in todo:
        done += unit.of_all - len(unit.runs)
        if progress is not None:
            progress(done, total)
        why = unit.train(plan, folder, settings) if unit.runs else None
        unit.begin(plan, folder)
        for each in unit.runs:
            told(unit.do(each, why, plan, folder, settings, told, keep=keep))
            done += 1
            if progress is not None:
                progress(done, total)


def units(plan: Plan, folder: Path, settings: Settings, shard: Shard) -> tuple[Unit, ...]:
    """The dense networks of the ``shard`` of ``plan``, with what ``folder`` does not hold yet of their runs.

    Raises:
        UsageError: the shard is empty.
        StudyError: ``folder`` holds runs of another plan, or a method does not fit a network; nothing is written then.
        AuditError: the data cannot be read, a network cannot be built, or something cannot be written.
    """
    pairs = [(network, seed) for network in plan.networks for seed in plan.seeds]
    mine = [*enumerate(pairs, 1)][shard.number - 1 :: shard.of]
    if not mine:
        raise UsageError(
            f"part {shard.number} of {shard.of} has nothing to do: networks and seeds make {len(pairs)}",
            hint=f"--shard I/{len(pairs)} is the finest",
        )
    for _, (network, seed) in mine:
        if network.factory is None and not (path := network.checkpoint(seed).path).exists():
            raise ModelError(f"there is no checkpoint {path} of seed {seed}", hint="list the seeds that there are")
    givens: dict[str, _Given] = {}
    for _, (network, seed) in mine:
        if network.name not in givens:
            givens[network.name] = _Given.load(plan, network, seed, settings, [*givens.values()])
            _check_methods(plan, network, seed, settings)
    results.check(
        folder,
        {given.digest for given in givens.values()},
        {(name, method.name): given.plan(method) for name, given in givens.items() for method in plan.methods},
    )
    if plan.contrasts is not None:
        if (folder / results.RUNS).is_dir() and not (folder / results.ANNOUNCED).exists():
            raise StudyError(
                f"{folder} holds runs that were done before any contrasts were announced",
                hint="what is announced stands before the runs: write to another folder with -o",
            )
        results.announce(folder, plan.contrasts)
    return tuple(
        Unit.of(plan, Shard(number=at, of=len(pairs)), network, seed, folder, givens[network.name], settings)
        for at, (network, seed) in mine
    )


def _check_methods(plan: Plan, network: Network, seed: int, settings: Settings) -> None:
    """Find out before hours of training that a method cannot prune ``network``."""
    opened = models.editable(network.checkpoint(seed), settings) if network.factory is None else None
    module = opened.module if opened is not None else models.build(str(network.factory))
    for method in plan.methods:
        recipe = method.recipe
        try:
            masking.prunable(module, recipe.exempt)
            if opened is not None and (recipe.training.epochs or plugins.load("pruning", recipe.method).NEEDS_DATA):
                opened.require("trained")
        except AuditError as fault:
            raise StudyError(f"{network.name} by {method.name}: {fault.message}", hint=fault.hint) from fault


def long_tailed(labels: Counts, ratio: float) -> Counts:
    """Rows (R,) of ``labels`` (N,) of which the first class has ``ratio`` times as many as the last, sorted.

    Class c of C keeps n_max ratio^(-c / (C - 1)) of its samples, drawn by a fixed seed, as Cui et al. 2019 (arXiv
    1901.05555, section 5.1) make long-tailed CIFAR; one that has fewer keeps all.
    """
    counts = np.bincount(labels)
    last = max(1, len(counts) - 1)
    rng = np.random.default_rng(0)
    kept = []
    for c, count in enumerate(counts):
        wanted = min(int(count), max(1, round(counts.max() * ratio ** (-c / last))))
        kept.append(rng.permutation(np.flatnonzero(labels == c))[:wanted])
    return np.sort(np.concatenate(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The data as the networks of one factory take them.

    ``digest`` tells their samples and labels from others, ``start`` what the dense networks are made by. ``content`` is
    that of the samples, and on another machine may be another one: of large sets it goes by the times of files.
    """

    network: Network
    train: Dataset
    audit: Dataset
    digest: str
    start: str
    content: str

    @classmethod
    def load(cls, plan: Plan, network: Network, seed: int, settings: Settings, others: Sequence[_Given]) -> _Given:
        """What ``others`` have in memory already is not read again."""
        expects = Expects()
        if network.factory is None:
            expects = models.load(network.checkpoint(seed), settings).expects
        train: Dataset = data.load(plan.train, expects, settings)
        tail = long_tailed(train.labels, plan.long_tail) if plan.long_tail is not None else None
        sets: list[Dataset] = [Remembered(train, tail), Remembered(data.load(plan.audit, expects, settings))]
        fed = [each.preprocess for each in sets]
        for other in others:
            if [other.train.preprocess, other.audit.preprocess] == fed and network.factory and other.network.factory:
                sets = [other.train, other.audit]
        factory = network.factory or network.checkpoint(seed).factory
        made = [factory, source_digest(factory), plan.training if network.factory else None, fed]
        parts = [(each.classes, each.ids, each.labels.tolist()) for each in sets]
        return cls(
            network=network,
            train=sets[0],
            audit=sets[1],
            digest=_of(parts),
            start=_of(made),
            content=_of([each.fingerprint(False) for each in sets]),
        )

    def name_samples(self, folder: Path) -> None:
        """Write into ``folder`` which samples are audited, in the order in which runs keep what they said of them."""
        order = np.argsort(self.audit.labels, kind="stable")
        audit = self.audit
        results.put_audited(folder, [(audit.ids[row], audit.classes[audit.labels[row]]) for row in order])

    def plan(self, method: Method) -> str:
        """What all runs of ``method`` have in common, whatever their density and seed."""
        return _of([self.start, method.at(1.0, 0), *_mended(method)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that is to be done, and the file that it will be."""

    method: Method
    density: float
    record: Path
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One dense network, which lies at ``source`` or will, and the ``runs`` from it that are to be done ``of_all``.

    ``shard`` is that part of its plan, ``done`` are the files of the other runs.
    """

    shard: Shard
    given: _Given
    seed: int
    source: ModelSource
    key: str
    runs: tuple[Run, ...]
    done: tuple[Path, ...]

    @property
    def of_all(self) -> int:
        """How many runs there are from it, done or not."""
        return len(self.runs) + len(self.done)

    @classmethod
    def of(
        cls,
        plan: Plan,
        shard: Shard,
        network: Network,
        seed: int,
        folder: Path,
        given: _Given,
        settings: Settings,
    ) -> Unit:
        """Raises `StudyError` where ``folder`` holds one of these runs, or the network, made in another way."""
        if network.factory is None:
            source = network.checkpoint(seed)
            key = _of([models.load(source, settings).card.digest, given.start, given.digest, given.content])
        else:
            path = folder / DENSE / f"{network.name}-{seed}.pth"
            source = ModelSource(name=network.name, path=path, factory=network.factory)
            key = _of([given.start, given.digest, given.content, seed])
            results.is_done(path.with_suffix(".json"), key)
        every = [
            Run(
                method=method,
                density=density,
                record=results.place(folder, network.name, seed, method.name, density),
                key=_of([key, method.at(density, seed), *_mended(method)]),
            )
            for method in plan.methods
            for density in method.densities
        ]
        todo = tuple(each for each in every if not results.is_done(each.record, each.key))
        done = tuple(each.record for each in every if each not in todo)
        return cls(shard=shard, given=given, seed=seed, source=source, key=key, runs=todo, done=done)

    def begin(self, plan: Plan, folder: Path) -> None:
        """Write into ``folder`` what stands there beside the runs."""
        results.begin(folder, plan.title)
        self.given.name_samples(folder)

    def train(self, plan: Plan, folder: Path, settings: Settings) -> str | None:
        """Train the dense network unless it is there; why that cannot be done, None where it was."""
        network = self.given.network
        note = self.source.path.with_suffix(".json")
        if network.factory is None or (self.source.path.exists() and results.is_done(note, self.key)):
            return None
        training = replace(plan.training, seed=self.seed)
        path = _made(self.source.path, folder)
        try:
            history = prune.train(network.factory, path, training, settings, source=self.given.train)
        except ModelError as fault:
            return f"its dense network was not trained: {fault.message}"
        losses = [{"loss": epoch.loss, "held_out": epoch.held_out} for epoch in history]
        results.put(folder, note, {"key": self.key, "network": network.name, "seed": self.seed, "epochs": losses})
        return None

    def do(
        self,
        each: Run,
        why: str | None,
        plan: Plan,
        folder: Path,
        settings: Settings,
        told: Callable[[str], None],
        *,
        keep: bool,
    ) -> str:
        """Do one run, unless ``why`` says that it cannot be; a line that says what came of it."""
        network, seed, method, source = self.given.network.name, self.seed, each.method, self.source
        began = time.monotonic()
        # In a folder of its own, since some formats keep a part of the weights in a file beside.
        name = f"pruned{source.path.suffix}"
        made = _made(folder / PRUNED / network / str(seed) / each.record.stem / name, folder)
        found: dict[str, object] = {"failed": why}
        if why is None:
            try:
                recipe = method.at(each.density, seed)
                if method.mitigate is None:
                    pruned = prune.run(source, made, recipe, settings, source=self.given.train)
                else:
                    pruned = mitigate.apply(source, made, recipe, method.mitigate, settings, source=self.given.train)
                store = Store(targets.folder(folder / PREDICTIONS, within=folder), told=told)
                audit = auditing.run(source, [pruned.source], self.given.audit, settings, store=store)
                # From the store, where the audit has just put them.
                named = [
                    auditing.predict(model, self.given.audit, settings, store=store)[0]
                    for model in (source, pruned.source)
                ]
                called = samples.called(*named)
                found = {"failed": None, "achieved": pruned.density, **_measured(audit), "predicted": called}
            except (ModelError, AlignmentError) as fault:
                found = {"failed": fault.message}
        if not keep:
            shutil.rmtree(made.parent)
        factors = {"network": network, "seed": seed, "method": method.name, "density": each.density}
        place = [[n.name for n in plan.networks].index(network), plan.seeds.index(seed), plan.methods.index(method)]
        of = {"key": each.key, "plan": self.given.plan(method), "data": self.given.digest, "at": place}
        results.put(folder, each.record, {**of, **factors, **found, "seconds": round(time.monotonic() - began, 3)})
        return f"{network}, seed {seed}, {method.name} at {100 * each.density:g} %: {_said(found)}"


def _mended(method: Method) -> tuple[str, ...]:
    """What tells runs that are mended from others."""
    return () if method.mitigate is None else (method.mitigate,)


def _said(found: dict[str, object]) -> str:
    if found["failed"] is not None:
        return f"failed: {found['failed']}"
    run = found["run"]
    assert isinstance(run, dict)
    return f"accuracy {100 * run['accuracy']:.1f} %, worst class {100 * run['worst_recall']:.1f} %"


def _measured(audit: Audit) -> dict[str, object]:
    """What is kept of an audit: the model as a whole, its classes, which samples were right, and what it ran with."""
    names, by_class = rows.rows_of(audit.comparisons)
    (whole,) = rows.overall_of(audit.comparisons, audit.outcomes)
    classes = [{name: row.get(name) for name in names if name not in ("variant", "by")} for row in by_class]
    versions = dict(audit.provenance.versions)
    return {"run": whole, "classes": classes, "right": samples.of(audit), "versions": versions}


def _of(parts: object) -> str:
    """A digest of what is written out in full by `repr`."""
    return _digest(repr(parts).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _made(path: Path, study: Path) -> Path:
    """``path``, in a folder of the ``study`` that is there; no link that lies there is followed."""
    targets.folder(path.parent, within=study)
    return targets.unlinked(path)
