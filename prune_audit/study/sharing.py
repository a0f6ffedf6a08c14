"""The runs of a study where a runner of other processes has them done.

A part is one dense network with all that is pruned from it. A worker does it in a folder of its own, from what there
was of it already, and the files that it made are written here, so that the folder of a study is the same wherever its
runs were done.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from prune_audit import reports, runners
from prune_audit.core import WHOLE, Settings, Shard
from prune_audit.errors import StudyError, UsageError
from prune_audit.files import regular
from prune_audit.files import target as targets
from prune_audit.study import running
from prune_audit.study.plan import Plan


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
    """As `running.run`, by the runner of ``settings``; ``told`` and ``progress`` hear of a network when it is done.

    Raises:
        UsageError: there is no such runner, or the study asks for a device.
        MissingExtra: the runner needs a library that is not installed.
        StudyError: a worker's data, networks or libraries make other runs.
        AuditError: as `running.run`; what was finished before is kept.
    """
    runners.check(settings.runner)
    if settings.device != "cpu":
        raise UsageError(
            f"--runner {settings.runner}: only processors are given out, not the device {settings.device}",
            hint="each machine with a device can do a part: study --shard I/N (docs/cluster.md)",
        )
    threads = settings.threads or runners.cores()
    units = running.units(plan, folder, settings, shard)
    todo = {unit.shard: unit for unit in units if unit.runs}
    total, done = sum(unit.of_all for unit in units), sum(len(unit.done) for unit in units)
    for unit in units:
        unit.begin(plan, folder)
    if progress is not None:
        progress(done, total)

    def take(made: _Made) -> None:
        nonlocal done
        for name, content in made.files.items():
            path = folder / name
            targets.folder(path.parent, within=folder)
            reports.put(path, content, named=False)
        for line in made.lines:
            told(line)
        done += len(todo[made.shard].runs)
        if progress is not None:
            progress(done, total)

    runners.run(
        settings.runner,
        [_part(unit, folder) for unit in todo.values()],
        _Work(
            plan=plan,
            settings=replace(settings, threads=threads, runner=runners.here(settings.runner), of_runner=None),
            folder=Path.cwd(),
            keep=keep,
        ),
        lambda made: [lambda: made],
        [take],
        workers=threads,
        options=settings.of_runner,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of a plan: the files that there are of it, and the key of each run that is to be done, by its file."""

    shard: Shard
    held: Mapping[Path, bytes]
    keys: Mapping[Path, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What a worker made of a part: files, and what it says of the runs."""

    shard: Shard
    files: Mapping[Path, bytes]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Does parts of ``plan`` in whatever process, as one that was started in ``folder``; it can be pickled."""

    plan: Plan
    settings: Settings
    folder: Path
    keep: bool

    def __call__(self, part: _Part) -> _Made:
        runners.go_to(self.folder)
        lines: list[str] = []
        with tempfile.TemporaryDirectory(prefix="prune-audit-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            for path, content in part.held.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            (unit,) = running.units(self.plan, folder, self.settings, part.shard)
            if {each.record.relative_to(folder): each.key for each in unit.runs} != part.keys:
                raise StudyError(
                    f"on {platform.node()} these would be other runs than where the study was started",
                    hint="all machines need the same data, with the same times of files, and the same code of networks",
                )
            running.run(self.plan, folder, self.settings, shard=part.shard, keep=self.keep, told=lines.append)
            made = _read([*part.keys, *_of_networks(unit, folder)], folder)
        return _Made(shard=part.shard, files=made, lines=tuple(lines))


def _part(unit: running.Unit, folder: Path) -> _Part:
    held = [*(path.relative_to(folder) for path in unit.done), *_of_dense(unit, folder)]
    return _Part(
        shard=unit.shard,
        held=_read(held, folder),
        keys={each.record.relative_to(folder): each.key for each in unit.runs},
    )


def _of_dense(unit: running.Unit, folder: Path) -> list[Path]:
    """The files of the dense network of ``unit`` below ``folder``, where it is trained, and was."""
    if unit.given.network.factory is None:
        return []
    both = unit.source.path, unit.source.path.with_suffix(".json")
    return [path.relative_to(folder) for path in both if all(each.is_file() for each in both)]


def _of_networks(unit: running.Unit, folder: Path) -> list[Path]:
    """All files of networks of ``unit`` below ``folder``: the dense one, and pruned ones that were kept."""
    pruned = (folder / running.PRUNED).rglob("*")
    return [*_of_dense(unit, folder), *(path.relative_to(folder) for path in pruned if path.is_file())]


def _read(paths: Iterable[Path], folder: Path) -> dict[Path, bytes]:
    return {path: regular.content(folder / path) for path in paths}
