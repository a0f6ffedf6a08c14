"""Where the bytes of a sample are kept: in a file of its own, which a `Path` is, or in a cell of a table."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, Literal, Protocol


class Stored(Protocol):
    """What can be opened for the bytes of one sample; as text it says where they are."""

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """The bytes, from their first. Raises `OSError`, or `ValueError` where there are none."""
        ...


def opened(stored: Stored) -> IO[bytes]:
    """The bytes of a sample. A path that leads to a device or a pipe is none: reading it might never end.

    Raises:
        OSError, ValueError: as `Stored.open`.
    """
    if isinstance(stored, Path) and stored.exists() and not stored.is_file():
        raise OSError(errno.EINVAL, "neither a file nor a link to one", str(stored))
    return stored.open("rb")
