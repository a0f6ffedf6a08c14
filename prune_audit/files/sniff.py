"""What a file seems to be that no data format recognises, for a message about it."""

from __future__ import annotations

from pathlib import Path

from prune_audit.files import archive

_MAGIC = {
    b"\x93NUMPY": "a single NumPy array; np.savez('val.npz', x=x, y=y) saves data, labels alone go into a CSV",
    b"\x89PNG": "a single image",
    b"\xff\xd8\xff": "a single image",
    b"BM": "a single image",
    b"RIFF": "a sound or an image in a RIFF container",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"\x1f\x8b": "gzip data",
    b"\x80": "a pickle",
    b"version https://git-lfs": "a Git LFS pointer: the file itself was not fetched (git lfs pull)",
}


def describe(path: Path) -> str:
    """The likely kind of the file at ``path``; nothing of it is run or unpacked."""
    if not path.is_file():
        return "no regular file"
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "an empty file"
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return what
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        # A character may be cut in two by the end of the head.
        text = head[: fault.start].decode("utf-8-sig") if fault.start > len(head) - 4 else ""
    if text and all(letter.isprintable() or letter.isspace() for letter in text):
        line = next((line.strip() for line in text.splitlines() if line.strip()), "")
        return f"text beginning {line[:40]!r}" if line else "blank text"
    if len(head) > 3 and not (any(head[1:64:2]) and any(head[:64:2])):
        return "text in UTF-16 that does not begin by saying so; save it as UTF-8"
    western = head.decode("cp1252", "replace")
    if not text and all(letter.isprintable() or letter.isspace() for letter in western):
        return "text in another encoding than UTF-8; a spreadsheet saves UTF-8 as 'CSV UTF-8'"
    return f"binary data beginning {head[:8].hex(' ')}"


def _of_zip(path: Path) -> str:
    if not (entries := archive.names(path)):
        return "a zip archive (as .npz files are) that is cut short: its directory, which comes last, is missing"
    return f"a zip archive of {', '.join(entries[:4])}{', ...' if len(entries) > 4 else ''}"
