"""CSV and Parquet files as columns, and the one decision of what such a file holds: paths, texts, numbers or labels.

Every format that is a table asks `form`, so that no two of them can claim one file. Of what was not asked for, the
head of the file decides: names of columns, and whether the first cells are numbers. Everything in a CSV is text, so
that a label "007" stays "007"; it is parsed in blocks, straight into Arrow's columns, which take a tenth of the
memory that Python's strings do.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from prune_audit import spelling
from prune_audit.core import Counts, DataSource
from prune_audit.errors import DataError
from prune_audit.files import arrow, tags
from prune_audit.files.archive import said
from prune_audit.files.columns import (
    IDS,
    LABELS,
    PATHS,
    blank_first,
    decoded,
    delimiter,
    encoding,
    nameless,
    shown,
    usual,
)

Kind = Literal["text", "number", "list", "names", "media", "other"]
Form = Literal["paths", "texts", "numbers", "labels", "sets"]

TEXTS = ("text", "sentence", "review", "content")
SOUNDS = (".wav", ".flac", ".ogg", ".aif", ".aiff", ".aifc")
SEVERAL = ("labels", "tags")
"""Columns of lists of labels, called so."""
ABSENT = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?")
NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"

_HEAD = 1 << 16
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is seen of a table without reading it: its columns and their first texts.

    ``kinds`` are those of the columns; ``media`` is a Parquet column of {bytes, path}, as Hugging Face stores images
    and sounds. ``delimiter`` is None where the file is Parquet. A Parquet file that is broken has no columns.
    ``blank_first`` says that a blank follows each delimiter, ``nameless`` that the first line seems to hold no names.
    """

    delimiter: str | None
    kinds: Mapping[str, Kind]
    first: Mapping[str, Sequence[str]] = field(default_factory=dict)
    encoding: str = "utf-8-sig"
    blank_first: bool = False
    nameless: bool = False


def form(source: DataSource) -> Form | None:
    """What the table at ``source.path`` is to be read as; None where it is no table, or one of another room's kind.

    What was asked for decides, in the order paths, texts, numbers; else the usual names of columns do, in the same
    order; then whether there is anything that a model could be fed with.
    """
    head = _head(source)
    if head is None or "media" in head.kinds.values():
        return None
    if source.label_separator is not None or source.label_columns:
        return "sets"
    if source.path_column is not None:
        return "paths"
    if source.text_column is not None or source.tokenizer is not None:
        return "texts"
    if source.features:
        return "numbers"
    if _paths_in(source, head):
        return "paths"
    if _usual(head, TEXTS, ("text",)):
        return "texts"
    if head.kinds.get(source.label_column or usual(head.kinds, (*SEVERAL, *LABELS)) or "") in ("list", "names"):
        return "sets"
    own = {source.label_column or usual(head.kinds, LABELS), source.id_column or usual(head.kinds, IDS)}
    return "numbers" if any(k in ("number", "list") for n, k in head.kinds.items() if n not in own) else "labels"


def _paths_in(source: DataSource, head: Head) -> str | None:
    """The column of paths of the table that begins with ``head``: the one asked for, or the first usual one of texts.

    An ``image`` that is a number may be the number of one, and is a path only where a file is called so.
    """
    if source.path_column is not None:
        return source.path_column

    def holds(name: str) -> bool:
        if head.kinds[name] != "number" or name.strip().lower() != "image":
            return head.kinds[name] in ("text", "number")
        first = next((cell for cell in head.first.get(name, ()) if cell), "")
        return first != "" and is_file(source.path.parent / first)

    return usual([name for name in head.kinds if holds(name)], PATHS)


def first_path(source: DataSource) -> str | None:
    """The first path that a table of paths holds, '' where it holds none; None where the file is no such table."""
    if form(source) != "paths":
        return None
    head = _head(source)
    name = head and _paths_in(source, head)
    cells = head.first.get(name, ()) if head and name else ()
    return next((cell for cell in cells if cell), "")


