"""Files that prove what they hold: each begins with a digest of the rest, and nothing of it is believed before that.

Disks, copies and caches of CI lose bits, and a Parquet file or a JSON document in which one bit is another is often a
valid one with other numbers in it. The digest is over what the file belongs to as well, so that a file which got into
the place of another one is no proof of anything there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from prune_audit.errors import OutputError
from prune_audit.files import regular
from prune_audit.files import target as targets

_HEAD = 65  # bytes of the first line: a SHA-256 in hexadecimal digits, and its end
_TRIES = 20  # to write a file whose folder another run keeps removing
_CACHE = "make room, name another folder with --cache DIR, or keep none with --no-cache"


class DamagedFile(Exception):
    """A file does not hold what was written into it, or was written for another place."""


def write(
    path: Path, content: bytes, of: str, *, what: str = "predictions", hint: str = _CACHE, within: Path | None = None
) -> None:
    """Write ``content``, which belongs to ``of``, whole or not at all, and its digest before it.

    A link at ``path`` is replaced; ``within`` as in `prune_audit.files.target.check_inside`.
    ``what`` it is, in the plural, and the ``hint`` are for whoever is told that it cannot be written.

    Raises:
        OutputError: the disk is full, or the folder cannot be written; what was there stays as it was.
    """
    if within is not None:
        targets.check_inside(path.parent, within)
    for left in reversed(range(_TRIES)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with targets.replacing(path, named=False) as file:
                file.write(_digest(content, of) + b"\n" + content)
            return
        except OSError as fault:
            # All that is kept has just been cleared: the file, its folder, or the folder while it was being made.
            if isinstance(fault, FileNotFoundError | FileExistsError) and left:
                continue
            raise OutputError(
                f"{what} cannot be kept in {path.parent}: {fault.strerror or fault}",
                hint=hint,
            ) from fault


def read(path: Path, of: str) -> bytes:
    """What was written into ``path`` for ``of``.

    Raises:
        DamagedFile: it is not what was written there.
        OSError: there is no such file, or it cannot be read.
    """
    try:
        held = regular.content(path)
    except regular.NoFile as fault:
        raise DamagedFile from fault
    content = held[_HEAD:]
    if held[:_HEAD] != _digest(content, of) + b"\n":
        raise DamagedFile
    return content


def _digest(content: bytes, of: str) -> bytes:
    digest = hashlib.sha256(f"{of}\0".encode())
    digest.update(content)
    return digest.hexdigest().encode()
