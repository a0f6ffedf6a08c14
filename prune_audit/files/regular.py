"""A file that is read whole, which must be one: a device has no end, and a pipe may never come to one.

Links are followed, and where a link in somebody's folder leads, nobody knows.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path


class NoFile(OSError):
    """There is something, and it is neither a file nor a folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "it is no file but a device or a pipe", str(path))


def content(path: Path, *, pipe: bool = False) -> bytes:
    """The bytes of the file at ``path``. With ``pipe`` it may be one, as what a shell puts in place of ``<(...)`` is.

    Raises:
        NoFile: it is none.
        OSError: it cannot be read.
    """
    _check(path, pipe)
    return path.read_bytes()


def text(path: Path, encoding: str = "utf-8", *, pipe: bool = False) -> str:
    """The text of the file at ``path``, its lines ended by ``\\n``; ``pipe`` as in `content`.

    Raises:
        NoFile: it is none.
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text in that encoding.
    """
    _check(path, pipe)
    return path.read_text(encoding=encoding)


def _check(path: Path, pipe: bool) -> None:
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (pipe and stat.S_ISFIFO(mode))):  # reading says it of a folder
        raise NoFile(path)
