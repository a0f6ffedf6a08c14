"""Tables of recorded predictions as Arrow columns: Parquet, CSV, JSON and NPZ, told by their content.

What a file is called says nothing. In a CSV everything is text until somebody knows better, so that an id "0010" and
a class "007" stay what they are. No pickle is ever read.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from prune_audit.core import Array
from prune_audit.errors import ModelError
from prune_audit.files import archive, arrow, coco, json_lines, parse, regular, tags
from prune_audit.files.columns import IDS, PATHS, blank_first, decoded, delimiter, encoding, nameless

if TYPE_CHECKING:
    import pyarrow as pa

Form = Literal["parquet", "csv", "json", "npz"]
Kind = Literal["text", "integer", "real", "scores", "names", "other"]

PREDICTED = ("predicted", "prediction", "predictions", "pred")
SCORES = ("scores", "logits", "probabilities")
EACH = "score_"
"""Columns of scores are called like their class, or like it behind this."""

_HEAD = 1 << 16
_JSON = re.compile(r'\s*(\[\s*[-\d"\[{]|\{\s*"(?:[^"\\]|\\.)*"\s*:\s*[-\d"\[])')
NAMED = "write the names of the columns above, such as id,predicted"
_FORMS = "a Parquet, CSV, JSON or NPZ file with one prediction a sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that has been looked at and not been read: what its columns hold, and how to read some of them.

    ``widths`` are the numbers of scores in columns of scores, where the file tells. ``read(texts, numbers)`` gives
    the columns named, those first as text wherever the file does not know better. ``nameless`` says that the first
    line, which should hold the names of the columns, seems to be a sample.
    """

    kinds: Mapping[str, Kind]
    widths: Mapping[str, int]
    read: Callable[[Sequence[str], Sequence[str]], pa.Table]
    nameless: bool = False


def form(path: Path) -> Form | None:
    """What kind of table the file at ``path`` is, None where it is none; only its first bytes are looked at."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK"):
        return "npz" if _is_npz(path) else None
    text = decoded(head)
    if text is None or tags.told_by(text):
        return None
    if _JSON.match(text):
        # Lines of JSON are records of something else, as are logs, and what detectors find.
        other = json_lines.is_lines(text) or json_lines.is_log(text) or coco.told_by(text) is not None
        return None if other else "json"
    return "csv" if _is_csv(text, whole=len(head) < _HEAD) else None


def uneven(path: Path) -> str:
    """What is wrong with a table of predictions that is not told as one because its rows differ in length, else ''."""
    names, *rows = _first(path) or [[]]
    if len(names) > 1 and {name.strip().lower() for name in names} & {*IDS, *PATHS, *PREDICTED}:
        for at, row in enumerate(rows, 2):
            if row and len(row) != len(names):
                return f", whose row {at} has {len(row)} cells, and its line of names {len(names)}"
    return ""


def opened(path: Path) -> Table:
    """The table at ``path``.

    Raises:
        ModelError: the file is damaged, or is no table of predictions.
    """
    import pyarrow as pa

    how = form(path)
    if how is None:
        raise ModelError(f"{path} holds no predictions", hint=f"expected is {_FORMS}")
    try:
        schema, read = {"parquet": _parquet, "csv": _csv, "json": _json, "npz": _npz}[how](path)
    except arrow.faults(csv.Error) as fault:
        raise _damaged(path, fault) from fault
    first = _first(path) if how == "csv" else []
    without = len(first) > 1 and nameless(first[0], first[1:])
    twice = [name for name, times in Counter(schema.names).items() if times > 1]
    if twice:
        raise ModelError(
            f"{path}: the column {twice[0]!r} is there more than once", hint=NAMED if without else "rename one of them"
        )
    return Table(
        nameless=without,
        kinds={field.name: kind(field.type) for field in schema},
        widths={f.name: f.type.list_size for f in schema if pa.types.is_fixed_size_list(f.type)},
        read=partial(_read, path, read),
    )


def _first(path: Path) -> list[list[str]]:
    """The first rows of the CSV at ``path``, its line of names being the first."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    lines = head.decode(encoding(head), "replace").splitlines()
    try:
        return list(csv.reader(lines, delimiter=delimiter(lines[0]))) if lines else []
    except csv.Error:
        return []


def kind(arrow: pa.DataType) -> Kind:
    """What cells of an Arrow type are."""
    from pyarrow import types

    if types.is_dictionary(arrow):
        arrow = arrow.value_type
    if types.is_string(arrow) or types.is_large_string(arrow) or types.is_null(arrow):
        return "text"
    if types.is_integer(arrow) or types.is_boolean(arrow):
        return "integer"
    if types.is_floating(arrow):
        return "real"
    if types.is_list(arrow) or types.is_large_list(arrow) or types.is_fixed_size_list(arrow):
        held = kind(arrow.value_type)
        return "scores" if held in ("integer", "real") else "names" if held == "text" else "other"
    return "other"


_Read = Callable[[Sequence[str], Sequence[str]], Any]


