"""Columns over all samples as short texts, for a document that travels through CI.

A million samples of 1,000 classes and three models take 2.4 MB in all, and less where they lie class by class: a flag
is a bit, a position the fewest whole bytes that hold the largest one, and zlib and base64 do the rest. What is read is
bounded by the number of samples that the document states, so that a few bytes cannot be blown up into gigabytes.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np
import numpy.typing as npt

WIDTHS = (1, 2, 4, 8)  # bytes of a position


def positions(values: npt.NDArray[np.int64]) -> str:
    """Counts (N,) from 0 on, as a text."""
    largest = int(values.max(initial=0))
    width = next(width for width in WIDTHS if largest < 256**width)
    return _text(values.astype(f"<u{width}").tobytes())


def flags(values: npt.NDArray[np.bool_]) -> str:
    """Booleans (N,), as a text."""
    return _text(np.packbits(values).tobytes())


def read_positions(text: str, number: int) -> npt.NDArray[np.int64]:
    """The ``number`` of counts that ``text`` holds. Raises `ValueError` where it holds others."""
    raw = _bytes(text, WIDTHS[-1] * number)
    width = len(raw) // max(number, 1)
    if len(raw) != width * number or (number and width not in WIDTHS):
        raise ValueError(f"{number} positions, found {len(raw)} bytes")
    values = np.frombuffer(raw, f"<u{width or 1}")
    if int(values.max(initial=0)) > np.iinfo(np.int64).max:
        raise ValueError(f"positions in {WIDTHS[-1]} bytes with a sign, found {int(values.max())}")
    return values.astype(np.int64)


def read_flags(text: str, number: int) -> npt.NDArray[np.bool_]:
    """The ``number`` of booleans that ``text`` holds. Raises `ValueError` where it does not hold so many."""
    raw = _bytes(text, -(-number // 8))
    if len(raw) != -(-number // 8):
        raise ValueError(f"{number} flags, found {len(raw)} bytes")
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=number).astype(bool)


def _text(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


def _bytes(text: str, most: int) -> bytes:
    try:
        opened = zlib.decompressobj()
        raw = opened.decompress(base64.b64decode(text, validate=True), most + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"packed bytes, found {error}") from error
    if len(raw) > most or not opened.eof:
        raise ValueError(f"at most {most} bytes, found more or an early end")
    return raw
