"""A CSV or Parquet manifest of images: a column of paths, a column of labels; any further column is a group.

Everything in it is text: a label "007" stays "007". Paths are relative to the manifest, so that the two travel
together. Labels are class names; a number is not taken for a position in a list that knows other names, because that
guess is right until the list's order is not.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import _classes, _images
from prune_audit.data._pixels import FORMATS, SUFFIXES, header, quiet_pillow
from prune_audit.errors import DataError

PATHS = ("path", "file", "filename", "image", "file_name")
LABELS = ("label", "class", "target", "y")
DELIMITERS = ",;\t|"
MISSING = "(missing)"


def recognises(source: DataSource) -> bool:
    """Whether the file is Parquet, or text whose first line looks like the header of a table."""
    path = source.path
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(1 << 16)
    return start.startswith(b"PAR1") or _delimiter(start) is not None


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    """The images that the manifest lists, in its order; their ids are the paths as they are written there.

    Raises:
        DataError: the manifest cannot be read, lacks a column, or has a row without a label; or more rows than
            ``settings.skip_bad`` are without their file.
        AlignmentError: the images do not fit what was asked for or what the models expect.
    """
    path = source.path
    with path.open("rb") as file:
        start = file.read(1 << 16)
    table = _parquet(path) if start.startswith(b"PAR1") else _csv(path, _delimiter(start) or ",")
    paths_in = _column(path, table, "path", source.path_column, PATHS)
    labels_in = _column(path, table, "label", source.label_column, LABELS)
    if paths_in == labels_in:
        raise DataError(f"{path}: the column {paths_in!r} is both path and label", hint="name two columns")

    def place(row: int) -> str:
        return f"{path}, row {row + 1}"

    paths, labels = table[paths_in], table[labels_in]
    if not paths:
        raise DataError(f"{path}: the manifest has no rows", hint="expected is one row for each image")
    for what, values in ((paths_in, paths), (labels_in, labels)):
        if "" in values:
            raise DataError(f"{place(values.index(''))}: {what} is empty", hint="fill it in, or remove the row")
    files = [path.parent / each for each in paths]
    _check(files, place, settings.skip_bad)
    classes, notes = _classes.decided(source, expects, labels)
    return _images.dataset(
        source,
        expects,
        settings,
        classes=classes,
        labels=_classes.positions(labels, classes, lambda at: f"{place(at)} ({paths[at]})"),
        ids=paths,
        files=files,
        groups={
            name: np.array([value or MISSING for value in values])
            for name, values in table.items()
            if name not in (paths_in, labels_in)
        },
        notes=notes,
    )


def _delimiter(start: bytes) -> str | None:
    """What separates the columns of a CSV file that starts so, None where it is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        return None
    line = text.lstrip().partition("\n")[0]
    if "\0" in text or line.startswith(("{", "[")):
        return None
    best = max(DELIMITERS, key=line.count)
    return best if best in line else None


def _csv(path: Path, delimiter: str) -> Mapping[str, Sequence[str]]:
    """Column name -> text of every row; an empty cell is ''."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = [name.strip() for name in next(row for row in reader if any(map(str.strip, row)))]
            rows = []
            for row in reader:
                if row and len(row) != len(names):
                    raise DataError(
                        f"{path}, line {reader.line_num}: {len(row)} cells, the header has {len(names)}",
                        hint="quote cells that hold the delimiter",
                    )
                rows += [row] if row else []
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: no readable CSV: {error}", hint="expected is UTF-8 text with a header line"
        ) from error
    _distinct(path, names)
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return dict(zip(names, columns, strict=True))


def _parquet(path: Path) -> Mapping[str, Sequence[str]]:
    """As `_csv`: null is ''."""
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (ArrowException, OSError) as error:
        raise DataError(f"{path}: no readable Parquet file: {error}", hint="the file may be incomplete") from error
    _distinct(path, table.column_names)
    return {
        name: ["" if value is None else str(value) for value in column.to_pylist()]
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _distinct(path: Path, names: Sequence[str]) -> None:
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise DataError(f"{path}: the column {twice[0]!r} is there more than once", hint="rename one of them")


def _column(
    path: Path, table: Mapping[str, Sequence[str]], what: str, asked: str | None, usual: tuple[str, ...]
) -> str:
    """The name of the column that was asked for, or else of the first usual one."""
    wanted = usual if asked is None else (asked,)
    for name in wanted:
        if name in table:
            return name
    raise DataError(
        f"{path}: no {what} column: expected {' or '.join(wanted)}, found {', '.join(table)}",
        hint=f"name it with --{what}-column" if asked is None else f"--{what}-column takes one of these",
    )


def _check(files: Sequence[Path], place: Callable[[int], str], most: int) -> None:
    """That at most ``most`` files are missing, or are neither named like an image nor begin like one.

    Those are then unreadable samples like others, and the report lists them.
    """
    quiet_pillow()
    gone = [row for row, file in enumerate(files) if not file.is_file()]
    if len(gone) > most:
        others = f" ({len(gone):,} of {len(files):,} files are missing)" if len(gone) > 1 else ""
        raise DataError(
            f"{place(gone[0])}: there is no file {files[gone[0]]}{others}",
            hint="paths are relative to the folder of the manifest; --skip-bad N tolerates some and lists them in the "
            "report",
        )
    bad = len(gone)
    for row, file in enumerate(files):
        if file.name.lower().endswith(SUFFIXES) or not file.is_file() or header(file) is not None:
            continue
        bad += 1
        if bad > most:
            raise DataError(
                f"{place(row)}: {file} is not an image",
                hint=f"read are {', '.join(FORMATS)}; feed other data from an .npz file, as they are",
            )
