"""Look into a model file without running any of it.

torch packs TorchScript, exported programs and checkpoints into zip archives with one top folder, whose name is an
accident of saving; records are named here without it. What has been checked is written into a new archive and that
one is loaded, so that no trick of the container (a record that is there twice, a second directory) can bring in what
was not looked at.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from prune_audit.errors import ModelError
from prune_audit.files import recorded_tables

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
_HINT = "copy or export the file again"
_PIECE = 1 << 20
_SHRUNK = 50

_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes it",
    b"\x1f\x8b": "gzip data",
    b"BZh": "bzip2 data",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x93NUMPY": "a single NumPy array; np.savez('predictions.npz', predicted=array) saves predictions",
    b"GGUF": "a GGUF file of a language model",
    b"version https://git-lfs": "a Git LFS pointer: the file itself was not fetched (git lfs pull)",
}


def names(path: Path) -> frozenset[str]:
    """The records of the torch archive at ``path``, without its top folder; empty where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.namelist()
    except _DAMAGED:
        return frozenset()
    if len({entry.partition("/")[0] for entry in entries}) != 1:
        return frozenset()
    return frozenset(entry.partition("/")[2] for entry in entries)


def read(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The contents of those records of the torch archive at ``path`` whose name is ``wanted``.

    Raises:
        ModelError: a record is damaged, or is there twice, so that readers may disagree on what it holds.
    """
    records: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            _fits(archive, path)
            for entry in archive.infolist():
                name = entry.filename.partition("/")[2]
                if name in records:
                    raise ModelError(f"{path}: the record {name!r} is in the archive twice", hint=_HINT)
                if wanted(name):
                    with _record(archive, entry) as record:
                        records[name] = record.read()
    except _DAMAGED as fault:
        raise ModelError(f"{path}: the archive is damaged: {fault}", hint=_HINT) from fault
    return records


def verify(path: Path) -> None:
    """Compare every record of the archive at ``path`` with its checksum, as torch's own reader does not.

    Raises:
        ModelError: a record differs; the message names it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _fits(archive, path)
            for entry in archive.infolist():
                with _record(archive, entry) as record:
                    while record.read(_PIECE):
                        pass
    except _DAMAGED as fault:
        raise ModelError(f"{path}: the archive is damaged: {fault}", hint=_HINT) from fault


def _fits(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise `ModelError` where the records of ``archive`` take more than its file at ``path`` can hold.

    torch stores records as they are; what others compressed may be large, but no model shrinks to a fiftieth.
    """
    held = path.stat().st_size
    for what, total, most in (
        ("take", sum(entry.compress_size for entry in archive.infolist()), held),
        ("unpack to", sum(entry.file_size for entry in archive.infolist()), _SHRUNK * held),
    ):
        if total > most:
            raise ModelError(
                f"{path}: its records {what} {total:,} bytes, and expected were {most:,} at most of a file of {held:,}",
                hint=_HINT,
            )


def _record(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    """The record ``entry``; reading it to its end raises `zipfile.BadZipFile` where its checksum differs.

    torch writes 0 where it was told not to compute one (`torch.serialization.set_crc32_options`); zipfile checks
    none where the entry has none.
    """
    if entry.CRC == 0:
        del entry.CRC
    return archive.open(entry)


def rebuilt(records: Mapping[str, bytes]) -> io.BytesIO:
    """A torch archive that holds ``records`` and nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"model/{name}", content)
    buffer.seek(0)
    return buffer


def describe(path: Path) -> str:
    """What the file at ``path`` seems to be, for a message that it is no model."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "an empty file"
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return what
    if head.startswith(b"PK\x03\x04"):
        return _describe_zip(path)
    try:
        text = head.decode()
    except UnicodeDecodeError as fault:
        # A character may be cut in two by the end of the head.
        text = head[: fault.start].decode() if fault.start > len(head) - 4 else ""
    if text and all(letter.isprintable() or letter.isspace() for letter in text):
        line = next((line.strip() for line in text.splitlines() if line.strip()), "")
        return f"text beginning {line[:40]!r}{recorded_tables.uneven(path)}" if line else "blank text"
    western = head.decode("cp1252", "replace")
    if not text and all(letter.isprintable() or letter.isspace() for letter in western):
        return "text in another encoding than UTF-8; a spreadsheet saves UTF-8 as 'CSV UTF-8'"
    return f"binary data of no known kind, beginning {head[:8].hex(' ')}"


def _describe_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.namelist()
    except _DAMAGED:
        return "a zip archive that is cut short: its directory, which comes last, is missing"
    if "serialized_exported_program.json" in entries:
        return "a torch.export program written before torch 2.8, whose format later versions of torch dropped"
    if any("/data/aotinductor/" in entry for entry in entries):
        return "a program that AOTInductor compiled to machine code"
    shown = ", ".join(entries[:4]) + (", ..." if len(entries) > 4 else "")
    return f"a zip archive of {shown}" if entries else "an empty zip archive"
