"""Whether files stay what they are while they are read, of models while they load and of data while models run.

They need not be read twice for that: sizes, times and inodes say so. Where predictions are kept, the data's fingerprint
is taken before and after besides (`prune_audit.evaluate.cache`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from prune_audit.core import Dataset

State: TypeAlias = tuple[int, int, int] | None
"""Inode, size and time of change of a file; None where it is gone."""


@runtime_checkable
class Filed(Protocol):
    """Data whose samples are read from files while models run; others are in memory."""

    @property
    def kept_in(self) -> Sequence[Path]:
        """The files."""
        ...


def of_data(dataset: Dataset) -> Mapping[Path, State]:
    """What each file that ``dataset`` is read from is like now; nothing where it is in memory."""
    return states(dataset.kept_in) if isinstance(dataset, Filed) else {}


def states(paths: Iterable[Path]) -> Mapping[Path, State]:
    """What each of ``paths`` is like now, and each file in those that are folders."""
    files = [file for path in paths for file in ((path, *path.rglob("*")) if path.is_dir() else (path,))]
    return {file: _state(file) for file in files}


def changed(before: Mapping[Path, State]) -> Path | None:
    """The first file that is no longer what it was like ``before``, None where all are."""
    return next((path for path, state in before.items() if _state(path) != state), None)


def _state(path: Path) -> State:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
