"""CSV (.csv): one row per variant, stratification and stratum, every measure a column, nothing rounded.

The leading columns are fixed, so that other programs can rely on them; whatever else is measured follows. Shares are
shares (2 points are 0.02), change is pruned minus dense, and a cell is empty where there is no value. Names are
written as they are, so that a table can be joined by them.

A spreadsheet runs text that looks like a formula, so `--dialect csv=excel` puts an apostrophe before such text, never
before a number, and a mark at the start of the file from which Excel knows that it is UTF-8.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat

from prune_audit.core import Audit, Table, Value
from prune_audit.core.rows import columns_of

SUFFIXES = (".csv",)
TOGETHER = 100  # rows in one piece

# What may start a formula; a tab or a line break too, because Excel drops them and looks at what follows, and the wide
# forms, which it takes for the narrow ones where they are usual (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def render(audit: Audit) -> str:
    """The table, as RFC 4180 has it."""
    return "".join(pieces(audit))


def pieces(audit: Audit) -> Iterator[str]:
    """What `render` gives, piece by piece."""
    return _table(audit, spreadsheet=False)


def excel(audit: Audit) -> Iterator[str]:
    """The table for a spreadsheet: no cell is run, and names beyond ASCII arrive whole."""
    return _table(audit, spreadsheet=True)


DIALECTS = {"excel": excel}


def text(names: Sequence[str], rows: Sequence[Mapping[str, Value]], *, spreadsheet: bool = False) -> str:
    """Rows by the ``names`` of columns, as RFC 4180 has them or for a ``spreadsheet``; what is absent is empty."""
    return "".join(_written(names, ([row.get(name) for name in names] for row in rows), spreadsheet=spreadsheet))


def of(table: Table) -> str:
    """A table of a lens or of a mitigation: a column for each of its fields."""
    names = [field.name for field in table.fields]
    return text(names, [dict(zip(names, row, strict=True)) for row in table.rows])


def _table(audit: Audit, *, spreadsheet: bool) -> Iterator[str]:
    names, parts = columns_of(audit.comparisons)
    rows = (row for part in parts for row in zip(*(part.get(name, repeat(None)) for name in names), strict=False))
    return _written(names, rows, spreadsheet=spreadsheet)


def _written(names: Sequence[str], rows: Iterable[Sequence[Value]], *, spreadsheet: bool) -> Iterator[str]:
    """The pieces of a table, each of whose ``rows`` has a cell for every name."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    written.write("\ufeff" if spreadsheet else "")
    writer.writerow(names)
    left = iter(rows)
    while some := list(islice(left, TOGETHER)):
        writer.writerows([[_safe(cell) for cell in row] for row in some] if spreadsheet else some)
        yield written.getvalue()
        written.seek(0)
        written.truncate()
    yield written.getvalue()


def _safe(cell: Value) -> Value:
    """``cell`` as a spreadsheet shows it rather than runs it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
