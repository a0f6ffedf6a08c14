"""What lenses saw as CSV (lenses.csv, or any name that ends in .lenses.csv): a row for each value of their tables.

Nothing is rounded, shares are shares, and a cell is empty where there is no value. What lenses say of each class as a
number is a column of the other CSV as well.
"""

from __future__ import annotations

from prune_audit.core import Audit, Value
from prune_audit.reports.csv import text

SUFFIXES = ()
COLUMNS = ("variant", "lens", "table", "row", "field", "unit", "value")


def render(audit: Audit) -> str:
    """The list, as RFC 4180 has it."""
    return text(COLUMNS, _rows(audit))


def excel(audit: Audit) -> str:
    """The list for a spreadsheet: no cell is run, and names beyond ASCII arrive whole."""
    return text(COLUMNS, _rows(audit), spreadsheet=True)


NAMES = {"lenses.csv": render}
DIALECTS = {"excel": excel}


def _rows(audit: Audit) -> list[dict[str, Value]]:
    return [
        dict(zip(COLUMNS, (c.pruned.name, look.lens, table.name, at, field.name, field.unit, value), strict=True))
        for c in audit.comparisons
        for look in c.looks
        for table in look.tables
        for at, row in enumerate(table.rows)
        for field, value in zip(table.fields, row, strict=True)
    ]
