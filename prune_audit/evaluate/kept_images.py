"""Decoded images on disk, so that the next audit of the same data decodes none of them again.

All images of one set of data, as its preprocessing makes them, are records of one length in one file, each at the place
of its row. A record proves what it holds: a digest over its key, its row and its content, so that a hole, a record that
was half written and one of another row are read as nothing, and the sample is decoded. So nobody has to lock anything,
and a run that is killed leaves what it has done.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Batch, Counts, Dataset

_PROOF = 24  # bytes of a digest
_HEAD = struct.Struct("<3Q")  # channels, height, width, behind a digest of them
_RECORD = struct.Struct("<QQ")  # the digest of the raw sample, and 1 where EXIF turns it, behind a digest of all


class KeptImages:
    """The images of ``dataset`` in the file at ``path``, made where it is not there, whose content belongs to ``key``.

    Nothing is kept where all of them take more than ``most`` bytes, or where the file cannot be written, which
    ``told`` is told once.
    """

    def __init__(self, path: Path, key: str, dataset: Dataset, most: int, told: Callable[[str], None]) -> None:
        self._path = path
        self._key = key.encode()
        self._dataset = dataset
        self._most = most
        self._told = told
        self._lock = threading.Lock()
        self._writes = True
        self._shape = self._known()  # (C, H, W), None until there is one

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        """As `prune_audit.core.Dataset.read`."""
        rows = np.asarray(rows, np.int64)
        found = self._found(rows)
        missing = np.array([row for row in rows.tolist() if row not in found], np.int64)
        if not found:
            fresh = self._dataset.read(rows)
            self._keep(fresh)
            return fresh
        bad: tuple[tuple[str, str], ...] = ()
        if len(missing):
            fresh = self._dataset.read(missing)
            self._keep(fresh)
            bad = fresh.bad
            turned = set(fresh.turned.tolist())
            for at, row in enumerate(fresh.rows.tolist()):
                found[row] = fresh.inputs["image"][at], int(fresh.digests[at]), row in turned
        own = np.array([row for row in rows.tolist() if row in found], np.int64)
        return Batch(
            rows=own,
            inputs={"image": np.stack([found[row][0] for row in own.tolist()])},
            labels=self._dataset.labels[own],
            digests=np.array([found[row][1] for row in own.tolist()], np.uint64),
            bad=bad,
            turned=np.array([row for row in own.tolist() if found[row][2]], np.int64),
        )

    def forget(self) -> None:
        """Remove what is kept: it is not known what it was decoded from."""
        with self._lock:
            self._writes = False
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _known(self) -> tuple[int, int, int] | None:
        with suppress(OSError), _opened(self._path, os.O_RDONLY) as file:
            held = file.read(_PROOF + _HEAD.size)
            if held[:_PROOF] == self._proof(b"head", held[_PROOF:]):
                os.utime(self._path)  # those that were used least recently make room for others
                shape: tuple[int, int, int] = _HEAD.unpack(held[_PROOF:])
                return shape
        return None

    def _found(self, rows: npt.NDArray[np.int64]) -> dict[int, tuple[Array, int, bool]]:
        """What is kept of ``rows``: pixels (C, H, W), the digest of the raw sample, whether EXIF turns it."""
        shape, found = self._shape, dict[int, tuple[Array, int, bool]]()
        if shape is None:
            return found
        length = _length(shape)
        with suppress(OSError), _opened(self._path, os.O_RDONLY) as file:
            for row in rows.tolist():
                file.seek(_PROOF + _HEAD.size + row * length)
                held = memoryview(file.read(length))
                if len(held) == length and held[:_PROOF] == self._proof(b"%d" % row, held[_PROOF:]):
                    digest, turned = _RECORD.unpack_from(held, _PROOF)
                    pixels = np.frombuffer(held, np.uint8, offset=_PROOF + _RECORD.size).reshape(shape)
                    found[row] = pixels, digest, bool(turned)
        return found

    def _keep(self, batch: Batch) -> None:
        """Write what was decoded, where there is room for all of it."""
        if not self._writes or not len(batch.rows):
            return
        images = batch.inputs["image"]
        shape: tuple[int, int, int] = images.shape[1:]
        try:
            with self._lock:
                if not self._writes or not self._begun(shape):
                    return
            turned = set(batch.turned.tolist())
            with _opened(self._path, os.O_RDWR) as file:
                for at, row in enumerate(batch.rows.tolist()):
                    content = _RECORD.pack(int(batch.digests[at]), row in turned) + images[at].tobytes()
                    file.seek(_PROOF + _HEAD.size + row * _length(shape))
                    file.write(self._proof(b"%d" % row, content) + content)
        except OSError as fault:
            self._stop(f"no more decoded images are kept in {self._path}: {fault.strerror or fault}")

    def _begun(self, shape: tuple[int, int, int]) -> bool:
        """Whether there is a file for images of ``shape``, which is made where there is room for it."""
        if self._shape is not None:
            return self._shape == shape
        need = _PROOF + _HEAD.size + len(self._dataset.labels) * _length(shape)
        if need > self._most:
            self._stop(f"decoded images are not kept: they take {need:,} bytes, and --keep-inputs is {self._most:,}")
            return False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _make_room(self._path, self._most - need)
        head = _HEAD.pack(*shape)
        with _opened(self._path, os.O_RDWR | os.O_CREAT) as file:
            file.write(self._proof(b"head", head) + head)
        self._shape = shape
        return True

    def _stop(self, said: str) -> None:
        if self._writes:
            self._writes = False
            self._told(said)

    def _proof(self, of: bytes, content: bytes | memoryview) -> bytes:
        digest = hashlib.blake2b(self._key + b"\0" + of + b"\0", digest_size=_PROOF)
        digest.update(content)
        return digest.digest()


def _length(shape: tuple[int, int, int]) -> int:
    """Bytes of the record of one image."""
    return _PROOF + _RECORD.size + shape[0] * shape[1] * shape[2]


def _make_room(path: Path, most: int) -> None:
    """Remove files beside ``path``, the least recently used first, until they take at most ``most`` bytes."""
    others = []
    for other in path.parent.glob("*.images"):
        with suppress(OSError):
            state = other.lstat()
            if other != path and stat.S_ISREG(state.st_mode):
                others.append((state.st_mtime, state.st_size, other))
    total = sum(size for _, size, _ in others)
    for _, size, other in sorted(others):
        if total <= most:
            return
        with suppress(OSError):
            other.unlink()
            total -= size


def _opened(path: Path, flags: int) -> IO[bytes]:
    """The file at ``path``; raises `OSError` where it is a link, or no file."""
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no file")
    return os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "r+b")
