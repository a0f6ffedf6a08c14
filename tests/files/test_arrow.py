"""Tables of others: what only shows when a cell is asked for is found before, and is one kind of error."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from prune_audit.files import arrow


def test_whole_tables_are_as_they_were() -> None:
    table = pa.table({"a": ["ä", None], "b": [[1.5], []], "c": [{"d": b"\xff"}, None]})
    assert arrow.validated(table) is table
    assert arrow.validated(table.to_batches()[0]).num_rows == 2


def test_a_table_has_the_rows_that_its_file_tells() -> None:
    table = pa.table({"a": [1, 2, 3]})
    assert arrow.counted(table, 3) is table
    for rows in (2, 4):
        with pytest.raises(ValueError, match=f"it says that it has {rows} rows, and holds 3"):
            arrow.counted(table, rows)


def text(offsets: list[int], content: bytes) -> pa.Array:
    buffers = [None, pa.py_buffer(np.array(offsets, np.int32)), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)


@pytest.mark.parametrize(("offsets", "content"), [([0, 9000, 5], b"hello"), ([0, 1], b"\xff")])
def test_columns_that_lie(offsets: list[int], content: bytes) -> None:
    with pytest.raises(ValueError, match="its columns are damaged: "):
        arrow.validated(pa.table({"a": text(offsets, content)}))


def test_what_pyarrow_raises_is_among_its_faults() -> None:
    for fault in (
        pa.ArrowInvalid,
        pa.ArrowNotImplementedError,
        pa.ArrowKeyError,
        pa.ArrowTypeError,
        UnicodeDecodeError,
    ):
        assert issubclass(fault, arrow.faults())
    assert not issubclass(MemoryError, arrow.faults())
    assert not issubclass(pa.ArrowMemoryError, arrow.faults())
    assert not issubclass(AttributeError, arrow.faults())  # which is a fault of ours
