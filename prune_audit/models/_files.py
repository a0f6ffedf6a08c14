"""The identity of a model file: its digest and its size on disk.

Models are often larger than memory is free, so files are read in pieces. External data belong to the model: two
ONNX files with equal graphs and different weights beside them are different models.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_PIECE = 1 << 20


def digest(*paths: Path) -> str:
    """The SHA-256 of ``paths``, one after the other, as hexadecimal digits."""
    running = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                running.update(piece)
    return running.hexdigest()


def size(*paths: Path) -> int:
    """The bytes that ``paths`` take together."""
    return sum(path.stat().st_size for path in paths)
