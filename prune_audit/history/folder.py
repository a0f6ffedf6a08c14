"""The releases that a folder remembers: one file each, written whole and never changed, named by its time and digest.

A file begins with a digest of the rest and of its name (`prune_audit.files.sealed`). One that is damaged ends the run:
a release that cannot be read would make the count too small, and the place of every later one in the stream another.
"""

from __future__ import annotations

import json
from pathlib import Path

from prune_audit.errors import InputError
from prune_audit.files import parse, sealed
from prune_audit.history.releases import CODEC, Release

SUFFIX = ".release"
SCHEMA = "prune-audit-release/1"
DIGEST = 12  # of the identity, in the name


def read(folder: Path) -> tuple[Release, ...]:
    """The releases in ``folder``, the earliest first; none where there is no such folder.

    Raises:
        InputError: it is no folder, or a file in it cannot be read or is damaged; it is left as it is.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return ()
    except OSError as fault:
        raise InputError(
            f"{folder}: expected a folder of releases: {fault.strerror or fault}", hint="give --history a folder"
        ) from fault
    found = [_read(path) for path in paths]
    return tuple(sorted(found, key=lambda release: (release.time, release.identity)))


def _read(path: Path) -> Release:
    try:
        document = parse.json(sealed.read(path, path.stem))
    except (sealed.DamagedFile, ValueError) as fault:
        raise InputError(
            f"{path} is damaged, or was renamed: it is not what was written there, and is left as it is",
            hint="put a copy in its place; moved elsewhere, it is a release that is not counted any more",
        ) from fault
    except OSError as fault:
        raise InputError(f"{path}: {fault.strerror or fault}", hint="make it readable") from fault
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else None
        raise InputError(
            f"{path}: expected schema {SCHEMA!r}, found {found!r}", hint="it was written by another version"
        )
    try:
        release: Release = CODEC.read("", document)
    except InputError as fault:
        raise InputError(f"{path}: {fault.message}", hint="it was written by another version") from fault
    return release


def add(folder: Path, release: Release) -> None:
    """Write ``release`` into ``folder``, which is made where there is none.

    Raises:
        OutputError: it cannot be written.
    """
    stamp = release.time.replace("-", "").replace(":", "")
    path = folder / f"{stamp}-{release.identity[:DIGEST]}{SUFFIX}"
    content = json.dumps({"schema": SCHEMA, **CODEC.write(release)}, allow_nan=False, separators=(",", ":"))
    sealed.write(
        path,
        content.encode("utf-8", "backslashreplace") + b"\n",
        path.stem,
        what="releases",
        hint="make room, or give --history a folder that you may write to",
    )
