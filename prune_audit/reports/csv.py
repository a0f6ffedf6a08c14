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
from collections.abc import Mapping, Sequence

from prune_audit.core import Audit, Table, Value
from prune_audit.core.rows import rows_of

SUFFIXES = (".csv",)

# What may start a formula; a tab or a line break too, because Excel drops them and looks at what follows, and the wide
# forms, which it takes for the narrow ones where they are usual (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def render(audit: Audit) -> str:
    """The table, as RFC 4180 has it."""
    return text(*rows_of(audit.comparisons))


def excel(audit: Audit) -> str:
    """The table for a spreadsheet: no cell is run, and names beyond ASCII arrive whole."""
    return text(*rows_of(audit.comparisons), spreadsheet=True)


DIALECTS = {"excel": excel}


def text(names: Sequence[str], rows: Sequence[Mapping[str, Value]], *, spreadsheet: bool = False) -> str:
    """Rows by the ``names`` of columns, as RFC 4180 has them or for a ``spreadsheet``; what is absent is empty."""
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, names, restval="")
    writer.writeheader()
    writer.writerows({name: _safe(cell) for name, cell in row.items()} if spreadsheet else row for row in rows)
    return ("\ufeff" if spreadsheet else "") + written.getvalue()


def of(table: Table) -> str:
    """A table of a lens or of a mitigation: a column for each of its fields."""
    names = [field.name for field in table.fields]
    return text(names, [dict(zip(names, row, strict=True)) for row in table.rows])


def _safe(cell: Value) -> Value:
    """``cell`` as a spreadsheet shows it rather than runs it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
