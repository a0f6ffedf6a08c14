"""Sounds: a folder of recordings per class, or a table of their paths; WAV, FLAC, OGG, AIFF, fed as waveforms."""

from __future__ import annotations

from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import _arrays, _folders, _rows, _sound, _unsupported
from prune_audit.errors import DataError
from prune_audit.files import tables

HAS = ("sample_rate", "seconds")


def recognises(source: DataSource) -> bool:
    """Whether it is a folder with sounds and without images, or a table whose first path is that of a sound."""
    if source.path.is_dir():
        return _sound.is_folder(source.path)
    return (tables.first_path(source) or "").lower().endswith(tables.SOUNDS)


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    """The recordings of the folder or table; their ids are their paths, unless the table has a column of ids.

    Raises:
        DataError: there are no class folders, one is empty, or the table is broken or lacks a column or a label; or
            more rows than ``settings.skip_bad`` are without their file.
        AlignmentError: rates or lengths do not fit together.
        MissingExtra: soundfile is not installed.
        UsageError: something was asked for that sounds do not have.
    """
    if source.path.is_dir():
        return _folder(source, expects, settings)
    return _listed(source, expects, settings)


def _folder(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    _unsupported.refuse(
        source, "a folder of sounds", has=(*HAS, *_unsupported.joined(source, expects)), but=("label_column",)
    )
    found = _folders.listed(source, expects, tables.SOUNDS, "sound", "a CSV with path and label")
    return _sound.dataset(
        source,
        expects,
        settings,
        classes=found.classes,
        labels=found.labels,
        ids=found.ids,
        files=found.files,
        groups={},
        notes=found.notes,
        assumptions=found.assumptions,
    )


def _listed(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    _unsupported.refuse(source, "sounds", has=("path_column", "id_column", *HAS))
    columns = tables.read(source)
    name = tables.path_column(source, columns)
    paths = tables.texts(columns[name])
    rows = _rows.rows(source, expects, columns, inputs=(name,), groups=_rows.asked(settings), ids=paths)
    files = [source.path.parent / each for each in paths]
    gone = [at for at, file in enumerate(files) if not tables.is_file(file)]
    if gone and not expects.runs:
        return _arrays.unfed(source, rows)
    if len(gone) > settings.skip_bad:
        others = f" ({len(gone):,} of {len(files):,} files are missing)" if len(gone) > 1 else ""
        raise DataError(
            f"{_rows.place(source, gone[0])}: there is no file {files[gone[0]]}{others}",
            hint="paths are relative to the folder of the table; --skip-bad N tolerates some and lists them in the "
            "report",
        )
    return _sound.dataset(
        source,
        expects,
        settings,
        classes=rows.classes,
        labels=rows.labels,
        ids=rows.ids,
        files=files,
        groups=rows.groups,
        notes=rows.notes,
        assumptions=rows.assumptions,
    )