def path_column(source: DataSource, columns: Mapping[str, Any]) -> str:
    """The name of the column of paths. Raises `DataError` where there is none."""
    head = _head(source)
    found = _paths_in(source, head) if head is not None else None
    return column(source.path, columns, "path", found, PATHS)


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does, where columns have types."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def read(source: DataSource) -> Mapping[str, Any]:
    """The columns as Arrow's chunked arrays (N,), by name: text in a CSV, of their own types in Parquet.

    Raises:
        DataError: the file is broken, a row has another number of cells than the header, or two columns have one name.
    """
    path, head = source.path, _head(source)
    columns = _parquet(path) if head is None or head.delimiter is None else _csv(path, head)
    names = [name for name, _ in columns]
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise DataError(
            f"{path}: the column {twice[0]!r} is there more than once",
            hint=_UNNAMED if head is not None and head.nameless else "rename one of them",
        )
    if head is not None and head.nameless and not usual(names, (*LABELS, source.label_column or "")):
        raise DataError(
            f"{path}: the first line seems to be a sample, not the names of the columns: {shown(names)}", hint=_UNNAMED
        )
    return dict(columns)


_UNNAMED = "write the names of the columns above, such as path,label or id,label"


def column(path: Path, columns: Mapping[str, Any], what: str, asked: str | None, likely: Sequence[str]) -> str:
    """The name of the column that was asked for, or else of the first usual one; ``what`` it is names its option.

    Raises:
        DataError: there is no such column.
    """
    wanted = likely if asked is None else (asked,)
    if (name := usual(columns, wanted)) is not None:
        return name
    raise DataError(
        f"{path}: no {what} column: expected {' or '.join(wanted)}, found {shown(columns)}",
        hint=f"name it with --{what}-column"
        if asked is None
        else f"{spelling.meant(asked, columns)}--{what}-column takes one of these",
    )


def is_file(path: Path) -> bool:
    """Whether there is a file at ``path``, which a cell of a table may have made of anything."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long, say
        return False


def without_nulls(values: Any, instead: str | int) -> Any:
    """``values`` with another value ``instead`` of null, for which pyarrow imports pandas: only where there is one."""
    return values.fill_null(instead) if values.null_count else values


def texts(values: Any) -> list[str]:
    """A column's cells (N,) as text; null is ''."""
    import pyarrow as pa

    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        cells: list[str] = without_nulls(values, "").to_pylist()
        return cells
    return ["" if cell is None else str(cell) for cell in values.to_pylist()]


def coded(values: Any) -> tuple[list[str], Counts]:
    """The different cells of a column as text (U,), in the order in which they come, and each row's among them (N,).

    Null is ''. Not for nested columns.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = without_nulls(values, "")
    encoded = values.dictionary_encode().combine_chunks()
    names = ["" if cell is None else str(cell) for cell in encoded.dictionary.to_pylist()]
    if encoded.indices.null_count:
        names.append("")
    return names, indices(encoded, len(names) - 1)


def indices(encoded: Any, instead: int) -> Counts:
    """Where in its dictionary each row of ``encoded`` is (N,); ``instead`` where it is null."""
    return np.from_dlpack(without_nulls(encoded.indices, instead)).astype(np.int64)  # to_numpy would import pandas


def is_nested(values: Any) -> bool:
    """Whether a column's cells are lists or the like, which make no groups."""
    from pyarrow import types

    return bool(types.is_nested(values.type))


def kind(arrow: Any) -> Kind:
    """What cells of an Arrow type are."""
    from pyarrow import types

    if types.is_dictionary(arrow):
        arrow = arrow.value_type
    if types.is_string(arrow) or types.is_large_string(arrow) or types.is_null(arrow):
        return "text"
    if types.is_integer(arrow) or types.is_floating(arrow):
        return "number"
    if types.is_list(arrow) or types.is_large_list(arrow) or types.is_fixed_size_list(arrow):
        return {"number": "list", "text": "names"}.get(kind(arrow.value_type), "other")  # type: ignore[return-value]
    return "media" if types.is_struct(arrow) and _is_media(arrow) else "other"


def _is_media(arrow: Any) -> bool:
    """Whether a struct is an image or a sound as Hugging Face stores it: bytes, and a path."""
    from pyarrow import types

    fields = {arrow.field(at).name: arrow.field(at).type for at in range(arrow.num_fields)}
    if fields.keys() != {"bytes", "path"} or arrow.num_fields != 2:
        return False
    kept, path = fields["bytes"], fields["path"]
    holds = types.is_binary(kept) or types.is_large_binary(kept) or types.is_null(kept)
    return bool(holds and (types.is_string(path) or types.is_large_string(path) or types.is_null(path)))


def _usual(head: Head, names: Sequence[str], kinds: Sequence[Kind]) -> str | None:
    """The first of ``names`` that is a column of one of ``kinds``: a ``review`` may be a number of stars."""
    return usual([name for name, kind in head.kinds.items() if kind in kinds], names)


