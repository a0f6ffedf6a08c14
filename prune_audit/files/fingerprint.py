"""The identity of many samples without running a model over them: what a store of predictions goes by.

Files of a small set are read whole. Of a large one, paths, sizes and times of change stand for what the files hold:
reading a terabyte to learn that it is the same would cost as much as what is to be saved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from prune_audit.core import BY_TIMES, Array
from prune_audit.files.stored import opened

SMALL = 256 * 2**20
"""Bytes that are read within the time that it takes to import torch."""


def of_files(files: Sequence[Path], verify: bool) -> str:
    """A digest over ``files``, in order: of their bytes where these are few or ``verify`` is set, else of their times.

    A file that cannot be read counts as absent, which the run then reports.
    """
    digest = hashlib.blake2b(digest_size=32)
    found: list[tuple[int, int]] = []
    for file in files:
        try:
            state = file.stat()
            found.append((state.st_size, state.st_mtime_ns))
        except (OSError, ValueError):  # a path may hold what no path can
            found.append((0, -1))
    whole = verify or sum(size for size, _ in found) <= SMALL
    for file, (size, time) in zip(files, found, strict=True):
        digest.update(
            _content(file) if whole else f"{file.absolute()}\0{size}\0{time}\n".encode("utf-8", "surrogateescape")
        )
    return ("" if whole else BY_TIMES) + digest.hexdigest()


def of_arrays(arrays: Mapping[str, Array]) -> str:
    """A digest over named arrays: names, types, shapes and values."""
    digest = hashlib.blake2b(digest_size=32)
    for name in sorted(arrays):
        values = arrays[name]
        digest.update(f"{name}\0{values.dtype.str}\0{values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).view(np.uint8).data if values.size else b"")
    return digest.hexdigest()


def _content(file: Path) -> bytes:
    try:
        digest = hashlib.blake2b(digest_size=32)
        with opened(file) as whole:
            while piece := whole.read(1 << 20):
                digest.update(piece)
        return digest.digest()
    except (OSError, ValueError):
        return bytes(32)
