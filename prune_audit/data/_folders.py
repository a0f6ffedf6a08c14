"""A folder with one folder per class, for files of any kind: what the formats of folders share.

An empty class folder is an error and not a class of support 0: it silently shifts every later class of code that
numbers folders, so whoever has one should hear of it. Hidden files and other files are ignored. Folders are listed,
never opened file by file, so that a large validation set is ready at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prune_audit.core import Counts, DataSource, Expects
from prune_audit.data import _classes
from prune_audit.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listing:
    """N files below a folder, in the order of their paths relative to it, which are their ``ids``."""

    ids: list[str]
    files: list[Path]
    classes: tuple[str, ...]
    labels: Counts  # (N,)
    notes: tuple[str, ...]


def listed(source: DataSource, expects: Expects, suffixes: Sequence[str], what: str, table: str) -> Listing:
    """The files with one of ``suffixes`` below ``source.path``; ``what`` they are called, as "image".

    ``table`` is what could be given instead of a folder.

    Raises:
        DataError: there are no class folders, one is empty or cannot be read, or one is no class.
    """
    root, kinds = source.path, ", ".join(suffix[1:] for suffix in suffixes)
    folders, beside = top(root, suffixes)
    if not folders:
        found = f"{what}s ({beside}) but no class folders" if beside else f"neither class folders nor {what}s"
        raise DataError(
            f"{root}: {found}",
            hint=f"expected is {root}/<class>/<{what}>, with {what}s in {kinds}; or give {table}",
        )
    names: list[str] = []
    ids: list[str] = []
    for folder in sorted(folders):
        inside = sorted(name for name in walk(root / folder, folder) if name.lower().endswith(tuple(suffixes)))
        if not inside:
            raise DataError(
                f"{root / folder}: this class folder holds no {what}s",
                hint=f"remove the folder, or add its {what}s ({kinds}); a class without a folder is fine where "
                "--classes or the model names it",
            )
        ids += inside
        names += [folder] * len(inside)
    classes, notes = _classes.decided(source, expects, folders)
    if beside:
        notes = (*notes, f"{what}s beside the class folders ({beside}) were not used")
    return Listing(
        ids=ids,
        files=[root / each for each in ids],
        classes=classes,
        labels=_classes.positions(names, classes, lambda at: f"{root / names[at]}", source.class_map),
        notes=notes,
    )


def top(root: Path, suffixes: Sequence[str]) -> tuple[list[str], int]:
    """The names of the folders right below ``root``, and how many files with one of ``suffixes`` lie beside them."""
    folders, files = [], 0
    with _opened(root) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.name.lower().endswith(tuple(suffixes)):
                files += 1
    return folders, files


def walk(folder: Path, prefix: str) -> Iterator[str]:
    """The files below ``folder``, as paths that start with ``prefix`` and use slashes; links are followed."""
    with _opened(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if entry.is_symlink() and folder.resolve().is_relative_to(Path(entry).resolve()):
                    raise DataError(
                        f"{entry.path}: this link leads back to a folder that holds it",
                        hint="remove the link; its files would be counted again and again",
                    )
                yield from walk(folder / entry.name, f"{prefix}/{entry.name}")
            else:
                yield f"{prefix}/{entry.name}"


@contextmanager
def _opened(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What lies in ``folder``, unsorted. Raises `DataError` where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            yield entries
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} cannot be read: {error.strerror or error}",
            hint="check whose folder it is, and that it may be listed and entered",
        ) from error
