"""Where the bytes of a sample are kept: in a file of its own, which a `Path` is, or in a cell of a table."""

from __future__ import annotations

from typing import IO, Literal, Protocol


class Stored(Protocol):
    """What can be opened for the bytes of one sample; as text it says where they are."""

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """The bytes, from their first. Raises `OSError`, or `ValueError` where there are none."""
        ...
