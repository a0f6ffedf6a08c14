"""Tables that pyarrow read from files of others: what it raises, as one family, and what it must look at first.

Arrow trusts what it maps into memory: an offset that lies about the length of a text is only met when the text is
asked for, and may end the process. A full validation looks at every offset and at every text, and costs little beside
reading. pyarrow's errors are of many kinds, since it gives on those of the library, of the system and of Python.
"""

from __future__ import annotations

from typing import Any

from prune_audit.files.archive import said


def faults(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What pyarrow raises for files that are damaged or made up, and ``others``."""
    from pyarrow import lib

    # Not ArrowException, of which want of memory is one: that says nothing of the file.
    return (
        *others,
        lib.ArrowInvalid,
        lib.ArrowSerializationError,
        lib.ArrowCapacityError,
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        NotImplementedError,
        OverflowError,
    )


def counted(table: Any, rows: int) -> Any:
    """``table``, which has the ``rows`` that its file tells.

    Columns that are read apart, as labels and images are, would otherwise be joined with those of other samples.

    Raises:
        ValueError: it has more or fewer.
    """
    if len(table) != rows:
        raise ValueError(f"it says that it has {rows:,} rows, and holds {len(table):,}")
    return table


def validated(table: Any) -> Any:
    """``table``, in which every offset and every text was looked at.

    Raises:
        ValueError: it is not whole, or a text of it is no UTF-8.
    """
    try:
        table.validate(full=True)
    except faults() as fault:
        raise ValueError(f"its columns are damaged: {said(fault)}") from fault
    return table