def _read(path: Path, read: _Read, texts: Sequence[str], numbers: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    try:
        table = arrow.validated(read(texts, numbers))
        for at, field in enumerate(table.schema):
            if pa.types.is_uint64(field.type):  # whole numbers are compared as such that have a sign
                table = table.set_column(at, field.name, table.column(at).cast(pa.int64()))
        return table
    except arrow.faults(csv.Error) as fault:
        raise _damaged(path, fault) from fault


def _damaged(path: Path, fault: Exception) -> ModelError:
    return ModelError(f"{path}: the predictions cannot be read: {archive.said(fault)}", hint=f"expected is {_FORMS}")


def _parquet(path: Path) -> tuple[pa.Schema, _Read]:
    from pyarrow import parquet

    def read(texts: Sequence[str], numbers: Sequence[str]) -> pa.Table:
        with parquet.ParquetFile(path) as file:
            return arrow.counted(file.read(columns=[*texts, *numbers]), file.metadata.num_rows)

    with parquet.ParquetFile(path) as file:
        return file.schema_arrow, read


def _csv(path: Path) -> tuple[pa.Schema, _Read]:
    import pyarrow as pa
    from pyarrow import csv as arrow

    with path.open("rb") as opened:
        how = encoding(opened.read(2))
    with path.open(encoding=how, newline="") as file:
        line = file.readline()
    between = delimiter(line)
    parsing = arrow.ParseOptions(delimiter=between, newlines_in_values=True)
    plain = how != "utf-16" and not blank_first(line)
    # Arrow reads plain UTF-8 alone: what is written otherwise is written again for it.
    content = None if plain else _owned(_plain(path, how, between, blank=blank_first(line)))

    def read(texts: Sequence[str], numbers: Sequence[str]) -> pa.Table:
        types = {name: pa.string() for name in texts} | {name: pa.float64() for name in numbers}
        wanted = arrow.ConvertOptions(include_columns=[*texts, *numbers], column_types=types)
        return arrow.read_csv(source(), parse_options=parsing, convert_options=wanted)

    def source() -> Any:
        return path if content is None else pa.BufferReader(content)

    with arrow.open_csv(source(), parse_options=parsing) as reader:
        # What looks like a date or a time is a name here.
        found = [each if kind(each.type) != "other" else each.with_type(pa.string()) for each in reader.schema]
        return pa.schema(found), read


def _owned(content: bytes) -> pa.Buffer:
    """``content`` in memory of Arrow's own: a thread of it that lets go of Python's may abort a process that ends."""
    import pyarrow

    stream = pyarrow.BufferOutputStream()
    stream.write(content)
    return stream.getvalue()


def _plain(path: Path, how: str, between: str, *, blank: bool) -> bytes:
    """The CSV at ``path`` in UTF-8, without the ``blank`` behind each delimiter where there is one."""
    written = io.StringIO(newline="")
    with path.open(encoding=how, newline="") as file:
        rows = csv.reader(file, delimiter=between, skipinitialspace=blank)
        csv.writer(written, delimiter=between).writerows(row for row in rows if row)
    return written.getvalue().encode()


def _json(path: Path) -> tuple[pa.Schema, _Read]:
    import pyarrow as pa

    held = regular.content(path)
    content = parse.json(held.decode(encoding(held)), finite=False)  # which of the scores are, is looked at later
    columns: Mapping[str, Any]
    if isinstance(content, list) and all(isinstance(each, dict) for each in content):
        table = pa.Table.from_pylist(content)
    else:
        if isinstance(content, list):
            columns = {_called(content): content}
        elif any(isinstance(content.get(name), list) for name in (*PREDICTED, *SCORES)):
            columns = content
        else:
            values = list(content.values())
            columns = {"id": list(content), _called(values): values}
        table = pa.table({name: pa.array(values) for name, values in columns.items()})
    return table.schema, lambda texts, numbers: table.select([*texts, *numbers])


def _called(values: Sequence[object]) -> str:
    """What a nameless list of ``values`` is: scores where these are lists, else classes."""
    return "scores" if values and all(isinstance(value, list) for value in values) else "predicted"


def _npz(path: Path) -> tuple[pa.Schema, _Read]:
    import pyarrow as pa

    columns = archive.read(path)
    rows = {name: values for name, values in columns.items() if values.ndim}
    lengths = {len(values) for values in rows.values()}
    if len(lengths) > 1:
        told = ", ".join(f"{name} {len(values)}" for name, values in rows.items())
        raise ValueError(f"the arrays are not of one length: {told}")
    table = pa.table({name: _arrow(values) for name, values in rows.items() if values.ndim <= 2})
    return table.schema, lambda texts, numbers: table.select([*texts, *numbers])


def _arrow(values: Array) -> Any:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(values).ravel())
    return flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _is_npz(path: Path) -> bool:
    members = archive.names(path)
    names = {member.removesuffix(".npy").lower() for member in members}
    # With labels beside its arrays it is data, unless it says that it holds predictions.
    return archive.is_arrays(members) and bool(
        names & {*PREDICTED, *SCORES} or (names & {*IDS, *PATHS} and "y" not in names)
    )


def _is_csv(text: str, *, whole: bool) -> bool:
    """Whether ``text`` begins with a line of names and goes on with as many cells; prose does neither."""
    line = text.partition("\n")[0]
    try:
        rows = [row for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter(line)) if row]
    except csv.Error:
        return False
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in (rows if whole else rows[:-1])):
        return False
    names = [name.strip().lower() for name in rows[0]]
    return len(names) > 1 or names[0] in PREDICTED
