"""A folder with one folder per class, for files of any kind: what the formats of folders share.

An empty class folder is an error and not a class of support 0: it silently shifts every later class of code that
numbers folders, so whoever has one should hear of it. Hidden files, those that systems leave behind and files of other
kinds are left out and counted. Folders are listed, never opened file by file, so that a large validation set is ready
at once. A name need not be text: what is not UTF-8 is escaped in ids and classes, so that every report can hold it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from prune_audit.core import Assumption, Counts, DataSource, Expects
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
    assumptions: tuple[Assumption, ...]  # on the order of the classes


SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin", "system volume information")
"""What systems leave in folders without hiding it from others, in small letters."""


def listed(
    source: DataSource, expects: Expects, suffixes: Sequence[str], what: str, table: str, later: Sequence[str] = ()
) -> Listing:
    """The files with one of ``suffixes`` below ``source.path``; ``what`` they are called, as "image".

    ``table`` is what could be given instead of a folder. Suffixes that earlier versions did not read are ``later``.

    Raises:
        DataError: there are no class folders, one is empty or cannot be read, or one is no class.
    """
    root, kinds = source.path, ", ".join(suffix[1:] for suffix in suffixes)
    left = Counter[str]()
    folders, beside = top(root, suffixes, left)
    if not folders:
        found = f"{what}s ({beside}) but no class folders" if beside else f"neither class folders nor {what}s"
        raise DataError(
            f"{root}: {found}",
            hint=f"expected is {root}/<class>/<{what}>, with {what}s in {kinds}; or give {table}",
        )
    names: list[str] = []
    ids: list[str] = []
    for folder in sorted(folders):
        inside = []
        for name in sorted(walk(root / folder, folder, left)):
            if name.lower().endswith(tuple(suffixes)):
                inside.append(name)
            else:
                left[_suffix(name)] += 1
        if not inside:
            raise DataError(
                f"{root / folder}: this class folder holds no {what}s",
                hint=f"remove the folder, or add its {what}s ({kinds}); a class without a folder is fine where "
                "--classes or the model names it",
            )
        ids += inside
        names += [folder] * len(inside)
    called = [_text(name) for name in names]
    order = _classes.decided(source, expects, [_text(folder) for folder in folders])
    if called != names and _classes.given(source, expects) is None and source.class_map is None:
        # As Python sorts the names that it makes of such bytes, and with it the code that trained.
        told_of = _classes.assumed("sorted by the bytes of their names", "nothing names them in order")
        order = replace(order, classes=tuple(map(_text, sorted(folders))), assumptions=(told_of,))
    notes = order.notes
    told = [_text(each) for each in ids]
    for which, each in (
        ("folders", {folder: _text(folder) for folder in folders}),
        ("files", dict(zip(ids, told, strict=True))),
    ):
        if len(set(each.values())) < len(each):
            raise DataError(
                f"{root}: two {which} have names that are not UTF-8 and look alike once that is escaped",
                hint="rename one of them",
            )
    if beside:
        notes = (*notes, f"{what}s beside the class folders ({beside}) were not used")
    if left:
        notes = (*notes, f"files left out of the folder: {_counted(left)}")
    if read := Counter(suffix for each in ids if (suffix := _suffix(each)) in later):
        notes = (*notes, f"files of kinds that earlier versions left out of a folder: {_counted(read)}")
    return Listing(
        ids=told,
        files=[root / each for each in ids],
        classes=order.classes,
        labels=_classes.positions(called, order.classes, lambda at: f"{root / called[at]}", source.class_map),
        notes=notes,
        assumptions=order.assumptions,
    )


def top(root: Path, suffixes: Sequence[str], left: Counter[str]) -> tuple[list[str], int]:
    """The names of the folders right below ``root``, and how many files with one of ``suffixes`` lie beside them.

    What else lies there is counted in ``left``, as by `walk`.
    """
    folders, files = [], 0
    with _opened(root) as entries:
        for entry in entries:
            if _is_hidden(entry.name):
                left[HIDDEN] += 1
            elif entry.is_dir():
                folders.append(entry.name)
            elif entry.name.lower().endswith(tuple(suffixes)):
                files += 1
            else:
                left[_suffix(entry.name)] += 1
    return folders, files


HIDDEN = "hidden or of the system"


def walk(folder: Path, prefix: str, left: Counter[str] | None = None) -> Iterator[str]:
    """The files below ``folder``, as paths that start with ``prefix`` and use slashes; links are followed.

    Hidden ones and those of the system are left out, and counted in ``left`` under `HIDDEN`.
    """
    with _opened(folder) as entries:
        for entry in entries:
            if _is_hidden(entry.name):
                if left is not None:
                    left[HIDDEN] += 1
                continue
            if entry.is_dir():
                if entry.is_symlink() and folder.resolve().is_relative_to(Path(entry).resolve()):
                    raise DataError(
                        f"{entry.path}: this link leads back to a folder that holds it",
                        hint="remove the link; its files would be counted again and again",
                    )
                yield from walk(folder / entry.name, f"{prefix}/{entry.name}", left)
            else:
                yield f"{prefix}/{entry.name}"


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM


def _suffix(name: str) -> str:
    """The suffix that a file is counted by, in small letters."""
    return _text(Path(name).suffix.lower()) or "without suffix"


def _counted(files: Counter[str]) -> str:
    """How many files there are of each kind, most first."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(files.items(), key=lambda each: (-each[1], each[0])))


def _text(name: str) -> str:
    """A name of a file as text: bytes that are not UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


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
