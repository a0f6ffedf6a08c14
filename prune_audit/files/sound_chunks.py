"""Where a recording says that its samples end: the chunks of WAV, AIFF and their kin, and the pages of Ogg.

libsndfile takes what there is of a file that was cut short and says nothing, so that its end would be heard as silence.
A length that was not known when the header was written, as in what is recorded into a pipe, says nothing: writers then
leave 0, all bits set, or nearly 2 GiB. What follows the samples may be missing, since nobody hears it.

Sources: Multimedia Programming Interface 1.0 (RIFF), EBU Tech 3306 (RF64), AIFF-C draft of 1991, Sony's Wave64, Apple's
Core Audio Format, NeXT's soundstruct, RFC 3533 (Ogg).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

_UNKNOWN = 0x7FFF_0000  # bytes, from which on a length of 32 bits stands for none
_MOST = 10_000  # chunks before the samples, where recorders write a dozen


@dataclass(frozen=True, slots=True)
class _Form:
    """How chunks are written: the first at ``start``, an ``ident`` and a length, padded to a multiple of ``even``.

    ``whole`` says whether a length counts its own header, ``samples`` are the idents of the chunk with the samples.
    """

    start: int
    ident: int
    length: str
    samples: tuple[bytes, ...]
    even: int = 2
    whole: bool = False


_FORMS = {
    **dict.fromkeys((b"RIFF", b"RF64"), _Form(12, 4, "<I", (b"data",))),
    b"RIFX": _Form(12, 4, ">I", (b"data",)),
    b"FORM": _Form(12, 4, ">I", (b"SSND", b"BODY")),
    b"riff": _Form(40, 16, "<Q", (b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a",), even=8, whole=True),
    b"caff": _Form(8, 4, ">Q", (b"data",), even=1),
}


def check(file: IO[bytes], size: int) -> None:
    """Raise `ValueError` where the recording in ``file``, of ``size`` bytes, says that its samples end behind that.

    Other formats than those above are left to their decoders.
    """
    end = _end(file, size)
    if end is not None and end > size:
        raise ValueError(f"the recording was cut off: its samples end at byte {end:,}, the file at byte {size:,}")


def _end(file: IO[bytes], size: int) -> int | None:
    """The byte behind the samples, None where the file does not say."""
    file.seek(0)
    head = file.read(12)
    magic = head[:4]
    if magic == b"OggS":
        return _last_page(file, size)
    if magic == b".snd" and len(head) == 12:
        start, length = struct.unpack(">II", head[4:])
        return None if length >= _UNKNOWN else int(start + length)
    form = _FORMS.get(magic)
    return None if form is None else _last_sample(file, size, form, head)


def _last_sample(file: IO[bytes], size: int, form: _Form, first: bytes) -> int | None:
    """The byte behind the chunk with the samples, in a file that begins with the 12 bytes ``first``."""
    narrow = form.length[1] == "I"
    claimed = struct.unpack(form.length, first[4:8])[0] if narrow and len(first) == 12 else 0
    header = form.ident + struct.calcsize(form.length)
    at, long = form.start, None
    for _ in range(_MOST):
        if at > size:  # no file can be wound on by 2**63 bytes
            return None
        file.seek(at)
        head = file.read(header)
        if len(head) < header:
            return None
        ident = head[: form.ident]
        (length,) = struct.unpack(form.length, head[form.ident :])
        length -= header if form.whole else 0
        at += header
        if ident == b"ds64":
            extra = file.read(16)
            long = int.from_bytes(extra[8:], "little") if len(extra) == 16 else None
        if ident in form.samples:
            if narrow and length == 0xFFFF_FFFF and long is not None:
                return at + long
            if length <= 0 or (length >= _UNKNOWN if narrow else length >= 2**63):
                # The length of the whole may have been filled in all the same.
                return 8 + claimed if narrow and at < 8 + claimed < _UNKNOWN else None
            return int(at + length)
        at += max(length, 0) + -length % form.even
    raise ValueError(f"the recording has more than {_MOST:,} chunks before its samples")


def _last_page(file: IO[bytes], size: int) -> int | None:
    """The byte behind the last page of an Ogg stream; None where something else follows a page."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(27)
        if head[:4] != b"OggS"[: len(head)]:
            return None
        if len(head) < 27:
            return at + 27
        lengths = file.read(head[26])
        at += 27 + head[26] + sum(lengths)
    return at
