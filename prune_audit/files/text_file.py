"""A small text file that the user named, or an error that says what is wrong with it.

A path that is not there is a wrong path and not a wrong form, so its hint speaks of the path.
"""

from __future__ import annotations

import csv
from pathlib import Path

from prune_audit.errors import DataError
from prune_audit.files import elsewhere, regular


def read(path: Path, what: str, forms: str) -> str:
    """The text at ``path``, UTF-8 with or without a byte order mark. ``what`` it is and its ``forms`` go in messages.

    Raises:
        DataError: there is no such file, it cannot be read, or it is no text.
    """
    try:
        return regular.text(path, "utf-8-sig", pipe=True)
    except FileNotFoundError as error:
        hint = f"{elsewhere.meant(path)}check the path of the {what}"
        raise DataError(f"{path}: there is no such file", hint=hint) from error
    except OSError as error:
        raise DataError(
            f"{path}: the {what} cannot be read: {error.strerror}", hint=f"check the path of the {what}"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text in UTF-8, found other bytes", hint=f"expected is {forms}") from error


def pairs(path: Path, text: str, forms: str) -> list[list[str]]:
    """The rows of ``text``, CSV of two columns that was read from ``path``, without blanks around cells and empty rows.

    Raises:
        DataError: it is no CSV, or a row has more or fewer than two cells.
    """
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    except csv.Error as error:
        raise DataError(f"{path}: no readable CSV: {error}", hint=f"expected is {forms}") from error
    rows = [row for row in rows if any(row)]
    for row in rows:
        if len(row) != 2:
            raise DataError(f"{path}: expected two columns, found {','.join(row)!r}", hint=f"expected is {forms}")
    return rows
