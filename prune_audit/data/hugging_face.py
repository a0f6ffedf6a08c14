"""A Hugging Face dataset of images, sounds or texts: what save_to_disk wrote, or Parquet (a file, a folder of shards).

A Parquet file of texts alone is an ordinary table, as `prune_audit.data.text` reads it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import _hf, _images, _rows, _sound, _unsupported, text
from prune_audit.errors import DataError
from prune_audit.files import tables
from prune_audit.files.columns import LABELS, usual

HAS = {
    "image": ("path_column", "id_column", "preprocess", "exif"),
    "sound": ("path_column", "id_column", "sample_rate", "seconds"),
    "text": text.HAS,
}


def recognises(source: DataSource) -> bool:
    """Whether it is a folder that ``datasets`` saved, a folder of Parquet, or Parquet with images or sounds in it."""
    return _hf.is_folder(source.path) or _hf.is_file(source.path)


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    """The rows of the data set, whose class labels go by their names; every other column of single values is a group.

    Classes are in the order that ``--classes`` or the model gives them, or else in the data's own.

    Raises:
        DataError: it is several data sets or broken, has no images, sounds or texts, or lacks a label.
        AlignmentError: it does not fit what was asked for or what the models expect.
        MissingExtra: it holds sounds or texts, and the library that reads them is not installed.
        UsageError: something was asked for that it does not have.
    """
    table = _hf.read(source.path)
    texts = None if table.media else _texts(source, table)
    column = texts or _column(source, table)
    what = table.media.get(column, "text")
    _unsupported.refuse(source, f"a dataset of {what}s", has=HAS[what])
    if source.label_column is None and usual(table.columns, LABELS) is None:
        source = replace(source, label_column=_only(table))
    label = _rows.label_column(source, table.columns)
    own = table.names.get(label)
    if texts is not None:
        return text.dataset(source, expects, table.columns, texts, own)
    rows = _rows.rows(source, expects, table.columns, own=own)
    unused = [name for name in table.media if name != column]
    make = (
        partial(_images.dataset, exif=("apply", "the library datasets of Hugging Face"))
        if what == "image"
        else _sound.dataset
    )
    return make(
        source,
        expects,
        settings,
        classes=rows.classes,
        labels=rows.labels,
        ids=rows.ids,
        files=_hf.Cells(table=table, column=column, rows=range(len(rows.labels))),
        kept_in=[*table.files, *_beside(table, column, len(rows.labels))],
        column=column,
        groups=rows.groups,
        notes=(*table.notes, *rows.notes, *([f"columns not used: {', '.join(unused)}"] if unused else [])),
        assumptions=rows.assumptions,
    )


def _column(source: DataSource, table: _hf.Table) -> str:
    """The column of images or sounds: the one that was asked for, or the only one."""
    if source.path_column in table.media:
        return str(source.path_column)
    if len(table.media) == 1 and source.path_column is None:
        return next(iter(table.media))
    if table.media:
        raise DataError(
            f"{source.path}: the columns of images or sounds are {', '.join(table.media)}, "
            f"{source.path_column or 'and none was named'}",
            hint="name one of them with --path-column",
        )
    raise DataError(
        f"{source.path}: no column of images, sounds or texts; found {', '.join(table.columns)}",
        hint="name a column of texts with --text-column; numbers are read from one CSV or Parquet file, which "
        "datasets.load_from_disk(PATH).to_parquet('data.parquet') makes",
    )


def _texts(source: DataSource, table: _hf.Table) -> str | None:
    """The column of texts: the one that was asked for, or the first with a usual name; None where there is none."""
    names = tables.TEXTS if source.text_column is None else (source.text_column,)
    return next((n for n in names if n in table.columns and tables.kind(table.columns[n].type) == "text"), None)


def _only(table: _hf.Table) -> str | None:
    """The one column of class labels; None where there is none or several."""
    return next(iter(table.names)) if len(table.names) == 1 else None


def _beside(table: _hf.Table, column: str, count: int) -> list[Path]:
    """The files whose paths stand in ``column``, where the table holds paths alone, as its first row tells."""
    cells = _hf.Cells(table=table, column=column, rows=range(count))
    if _beside_of(cells[0]) is None:
        return []
    return [path for path in map(_beside_of, cells) if path is not None]


def _beside_of(cell: _hf.Cell) -> Path | None:
    """The file of a ``cell``; None where it has none, or cannot be read, which reading the sample says."""
    try:
        return cell.path
    except (OSError, ValueError):
        return None
