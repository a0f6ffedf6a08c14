"""The file that is replaced where something is written to a path."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from prune_audit.errors import OutputError


def target(path: Path, *, named: bool = True) -> Path:
    """The file to put in place where ``path`` is written.

    Where a person ``named`` the path, a link stays one to the new content. A path in a folder that may have come from
    somebody else, under a name of ours, is replaced itself: a link there would lead to any file of whoever runs this.

    Raises:
        OutputError: a folder, a device or a pipe is there, which must not be replaced by a file.
    """
    # pathlib would raise where links lead in a circle, which is replaced.
    found = Path(os.path.realpath(path)) if named else path
    try:
        mode = found.lstat().st_mode
    except OSError:  # nothing is there, or whoever writes will hear why not
        return found
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path}: expected a file, found a folder", hint="give the name of a file")
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise OutputError(
            f"{path}: expected a file, found a device, a pipe or a socket",
            hint="give the name of a file, which is replaced",
        )
    return found
