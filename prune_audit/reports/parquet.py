"""Parquet (.parquet): the rows and columns of the CSV, each column with its type.

Counts are 64-bit integers, other numbers 64-bit floats, names and verdicts text; null where there is no value. A type
follows from the measure and never from what happens to stand in the column, so that tables of several audits can be
joined: a column without a single value has its type all the same.
"""

from __future__ import annotations

import io

from prune_audit.core import Audit, Value
from prune_audit.core.rows import kinds, rows_of
from prune_audit.errors import MissingExtra

SUFFIXES = (".parquet",)
BINARY = True


def render(audit: Audit) -> bytes:
    """The table, compressed.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("a .parquet file needs pyarrow", hint="pip install pyarrow") from error

    names, rows = rows_of(audit.comparisons)
    types = {"count": pyarrow.int64(), "number": pyarrow.float64(), "label": pyarrow.string()}
    schema = pyarrow.schema(
        [pyarrow.field(_text(name), types[kind]) for name, kind in kinds(audit.comparisons, names).items()]
    )
    columns = {_text(name): [_text(row.get(name)) for row in rows] for name in names}
    written = io.BytesIO()
    parquet.write_table(pyarrow.table(columns, schema=schema), written, compression="zstd")
    return written.getvalue()


def _text(value: Value) -> Value:
    """``value``; a name that is no valid Unicode is spelled out, because Parquet's text is UTF-8."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
