"""What the library ``datasets`` of Hugging Face writes, read with pyarrow alone.

``save_to_disk`` leaves a folder of Arrow streams, which ``state.json`` lists in order (`Dataset.save_to_disk` in
arrow_dataset.py of huggingface/datasets); Parquet comes as one file or as shards. Both carry the features of their
columns in the metadata of the schema, under ``huggingface``: which are images and sounds, and the names behind
numbers. Streams are mapped into memory, and of Parquet a few groups of rows are there at a time, so that a data set
may be larger than memory. None of it is code: loading scripts are another thing, and are not run.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Any, Literal

import numpy as np

from prune_audit.errors import DataError
from prune_audit.files import arrow, parse, regular, tables
from prune_audit.files.archive import said

Media = Literal["image", "sound"]
# Row of a column of media -> {"bytes", "path"}, None where the cell is empty.
Fetch = Callable[[str, int], Mapping[str, Any] | None]

_STATE, _INFO, _DICT = "state.json", "dataset_info.json", "dataset_dict.json"
_SHARD = re.compile(r"(.*?)-?(\d{5})-of-(\d{5})\b.*")
_HELD_OUT = ("test", "validation")
_GROUPS_KEPT = 8  # what a worker reads lies in one of them, or in two


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """N rows in ``files``. ``columns`` are Arrow's, without those of ``media``, whose cells ``fetch`` gives.

    A class label is text here, null where there is none; ``names`` are those of its column, in their own order.
    """

    files: tuple[Path, ...]
    columns: Mapping[str, Any]
    names: Mapping[str, tuple[str, ...]]
    media: Mapping[str, Media]
    fetch: Fetch
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One image or sound: its bytes, or the path of a file."""

    table: Table
    column: str
    row: int

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """As `prune_audit.files.stored.Stored`."""
        held = self._held()
        if held.get("bytes") is not None:
            return io.BytesIO(held["bytes"])
        if (path := self.path) is None:
            raise ValueError("the cell is empty")
        if not tables.is_file(path):  # a device would never end
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return path.open(mode)

    @property
    def path(self) -> Path | None:
        """The file outside the table; None where the cell holds the bytes themselves, nothing, or cannot be read."""
        try:
            held = self._held()
        except ValueError:  # whoever opens the cell is told
            return None
        bare = held.get("bytes") is None and held.get("path")
        return self.table.files[0].parent / held["path"] if bare else None

    def _held(self) -> Mapping[str, Any]:
        return self.table.fetch(self.column, self.row) or {}

    def __str__(self) -> str:
        return f"row {self.row + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells(Sequence[Cell]):
    """The cells of one column at some ``rows``, made when they are asked for."""

    table: Table
    column: str
    rows: range

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Cells(table=self.table, column=self.column, rows=self.rows[at])
        return Cell(table=self.table, column=self.column, row=self.rows[at])


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder as ``datasets`` saves it, or of Parquet files and no folders but ``data``."""
    if not path.is_dir():
        return False
    if (path / _DICT).is_file() or all((path / name).is_file() for name in (_STATE, _INFO)):
        return True
    folders = {each.name for each in path.iterdir() if each.is_dir() and not each.name.startswith(".")}
    return folders <= {"data"} and bool(_parquet_files(path))


def is_file(path: Path) -> bool:
    """Whether ``path`` is a Parquet file with a column of images or sounds."""
    from pyarrow import parquet

    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    try:
        return any(tables.kind(each.type) == "media" for each in parquet.read_schema(path))
    except arrow.faults():
        return False


def read(path: Path) -> Table:
    """The data set at ``path``, without its images and sounds.

    Raises:
        DataError: it is several data sets; or a file of it is missing, broken or unlike the others.
    """
    if (path / _DICT).is_file():
        found = sorted(each.name for each in path.iterdir() if (each / _STATE).is_file())
        held_out = next((name for name in (*_HELD_OUT, *found) if name in found), "test")
        raise DataError(
            f"{path} holds {len(found)} data sets: {', '.join(found)}",
            hint=f"name the folder of one, as --data {path / held_out}",
        )
    return _saved(path) if (path / _STATE).is_file() else _parquet(path)


def _saved(path: Path) -> Table:
    import pyarrow as pa

    try:
        state = parse.json(regular.text(path / _STATE))
        files = [path / each for each in _file_names(state["_data_files"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / _STATE} does not list files: {error!r}", hint="save the data again") from error
    parts = []
    for file in files:
        try:
            # What is read refers to the map, which keeps the file open.
            parts.append(arrow.validated(pa.ipc.open_stream(pa.memory_map(str(file))).read_all()))
        except arrow.faults() as error:
            raise DataError(
                f"{file}: no readable Arrow stream: {said(error)}", hint="copy or save the data again"
            ) from error
    whole = _joined(path, parts)
    return _of(path, files, whole, whole.schema, lambda column, row: whole.column(column)[row].as_py())


def _parquet(path: Path) -> Table:
    from pyarrow import parquet

    files, notes = ([path], _alone(path)) if path.is_file() else (_shards(path), ())
    parts, groups = [], []
    for file in files:
        try:
            with parquet.ParquetFile(file) as opened:
                schema = opened.schema_arrow
                _distinct(schema)
                plain = [each.name for each in schema if tables.kind(each.type) != "media"]
                parts.append(arrow.validated(arrow.counted(opened.read(plain), opened.metadata.num_rows)))
                groups += [(file, at, opened.metadata.row_group(at).num_rows) for at in range(opened.num_row_groups)]
        except arrow.faults() as error:
            raise DataError(
                f"{file}: no readable Parquet file: {said(error)}", hint="the file may be incomplete"
            ) from error
    return _of(path, files, _joined(path, parts), schema, _Groups(groups).fetch, notes)


class _Groups:
    """The groups of rows in Parquet files, given as (file, number in the file, rows), of which a few are in memory."""

    def __init__(self, groups: Sequence[tuple[Path, int, int]]) -> None:
        self._groups = groups
        self._ends = np.cumsum([rows for *_, rows in groups])
        self._read: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._lock = Lock()

    def fetch(self, column: str, row: int) -> Mapping[str, Any] | None:
        """As `Fetch`."""
        from pyarrow import parquet

        at = int(np.searchsorted(self._ends, row, side="right"))
        file, number, rows = self._groups[at]
        # Workers ask for neighbours at one time: one reads their group, and the others wait for it.
        with self._lock:
            if (column, at) not in self._read:
                try:
                    with parquet.ParquetFile(file) as opened:
                        group = arrow.validated(arrow.counted(opened.read_row_group(number, columns=[column]), rows))
                except arrow.faults() as fault:
                    raise ValueError(f"row group {number} of {file.name} cannot be read: {said(fault)}") from fault
                self._read[column, at] = group.column(0)
                if len(self._read) > _GROUPS_KEPT:
                    self._read.popitem(last=False)
            self._read.move_to_end((column, at))
            cells = self._read[column, at]
        cell: Mapping[str, Any] | None = cells[row - int(self._ends[at]) + rows].as_py()
        return cell


def _file_names(listed: Any) -> list[str]:
    """The names of files in ``listed``, as state.json has them. Raises `ValueError` where it is no list of them."""
    names = [each["filename"] for each in listed]
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise ValueError(f"expected the names of files in this folder, found {str(names)[:80]}")
    return names


def _distinct(schema: Any) -> None:
    """Raise `ValueError` where two columns have one name, which is then no name."""
    if twice := [name for name, times in Counter(schema.names).items() if times > 1]:
        raise ValueError(f"the column {twice[0]!r} is there more than once")


def _joined(path: Path, parts: Sequence[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.concat_tables(parts)
    except arrow.faults() as error:
        raise DataError(f"{path}: its files do not fit together: {error}", hint="save the data again") from error


def _of(path: Path, files: Sequence[Path], whole: Any, schema: Any, fetch: Fetch, notes: tuple[str, ...] = ()) -> Table:
    """The table of ``whole``, in which names stand for the numbers of class labels, as the ``schema`` has them."""
    if twice := [name for name, times in Counter(whole.column_names).items() if times > 1]:
        raise DataError(f"{path}: the column {twice[0]!r} is there more than once", hint="rename one of them")
    try:
        features = parse.json((schema.metadata or {})[b"huggingface"])["info"]["features"]
        typed = {str(name): each for name, each in features.items() if isinstance(each, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):
        typed = {}  # another writer than datasets
    names = {
        name: _class_names(path, name, each["names"])
        for name, each in typed.items()
        if each.get("_type") == "ClassLabel" and isinstance(each.get("names"), list)
    }
    media: dict[str, Media] = {
        each.name: "sound" if typed.get(each.name, {}).get("_type") == "Audio" else "image"
        for each in schema
        if tables.kind(each.type) == "media"
    }
    columns = {
        name: _named(path, name, whole.column(name), names[name]) if name in names else whole.column(name)
        for name in whole.column_names
        if name not in media
    }
    return Table(files=tuple(files), columns=columns, names=names, media=media, fetch=fetch, notes=notes)


def _class_names(path: Path, column: str, names: list[Any]) -> tuple[str, ...]:
    """The names of the classes in ``column``, which must differ, since labels go by them."""
    texts = tuple(map(str, names))
    [(twice, times)] = Counter(texts).most_common(1) or [("", 0)]
    if times > 1 or not all(each.isascii() or each.encode("utf-8", "ignore").decode() == each for each in texts):
        what = f"the class {twice!r} is named {times} times" if times > 1 else "a name of a class is no text"
        raise DataError(f"{path}: {what} in the description of the column {column!r}", hint="name each class once")
    return texts


def _named(path: Path, column: str, numbers: Any, names: tuple[str, ...]) -> Any:
    """Class labels (N,) by their ``names``; -1 is what ``datasets`` writes for a label that is not known."""
    import pyarrow as pa
    from pyarrow import types

    if not types.is_integer(numbers.type) or types.is_uint64(numbers.type):
        raise DataError(
            f"{path}: {column} is described as classes and holds {numbers.type}, expected whole numbers",
            hint="save the data again with the library datasets, which writes int64",
        )
    at = numbers.fill_null(-1).to_numpy()  # (N,)
    if len(at) and at.max() >= len(names):
        row = int(np.argmax(at >= len(names)))
        raise DataError(
            f"{path}, row {row + 1}: {column} is {at[row]}, and it has {len(names)} names", hint="correct the data"
        )
    return pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(at, mask=at < 0), pa.array(names, pa.string()))])


def _parquet_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))


def _shards(path: Path) -> list[Path]:
    """The Parquet files below ``path``, all of one split, none missing."""
    files = _parquet_files(path)
    splits: dict[str, list[Path]] = {}
    for file in files:
        shard = _SHARD.fullmatch(file.stem)
        splits.setdefault(shard[1] if shard else file.stem.strip("0123456789"), []).append(file)
    if len(splits) > 1:
        raise DataError(
            f"{path} holds {len(splits)} data sets: {', '.join(splits)}",
            hint="name one file, or put the files of one into a folder of their own (links will do)",
        )
    for found in (_SHARD.fullmatch(file.stem) for file in files):
        if found and len(files) != int(found[3]):
            raise DataError(
                f"{path} holds {len(files)} of {int(found[3])} shards of {found[1] or 'the data'}",
                hint="fetch the others, or name one file to audit it alone",
            )
    return files


def _alone(path: Path) -> tuple[str, ...]:
    """A note where the file at ``path`` is one of several."""
    shard = _SHARD.fullmatch(path.stem)
    if shard is None or int(shard[3]) == 1:
        return ()
    return (f"{path.name} is one of {int(shard[3])} files of these data; its folder is all of them",)
