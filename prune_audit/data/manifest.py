"""A CSV or Parquet manifest of images: a column of paths, a column of labels; any further column is a group.

Paths are relative to the manifest, so that the two travel together, and are the ids of the samples unless a column
of ids is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import _arrays, _images, _rows, _unsupported
from prune_audit.data._pixels import formats, header, quiet_pillow, suffixes
from prune_audit.errors import DataError
from prune_audit.files import tables


def recognises(source: DataSource) -> bool:
    """Whether the file is a table with a column of paths, and these are not of sounds."""
    first = tables.first_path(source)
    return first is not None and not first.lower().endswith(tables.SOUNDS)


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    """The images that the manifest lists, in its order. Where no model runs, they need not be there.

    Raises:
        DataError: the manifest cannot be read, lacks a column, or has a row without a label; or more rows than
            ``settings.skip_bad`` are without their file.
        AlignmentError: the images do not fit what was asked for or what the models expect.
        UsageError: something was asked for that images do not have.
    """
    _unsupported.refuse(source, "images", has=("path_column", "id_column", "preprocess", "exif"))
    columns = tables.read(source)
    paths_in = tables.path_column(source, columns)
    paths = tables.texts(columns[paths_in])
    rows = _rows.rows(source, expects, columns, inputs=(paths_in,), groups=_rows.asked(settings), ids=paths)
    if "" in paths:
        raise DataError(
            f"{_rows.place(source, paths.index(''))}: {paths_in} is empty", hint="fill it in, or remove the row"
        )
    files = [source.path.parent / each for each in paths]
    if not expects.runs and not all(map(tables.is_file, files)):
        return _arrays.unfed(source, rows)
    _check(files, partial(_rows.place, source), settings.skip_bad)
    return _images.dataset(
        source,
        expects,
        settings,
        classes=rows.classes,
        labels=rows.labels,
        ids=rows.ids,
        files=files,
        groups=rows.groups,
        exif=("ignore", "torchvision's loader of images"),
        notes=rows.notes,
        assumptions=rows.assumptions,
    )


def _check(files: Sequence[Path], place: Callable[[int], str], most: int) -> None:
    """That at most ``most`` files are missing, or are neither named like an image nor begin like one.

    Those are then unreadable samples like others, and the report lists them.
    """
    quiet_pillow()
    gone = [row for row, file in enumerate(files) if not tables.is_file(file)]
    if len(gone) > most:
        others = f" ({len(gone):,} of {len(files):,} files are missing)" if len(gone) > 1 else ""
        raise DataError(
            f"{place(gone[0])}: there is no file {files[gone[0]]}{others}",
            hint="paths are relative to the folder of the manifest; --skip-bad N tolerates some and lists them in the "
            "report",
        )
    bad = len(gone)
    for row, file in enumerate(files):
        if file.name.lower().endswith(suffixes()) or not tables.is_file(file) or header(file) is not None:
            continue
        bad += 1
        if bad > most:
            raise DataError(
                f"{place(row)}: {file} is not an image",
                hint=f"read are {', '.join(formats())}; feed other data from an .npz file, as they are",
            )
