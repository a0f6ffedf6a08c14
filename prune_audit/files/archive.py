"""The arrays of an .npz file, each looked at before it is made: an archive is bytes that somebody else wrote.

NumPy believes the header of an array, which is a line of text: it sets memory aside for whatever that claims, gives
members that are no arrays back as bytes, and takes types that nothing here can feed or count. So header, type and
size are compared first, with each other and with the size of the member, and a member is read to the end of its
checksum. Whatever is wrong is a `ValueError` that says which member, what was expected and what was found.
"""

from __future__ import annotations

import ast
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import IO, Any

import numpy as np

from prune_audit.core import Array

# What Python's reader of archives and the decompressors behind it raise for files that are damaged or made up.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, IndexError, KeyError),
    *(NotImplementedError, OSError, RuntimeError, ValueError),
)
_SUFFIX = ".npy"
_MAGIC = b"\x93NUMPY"
_LENGTHS = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}  # version of the format -> how the header's length is written
_HEADER = 10_000  # bytes, as in NumPy; a longer one can take minutes to parse
_KEYS = {"descr", "fortran_order", "shape"}
_KINDS = "biufcUSMm"
_AXES = 32  # the fewest that any NumPy allows at most
# A deflated array of one value takes a thousandth. Data do not, so that what is both large and so small is no data.
_RATIO, _SURELY = 200, 256 * 2**20
_LAST = 0x10FFFF  # of Unicode


def names(path: Path) -> tuple[str, ...]:
    """The names of the members of the archive at ``path``, with their suffixes; none where it is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except DAMAGED:
        return ()


def is_arrays(members: tuple[str, ...]) -> bool:
    """Whether an archive of ``members`` is one of arrays and of nothing else."""
    return bool(members) and all(member.endswith(_SUFFIX) for member in members)


def read(path: Path) -> dict[str, Array]:
    """Name -> array, in the order of the file at ``path``. No pickle is read.

    Raises:
        ValueError: it is no archive of arrays, or one is damaged, of a type that is not read, or larger than memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            called = [entry.filename.removesuffix(_SUFFIX) for entry in entries]
            [(twice, times)] = Counter(called).most_common(1) or [("", 0)]
            if times > 1:
                raise ValueError(f"the array {twice!r} is there {times} times")
            _check_size(path, entries)
            return {name: _array(archive, entry, name) for name, entry in zip(called, entries, strict=True)}
    except DAMAGED as fault:
        raise ValueError(said(fault)) from fault


def said(fault: BaseException) -> str:
    """What ``fault`` says, in one line; its kind where it says nothing."""
    return next((line.strip() for line in str(fault).splitlines() if line.strip()), type(fault).__name__)


def _check_size(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse more than memory can hold, and what only a made-up archive unpacks to."""
    size, whole = path.stat().st_size, sum(entry.file_size for entry in entries)
    if whole > _memory():
        raise ValueError(f"its arrays take {whole:,} bytes, and this machine has {_memory():,} bytes of memory")
    if whole > max(_SURELY, _RATIO * size):
        raise ValueError(f"{size:,} bytes unpack to {whole:,}, more than {_RATIO} times as many, as no data do")


def _memory() -> int:
    """The bytes of memory that this machine has, or enough for any, where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**47


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> Array:
    with archive.open(entry) as file:
        dtype, order, shape, start = _header(file, name)
        count = 1
        for length in shape:
            count *= length
        size = count * dtype.itemsize
        if start + size != entry.file_size:
            raise ValueError(
                f"the array {name!r} says that it is {dtype} {shape}, {size:,} bytes, "
                f"and the file holds {entry.file_size - start:,} of it"
            )
        content = bytearray(file.read())  # to its end, where the checksum is compared
    if len(content) != size:
        raise ValueError(f"the array {name!r} is cut short: expected {size:,} bytes, found {len(content):,}")
    # An empty buffer is none to NumPy.
    values: Array = np.frombuffer(content, dtype, count).reshape(shape, order=order) if size else np.empty(shape, dtype)
    if dtype.kind == "U" and size and int(_letters(values).max()) > _LAST:
        raise ValueError(f"the array {name!r} of {dtype} holds numbers that stand for no letters")
    return values


def _letters(values: Array) -> Array:
    """The code points of an array of text."""
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.view(np.dtype(np.uint32).newbyteorder(values.dtype.byteorder))


def _header(file: IO[bytes], name: str) -> tuple[np.dtype[Any], Any, tuple[int, ...], int]:
    """Type, order, shape and the length of what stands before the values of a member in NumPy's format."""
    magic = file.read(8)
    version = tuple(magic[6:8])
    if magic[:6] != _MAGIC or version not in _LENGTHS:
        raise ValueError(f"{name!r} is no array: expected NumPy's format, found {_head(magic)}")
    how = _LENGTHS[version]
    (length,) = struct.unpack(how, file.read(struct.calcsize(how)))
    if length > _HEADER:
        raise ValueError(f"the header of the array {name!r} is {length:,} bytes long, expected {_HEADER:,} at most")
    held = file.read(length)
    text = held.decode("utf-8" if version == (3, 0) else "latin-1")
    try:
        # Python 2 wrote whole numbers as 40L.
        header = ast.literal_eval(re.sub(r"\b(\d+)L\b", r"\1", text).strip())
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.keys() != _KEYS:
        raise ValueError(f"the header of the array {name!r} is damaged: {text.strip()[:80]!r}")
    shape, fortran = header["shape"], header["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(each) is int and each >= 0 for each in shape):
        raise ValueError(f"the array {name!r} has no shape: expected lengths of its axes, found {shape!r}")
    if len(shape) > _AXES or not isinstance(fortran, bool):
        raise ValueError(f"the header of the array {name!r} is damaged: {text.strip()[:80]!r}")
    return _dtype(header["descr"], name), "F" if fortran else "C", shape, 8 + struct.calcsize(how) + length


def _head(found: bytes) -> str:
    return f"bytes beginning {found.hex(' ')}" if found else "nothing"


def _dtype(written: object, name: str) -> np.dtype[Any]:
    """The type that a header writes; one of numbers, text or dates."""
    if isinstance(written, str):
        try:
            dtype = np.dtype(written)
        except (TypeError, ValueError, SyntaxError):
            pass
        else:
            if dtype.kind == "O":
                raise ValueError(f"the array {name!r} holds Python objects, which are pickles and are never loaded")
            if dtype.kind in _KINDS and dtype.itemsize:
                return dtype
    raise ValueError(f"the array {name!r} is of the type {str(written)[:60]}, expected numbers or text")
