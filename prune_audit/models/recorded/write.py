"""Predictions into a file that `recorded` reads back as the very same: the suffix says in which form.

Classes are written by name, so that the file means the same beside another order of classes. Confidence, the
probability of the true class and its rank go with them, because scores themselves are never kept.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from prune_audit.core import Array, Counts, Outputs
from prune_audit.errors import OutputError, UsageError
from prune_audit.files import target as targets


def check_predictions_path(path: Path) -> None:
    """Make sure, before a long run, that predictions can be written to ``path``.

    Raises:
        UsageError: the suffix is of no form.
        OutputError: there is no such folder, or ``path`` is one, or a device.
    """
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"{path}: no predictions are written to {path.suffix or 'a file without a suffix'}",
            hint=f"the suffix chooses the form: {', '.join(_WRITERS)}",
        )
    folder = targets.target(path).parent
    if not folder.is_dir():
        raise OutputError(f"{path}: there is no folder {folder}", hint="make the folder first")


def write_predictions(
    path: Path, outputs: Outputs, ids: Sequence[str], labels: Counts, classes: tuple[str, ...]
) -> None:
    """Write ``outputs`` for samples ``ids`` (N,) with ``labels`` (N,), whole or not at all.

    The columns are id, label, predicted and, where there were scores, confidence, true_score and rank; and, where the
    highest score is shared by several classes on some sample, tied, by how many.

    Raises:
        UsageError: the suffix is of no form, or two samples have one id, so that nothing could tell them apart.
        OutputError: the file cannot be written.
    """
    check_predictions_path(path)
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise UsageError(
            f"{path}: two samples are called {twice!r}, and predictions are joined by id",
            hint="give the data a column of ids of which each is there once",
        )
    named = np.asarray(classes, np.str_)
    columns: dict[str, Array] = {"id": np.asarray(ids, np.str_), "label": named[labels]}
    columns["predicted"] = named[outputs.predicted]
    beside = {"confidence": outputs.confidence, "true_score": outputs.true_score, "rank": outputs.rank}
    columns |= {name: values for name, values in beside.items() if values is not None}
    if outputs.tied is not None and (outputs.tied > 1).any():
        columns["tied"] = outputs.tied
    try:
        with targets.replacing(path) as file:
            _WRITERS[path.suffix.lower()](file, columns)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise OutputError(
            f"{path} cannot be written: {fault.strerror or fault}", hint="give another place, or make room"
        ) from fault


def _table(columns: Mapping[str, Array]) -> Any:
    import pyarrow as pa

    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _parquet(file: IO[bytes], columns: Mapping[str, Array]) -> None:
    from pyarrow import parquet

    parquet.write_table(_table(columns), file, compression="zstd")


def _csv(file: IO[bytes], columns: Mapping[str, Array]) -> None:
    from pyarrow import csv

    csv.write_csv(_table(columns), file)


def _json(file: IO[bytes], columns: Mapping[str, Array]) -> None:
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    file.write(b"[")
    for at, row in enumerate(rows):
        file.write(b",\n" if at else b"\n")
        file.write(json.dumps(dict(zip(columns, row, strict=True))).encode())
    file.write(b"\n]\n")


def _npz(file: IO[bytes], columns: Mapping[str, Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


_WRITERS: Mapping[str, Callable[[IO[bytes], Mapping[str, Array]], None]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".json": _json,
    ".npz": _npz,
}
