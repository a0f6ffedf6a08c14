"""Which path was meant by one that is not there: what errors about a missing file or folder ask."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from prune_audit import spelling

MOST = 5000  # names of a folder that are looked at: a folder of images may hold millions


def meant(path: Path) -> str:
    """The question that a hint begins with, and a blank; '' where the name of nothing that is there is near.

    The first part of the ``path`` that is missing is held against what lies beside it, so that a folder may be
    misspelt as well as a file. Where a name with an ending is missing, no folder without one is meant.
    """
    try:
        there = next(each for each in path.parents if each.is_dir())
        missing, *rest = path.parts[len(there.parts) :]
        ends = not rest and Path(missing).suffix
        around = islice(os.scandir(there), MOST)
        names = [entry.name for entry in around if not (ends and entry.is_dir() and not Path(entry.name).suffix)]
    except (OSError, StopIteration, ValueError):  # it cannot be listed, or is no path
        return ""
    near = [there / name for name in spelling.near(missing, sorted(names))]
    whole = [each.joinpath(*rest) for each in near]
    found = [full if full.exists() else each for full, each in zip(whole, near, strict=True)]
    return f"did you mean {found[0]}? " if found else ""
