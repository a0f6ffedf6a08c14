"""A small text file that the user named, or an error that says what is wrong with it.

A path that is not there is a wrong path and not a wrong form, so its hint speaks of the path.
"""

from __future__ import annotations

from pathlib import Path

from prune_audit.errors import DataError


def read(path: Path, what: str, forms: str) -> str:
    """The text at ``path``, UTF-8 with or without a byte order mark. ``what`` it is and its ``forms`` go in messages.

    Raises:
        DataError: there is no such file, it cannot be read, or it is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file", hint=f"check the path of the {what}") from error
    except OSError as error:
        raise DataError(
            f"{path}: the {what} cannot be read: {error.strerror}", hint=f"check the path of the {what}"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text in UTF-8, found other bytes", hint=f"expected is {forms}") from error
