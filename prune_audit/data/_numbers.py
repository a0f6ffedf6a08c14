"""Columns of a table as numbers, and the cells that are none: never 0 and never NaN in place of what is missing.

Whole numbers stay whole (token ids, masks); others become float32, as what trained the model gave it, unless the model
itself takes float64. A row with a cell that is no number is an unreadable sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array
from prune_audit.errors import AlignmentError, DataError
from prune_audit.files import tables

Mask = npt.NDArray[np.bool_]
WHOLE = r"^\s*-?\d{1,18}\s*$"
FEW = 100
"""Different values up to which a column of numbers is a group as well: a sex written as 0 and 1, an age in years."""


def numeric(values: Any, text: bool) -> bool:
    """Whether all cells of a column that are not missing are numbers; ``text`` where these are written as text."""
    import pyarrow.compute as pc

    kind = tables.kind(values.type)
    if kind != "text" or not text:
        return kind == "number"
    found = values.filter(pc.invert(_missing(values)))
    return len(found) > 0 and bool(pc.all(pc.match_substring_regex(found, tables.NUMBER)).as_py())


def not_numeric(values: Any) -> str | None:
    """The first cell of a column of text that is no number though others are; None where it is text altogether."""
    import pyarrow.compute as pc

    if tables.kind(values.type) != "text" or values.null_count == len(values):
        return None
    number = pc.match_substring_regex(values, tables.NUMBER)
    other = values.filter(pc.and_(pc.invert(number), pc.invert(_missing(values))))
    return str(other[0].as_py()) if pc.any(number).as_py() and len(other) else None


def of_cells(path: Path, name: str, values: Any) -> tuple[Array, Mask]:
    """A column as int64 or float64 (N,), and where it holds a finite number (N,).

    Raises:
        DataError: it is no column of numbers at all.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if tables.kind(values.type) == "text":
        values = values.cast(pa.large_string())
        good = pc.fill_null(pc.match_substring_regex(values, tables.NUMBER), False)
        if not pc.any(good).as_py():
            raise DataError(
                f"{path}: the column {name!r} holds no numbers ({str(values[0].as_py())!r} in row 1)",
                hint="make numbers of it as it was done for training, or leave it out of --features",
            )
        whole = pc.all(pc.or_(pc.match_substring_regex(values, WHOLE), _missing(values))).as_py()
        numbers = pc.if_else(good, pc.utf8_trim_whitespace(values), None)
        values = numbers.cast(pa.float64() if not whole else pa.int64())
    elif pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    elif tables.kind(values.type) != "number":
        raise DataError(
            f"{path}: the column {name!r} holds {values.type}, no numbers", hint="leave it out of --features"
        )
    valid = values.is_valid().to_numpy()
    cells = values.fill_null(0).to_numpy()
    return cells, valid & np.isfinite(cells)


def of_lists(path: Path, name: str, values: Any) -> tuple[Array, Mask]:
    """A column of lists of one length as (N, L), and the rows where all of a list is finite numbers (N,).

    Raises:
        DataError: the lists differ in length.
    """
    import pyarrow.compute as pc

    lengths = pc.list_value_length(values)
    shortest, longest = (pc.min_max(lengths)[side].as_py() for side in ("min", "max"))
    if shortest != longest:
        raise DataError(
            f"{path}: the lists in column {name!r} are of {shortest} to {longest} numbers",
            hint="save them padded to one length, as the model was trained, with the mask as a column of its own; "
            "texts can be fed as they are, with --tokenizer",
        )
    valid = values.is_valid().to_numpy()
    flat = pc.list_flatten(values)
    inside = flat.fill_null(0).to_numpy()
    lists = np.zeros((len(values), longest or 0), inside.dtype)  # (N, L)
    lists[valid] = inside.reshape(int(valid.sum()), -1)
    known = np.zeros(lists.shape, np.bool_)  # (N, L)
    known[valid] = (flat.is_valid().to_numpy() & np.isfinite(inside)).reshape(int(valid.sum()), -1)
    return lists, valid & known.all(axis=1)


def typed(values: Array, wanted: str | None) -> Array:
    """``values`` in C order: whole numbers as int64 for a model that may take them, else floats."""
    if values.dtype.kind in "iu" and (wanted is None or np.dtype(wanted).kind in "iu"):
        return np.ascontiguousarray(values, np.int64)
    # Values that a model of whole numbers cannot hold are found where they are cast for it.
    return np.ascontiguousarray(values, np.float64 if wanted in ("float64", *_INTEGERS) else np.float32)


def fault(column: Any, row: int, name: str) -> str:
    """Why the sample at ``row`` cannot be read, for people."""
    cell = column[row].as_py()
    if cell in (None, "") or isinstance(cell, list):
        return f"column {name!r} is empty" if not cell else f"column {name!r} holds a value that is no number"
    return f"column {name!r} holds {str(cell)!r}, which is no number"


def few(values: Any) -> bool:
    """Whether a column has so few different values that they make groups."""
    import pyarrow.compute as pc

    return not tables.is_nested(values) and pc.count_distinct(values).as_py() <= FEW


def counts(values: Array) -> bool:
    """Whether whole numbers (N,) are different in every row, as ids and row numbers are."""
    return values.dtype.kind in "iu" and len(values) > FEW and len(np.unique(values)) == len(values)


def shape_of(name: str, values: Array, rank: int) -> Array:
    """A column (N,) for an input of so many dimensions, the batch among them: (N,) or (N, 1)."""
    if rank == 1:
        return values
    if rank == 2:
        return values[:, None]
    raise AlignmentError(
        f"the input {name!r} has {rank} dimensions, a column of numbers has one",
        hint="feed such inputs from an .npz file, with one array for each",
    )


def _missing(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(values)
    return pc.fill_null(pc.is_in(trimmed, value_set=pa.array(tables.ABSENT, trimmed.type)), True)


_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