def _head(source: DataSource) -> Head | None:
    """The head of the table at ``source.path``, None where there is none."""
    if not source.path.is_file():
        return None
    with source.path.open("rb") as file:
        start = file.read(_HEAD)
    if start.startswith(b"PAR1"):
        return _parquet_head(source.path)
    text = decoded(start)
    if text is None or tags.told_by(text):
        return None
    # What is cut off by the end of the head is no row.
    text = text if len(start) < _HEAD else text.rpartition("\n")[0]
    return _csv_head(text, (*LABELS, source.label_column), encoding(start))


def _csv_head(text: str, alone: Sequence[str | None], encoding: str) -> Head | None:
    line = text.lstrip().partition("\n")[0].strip()
    if line.startswith(("{", "[")):
        return None
    between, blank = delimiter(line), blank_first(line)
    if between not in line and line.strip('"') not in alone:  # a column of labels may stand alone
        return None
    names: list[str] = []
    rows: list[list[str]] = []
    try:
        for row in csv.reader(text.splitlines(keepends=True), delimiter=between, skipinitialspace=blank):
            if not names:
                names = [name.strip() for name in row] if any(map(str.strip, row)) else []
            elif len(row) == len(names):
                rows.append(row)
    except csv.Error:
        pass  # which reading the file will say
    first = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    return Head(
        delimiter=between,
        kinds={name: _kind_of(cells) for name, cells in first.items()},
        first=first,
        encoding=encoding,
        blank_first=blank,
        nameless=nameless(names, rows),
    )


def _kind_of(cells: Sequence[str]) -> Kind:
    found = [cell for cell in cells if cell.strip() not in ABSENT]
    return "number" if found and all(re.match(NUMBER, cell) for cell in found) else "text"


def _parquet_head(path: Path) -> Head:
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            kinds = {each.name: kind(each.type) for each in file.schema_arrow}
            wanted = [name for name in kinds if kinds[name] in ("text", "number")]
            batch = next(file.iter_batches(batch_size=64, columns=wanted), None) if wanted else None
        first = {} if batch is None else _cells(arrow.validated(batch))
    except arrow.faults():
        return Head(delimiter=None, kinds={})
    return Head(delimiter=None, kinds=kinds, first=first)


def _cells(batch: Any) -> dict[str, list[str]]:
    return {name: texts(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _csv(path: Path, head: Head) -> list[tuple[str, Any]]:
    import pyarrow as pa

    blocks: list[list[Any]] = []
    try:
        with path.open(encoding=head.encoding, newline="") as file:
            rows = _rows(path, file, head)
            names = [name.strip() for name in next(rows)]
            while block := list(islice(rows, _BLOCK)):
                blocks.append([pa.array(cells, pa.large_string()) for cells in zip(*block, strict=True)])
    except (csv.Error, UnicodeError) as error:
        raise DataError(
            f"{path}: no readable CSV: {error}", hint="expected is UTF-8 or UTF-16 text with a header line"
        ) from error
    return [
        (name, pa.chunked_array([block[at] for block in blocks], pa.large_string())) for at, name in enumerate(names)
    ]


def _rows(path: Path, file: IO[str], head: Head) -> Iterator[list[str]]:
    """The header and then every row that is not blank, all of the same number of cells."""
    reader = csv.reader(file, delimiter=head.delimiter or ",", strict=True, skipinitialspace=head.blank_first)
    width = 0
    for row in reader:
        if not width:
            if any(map(str.strip, row)):
                width = len(row)
                yield row
        elif len(row) == width:
            yield row
        elif row:
            raise DataError(
                f"{path}, line {reader.line_num}: {len(row)} cells, the header has {width}",
                hint="quote cells that hold the delimiter",
            )


def _parquet(path: Path) -> list[tuple[str, Any]]:
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            table = arrow.validated(arrow.counted(file.read(), file.metadata.num_rows))
        columns = [_plain(values) for values in table.columns]
        for values in columns:
            if kind(values.type) == "other" and not is_nested(values):
                coded(values)  # a date may be none that Python knows, and a group is made of its text
    except arrow.faults() as error:
        raise DataError(
            f"{path}: no readable Parquet file: {said(error)}", hint="the file may be incomplete"
        ) from error
    return list(zip(table.column_names, columns, strict=True))


def _plain(values: Any) -> Any:
    """A column whose cells are written once each, as those of a data frame's categories are, cell by cell."""
    from pyarrow import types

    return values.cast(values.type.value_type) if types.is_dictionary(values.type) else values
