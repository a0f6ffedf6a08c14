"""Flipped samples as CSV (flips.csv, or any name that ends in .flips.csv): what exactly one of the models gets right.

One row for each that the audit kept, in its order, lost ones first; the audit's ``flipped`` says how many there were.
Names are written as they are, so that they can be joined with the list of the data.
"""

from __future__ import annotations

import csv
import io

from prune_audit.core import Audit
from prune_audit.reports.csv import FORMULA

SUFFIXES = ()
COLUMNS = ("variant", "sample", "label", "dense", "pruned", "flip")


def render(audit: Audit) -> str:
    """The list, as RFC 4180 has it."""
    return _text(_rows(audit))


def excel(audit: Audit) -> str:
    """The list for a spreadsheet: no cell is run, and names beyond ASCII arrive whole."""
    return "\ufeff" + _text(
        [[f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row] for row in _rows(audit)]
    )


NAMES = {"flips.csv": render}
DIALECTS = {"excel": excel}


def _rows(audit: Audit) -> list[list[str]]:
    return [
        [c.pruned.name, flip.id, flip.label, flip.dense, flip.pruned, flip.went]
        for c in audit.comparisons
        for flip in c.flips
    ]


def _text(rows: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()
