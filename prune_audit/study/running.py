"""The runs of a study: each dense network is trained once, pruned in every way, audited, and forgotten.

A run that is finished is a file, written whole, so whatever stops a study costs at most the run it was at, and of
that little, since a training goes on where it stopped. Each file says what it is a run of; one of another plan is
refused and never taken for this one. All runs of a dense network belong to one machine: those are what is split.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prune_audit import audit as auditing
from prune_audit import data, models, prune, rows
from prune_audit.core import Audit, Counts, Dataset, Expects, ModelSource, Settings
from prune_audit.errors import AlignmentError, ModelError, OutputError
from prune_audit.evaluate.identity import source_digest
from prune_audit.evaluate.remembered import Remembered
from prune_audit.evaluate.store import Store
from prune_audit.study import results
from prune_audit.study.plan import Network, Plan

DENSE, PRUNED, PREDICTIONS = "dense", "pruned", "predictions"  # folders beside `results.RUNS`


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The part ``number`` of ``of`` equal ones, from 1 on."""

    number: int = 1
    of: int = 1


def run(
    plan: Plan,
    folder: Path,
    settings: Settings,
    *,
    shard: Shard = Shard(),
    keep: bool = False,
    told: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Do all runs of the ``shard`` of ``plan`` that ``folder`` does not hold yet.

    A network that cannot be trained or audited (its loss is no number, it is right by chance) is a run that failed and
    not the end of the study. Pruned networks are removed after their audit unless ``keep``. ``told`` gets a line for
    every run, ``progress`` (runs done, of all).

    Raises:
        StudyError: ``folder`` holds runs of another plan.
        AuditError: the data cannot be read, a network cannot be built, or something cannot be written.
    """
    units = [(network, seed) for network in plan.networks for seed in plan.seeds][shard.number - 1 :: shard.of]
    total, done = len(units) * sum(len(method.densities) for method in plan.methods), 0
    _check_there(units)
    given: _Given | None = None
    for network, seed in units:
        if given is None or given.network is not network:
            given = _Given.load(plan, network, seed, settings)
            results.name(folder, plan.title)  # all fits, so the folder is made
        for line in _unit(plan, network, seed, folder, settings, given, keep=keep):
            done += 1
            if line:
                told(line)
            if progress is not None:
                progress(done, total)


def _check_there(units: Sequence[tuple[Network, int]]) -> None:
    """Raise `ModelError` where a checkpoint that is given is missing."""
    for network, seed in units:
        if network.factory is None and not (path := network.checkpoint(seed).path).exists():
            raise ModelError(f"there is no checkpoint {path} of seed {seed}", hint="list the seeds that there are")


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
    """The data as the networks of one factory take them, and what tells them from others."""

    network: Network
    train: Dataset
    audit: Dataset
    digest: str

    @classmethod
    def load(cls, plan: Plan, network: Network, seed: int, settings: Settings) -> _Given:
        expects = Expects()
        if network.factory is None:
            expects = models.load(network.checkpoint(seed), settings).expects
        else:
            models.build(network.factory)  # so that what it raises ends the study before it began
        train: Dataset = data.load(plan.train, expects, settings)
        rows = long_tailed(train.labels, plan.long_tail) if plan.long_tail is not None else None
        train, audit = Remembered(train, rows), Remembered(data.load(plan.audit, expects, settings))
        parts = [(each.fingerprint(False), each.preprocess, _digest(each.labels.tobytes())) for each in (train, audit)]
        return cls(network=network, train=train, audit=audit, digest=_digest(repr(parts).encode()))


def _unit(
    plan: Plan, network: Network, seed: int, folder: Path, settings: Settings, given: _Given, *, keep: bool
) -> Iterator[str]:
    """Do the runs of one dense network; a line for each that was done, an empty one for each that was there."""
    source, key = _dense(plan, network, seed, folder, given)
    store = Store(folder / PREDICTIONS)
    todo = []
    for method in plan.methods:
        for density in method.densities:
            recipe = method.at(density, seed)
            record = results.place(folder, network.name, seed, method.name, density)
            own = _digest(repr((key, recipe)).encode())
            if results.is_done(record, own):
                yield ""
            else:
                todo.append((record, own, method, recipe))
    if not todo:
        return
    why = _train(plan, network, seed, source, key, settings, given)
    place = plan.networks.index(network), plan.seeds.index(seed)
    for record, own, method, recipe in todo:
        began = time.monotonic()
        factors: dict[str, object] = {"network": network.name, "seed": seed, "method": method.name}
        factors |= {"density": recipe.density, "at": [*place, plan.methods.index(method)]}
        # In a folder of its own, since some formats keep a part of the weights in a file beside.
        made = _made(folder / PRUNED / network.name / str(seed) / record.stem / f"pruned{source.path.suffix}")
        found: dict[str, object] = {"failed": why}
        if why is None:
            try:
                pruned = prune.run(source, made, recipe, settings, source=given.train)
                audit = auditing.run(source, [pruned.source], given.audit, settings, store=store)
                found = {"failed": None, "achieved": pruned.density, **_measured(audit)}
            except (ModelError, AlignmentError) as fault:
                found = {"failed": fault.message}
        if not keep:
            shutil.rmtree(made.parent)
        results.put(record, {"key": own, **factors, **found, "seconds": round(time.monotonic() - began, 3)})
        yield f"{network.name}, seed {seed}, {method.name} at {100 * (recipe.density or 1):g} %: {_said(found)}"


def _said(found: dict[str, object]) -> str:
    if found["failed"] is not None:
        return f"failed: {found['failed']}"
    run = found["run"]
    assert isinstance(run, dict)
    return f"accuracy {100 * run['accuracy']:.1f} %, worst class {100 * run['worst_recall']:.1f} %"


def _measured(audit: Audit) -> dict[str, object]:
    """What is kept of an audit: the model as a whole, its classes, and what it ran with."""
    names, by_class = rows.rows_of(audit)
    (whole,) = rows.overall_of(audit)
    classes = [{name: row.get(name) for name in names if name not in ("variant", "by")} for row in by_class]
    return {"run": whole, "classes": classes, "versions": dict(audit.provenance.versions)}


def _dense(plan: Plan, network: Network, seed: int, folder: Path, given: _Given) -> tuple[ModelSource, str]:
    """Where the dense network is, or will be, and what it is made of."""
    if network.factory is None:
        source = network.checkpoint(seed)
        parts: list[object] = [_content(source.path), source.factory, source_digest(source.factory), given.digest]
    else:
        source = ModelSource(
            name=network.name, path=folder / DENSE / f"{network.name}-{seed}.pth", factory=network.factory
        )
        parts = [network.factory, source_digest(network.factory), plan.training, seed, given.digest]
    return source, _digest(repr(parts).encode())


def _train(
    plan: Plan, network: Network, seed: int, source: ModelSource, key: str, settings: Settings, given: _Given
) -> str | None:
    """Train the dense network unless it is there; why that cannot be done, None where it was."""
    if network.factory is None:
        return None
    note = _made(source.path).with_suffix(".json")
    if source.path.exists() and results.is_done(note, key):
        return None
    training = replace(plan.training, seed=seed)
    try:
        history = prune.train(network.factory, source.path, training, settings, source=given.train)
    except ModelError as fault:
        return f"its dense network was not trained: {fault.message}"
    losses = [{"loss": epoch.loss, "held_out": epoch.held_out} for epoch in history]
    results.put(note, {"key": key, "network": network.name, "seed": seed, "epochs": losses})
    return None


def _content(path: Path) -> str:
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return _digest(b"".join(hashlib.sha256(each.read_bytes()).digest() for each in files))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _made(path: Path) -> Path:
    """``path``, in a folder that is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"{path.parent} cannot be made: {fault.strerror}", hint="write elsewhere with -o") from fault
    return path
