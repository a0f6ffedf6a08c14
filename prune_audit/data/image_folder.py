"""A folder of images, one folder per class: val/<class>/**/*.{png,jpg,jpeg,bmp,webp,tif,tiff}.

An empty class folder is an error and not a class of support 0: it silently shifts every later class of code that
numbers folders, so whoever has one should hear of it. Hidden files and other files are ignored. Folders are listed,
never opened file by file, so that a large validation set is ready at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import _classes, _images
from prune_audit.data._pixels import SUFFIXES
from prune_audit.errors import DataError, UsageError

KINDS = ", ".join(suffix[1:] for suffix in SUFFIXES)


def recognises(source: DataSource) -> bool:
    """Whether it is a folder."""
    return source.path.is_dir()


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    """The images below ``source.path``, in the order of their relative paths, which are their ids.

    Raises:
        DataError: there are no class folders, one is empty, or one is no class.
        AlignmentError: the images do not fit what was asked for or what the models expect.
        UsageError: columns were asked for, and a folder has none.
    """
    root = source.path
    if source.path_column or source.label_column:
        raise UsageError(
            f"{root} is a folder and has no columns", hint="--path-column and --label-column are for a manifest file"
        )
    folders, beside = _top(root)
    if not folders:
        found = f"images ({beside}) but no class folders" if beside else "neither class folders nor images"
        raise DataError(
            f"{root}: {found}",
            hint=f"expected is {root}/<class>/<image>, with images in {KINDS}; or give a CSV with path and label",
        )
    names: list[str] = []
    ids: list[str] = []
    for folder in sorted(folders):
        inside = sorted(_walk(root / folder, folder))
        if not inside:
            raise DataError(
                f"{root / folder}: this class folder holds no images",
                hint=f"remove the folder, or add its images ({KINDS}); a class without a folder is fine where "
                "--classes or the model names it",
            )
        ids += inside
        names += [folder] * len(inside)
    classes, notes = _classes.decided(source, expects, folders)
    if beside:
        notes = (*notes, f"images beside the class folders ({beside}) were not used")
    return _images.dataset(
        source,
        expects,
        settings,
        classes=classes,
        labels=_classes.positions(names, classes, lambda at: f"{root / names[at]}"),
        ids=ids,
        files=[root / each for each in ids],
        groups={},
        notes=notes,
    )


def _top(root: Path) -> tuple[list[str], int]:
    """The names of the folders right below ``root``, and how many images lie beside them."""
    folders, images = [], 0
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.name.lower().endswith(SUFFIXES):
                images += 1
    return folders, images


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    """The images below ``folder``, as paths that start with ``prefix`` and use slashes; links are followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if entry.is_symlink() and folder.resolve().is_relative_to(Path(entry).resolve()):
                    raise DataError(
                        f"{entry.path}: this link leads back to a folder that holds it",
                        hint="remove the link; its images would be counted again and again",
                    )
                yield from _walk(folder / entry.name, f"{prefix}/{entry.name}")
            elif entry.name.lower().endswith(SUFFIXES):
                yield f"{prefix}/{entry.name}"
