"""Outlines of objects in COCO's JSON, as runs of pixels: polygons, and counts of runs as numbers or as one short text.

Pixels are counted down the columns. A text of counts holds five bits a character, lowest first, from '0' on; from the
fourth number on each is the difference from the one two before it. A polygon is filled as the reference does it: its
boundary is walked in fifths of a pixel, and where it goes from one column of pixels to the next, everything below is
turned round. Reference: ``maskApi`` of pycocotools (Lin et al. 2014, arXiv:1405.0312), equal pixel for pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from prune_audit.core import Counts, Floats

EXPECTED = 'polygons [[x, y, x, y, x, y, ...], ...], or {"size": [height, width], "counts": runs}'
MOST = 1 << 30
"""Pixels of an image whose masks are read."""
_FINE = 5  # steps of a pixel in which a boundary is walked
_FIRST, _MORE, _SIGN, _LOW = ord("0"), 32, 16, 31
_LONGEST = 7  # characters of a number: 35 bits, where no more than 31 can be meant


@dataclass(frozen=True, slots=True)
class Runs:
    """An outline that is written as ``counts`` of pixels, in or out by turns, of an image of ``size``."""

    size: Any
    counts: Any


Outline: TypeAlias = Runs | Sequence[Floats] | None
"""Runs, polygons of (2 * corners,) numbers, or nothing that is either."""


def packed(value: Any) -> Outline:
    """The outline that JSON's ``value`` writes, small: a list of numbers takes several times the memory."""
    if isinstance(value, Runs):
        return value
    if not isinstance(value, list) or not value or not all(map(_is_polygon, value)):
        return None
    return [np.array(each, np.float64) for each in value]


def _is_polygon(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= 6
        and len(value) % 2 == 0
        and all(type(each) in (int, float) and math.isfinite(each) for each in value)
    )


def size_of(outline: Outline) -> tuple[int, int] | None:
    """Width and height of the image that an ``outline`` says it is in; None where it does not say so."""
    if not isinstance(outline, Runs):
        return None
    size = outline.size
    if isinstance(size, list) and len(size) == 2 and all(type(each) is int and each > 0 for each in size):
        return size[1], size[0]
    return None


def bounds(outline: Outline, width: int, height: int) -> Counts:
    """Where runs of the ``outline`` begin and end (K,), by turns, in an image of so many pixels.

    Raises:
        ValueError: it is none, is not of such an image, or lies far beyond it.
    """
    if outline is None:
        raise ValueError(f"expected {EXPECTED}")
    pixels = width * height
    if pixels > MOST:
        raise ValueError(f"an image of {pixels:,} pixels, and masks of no more than {MOST:,} are read")
    if isinstance(outline, Runs):
        if size_of(outline) != (width, height):
            raise ValueError(f"a size of {str(outline.size)[:60]}, expected [{height}, {width}], height and width")
        counts = _told(outline.counts) if isinstance(outline.counts, str) else _listed(outline.counts)
        if (total := int(counts.sum())) != pixels:
            raise ValueError(f"runs of {total:,} pixels together, expected {pixels:,}, {height} times {width}")
        return _turns(counts.cumsum(), pixels)
    return _union([_filled(each, width, height) for each in outline])


def around(own: Counts, height: int) -> list[float]:
    """The box around runs ``own`` (K,), as x, y, width and height; without area where there are none."""
    if not len(own):
        return [0.0, 0.0, 0.0, 0.0]
    first, last = own[::2], own[1::2] - 1
    left, right = int(own[0]) // height, (int(own[-1]) - 1) // height
    whole = bool((first // height != last // height).any())  # a run goes on in the next column
    top, bottom = (0, height - 1) if whole else (int((first % height).min()), int((last % height).max()))
    return [float(left), float(top), float(right - left + 1), float(bottom - top + 1)]


def _listed(counts: Any) -> Counts:
    if not isinstance(counts, list) or not all(type(each) is int and 0 <= each <= MOST for each in counts):
        raise ValueError(f"counts {str(counts)[:40]}, expected whole numbers of pixels, or a text")
    return np.array(counts, np.int64)


def _told(text: str) -> Counts:
    """The numbers that a ``text`` of counts holds."""
    written = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - _FIRST
    ends = np.flatnonzero(written & _MORE == 0)  # the last character of each number
    starts = np.append(0, ends[:-1] + 1)[: len(ends)]
    if not len(ends) or ends[-1] != len(written) - 1 or written.min() < 0 or written.max() > _MORE + _LOW:
        raise ValueError(f"counts {text[:40]!r}, which are cut off or no text of counts")
    if (ends - starts).max() >= _LONGEST:
        raise ValueError(f"counts {text[:40]!r}, with a number that is too large")
    shift = 5 * (np.arange(len(written)) - np.repeat(starts, ends - starts + 1))
    values = np.add.reduceat((written & _LOW) << shift, starts)
    values -= np.where(written[ends] & _SIGN, np.int64(1) << (shift[ends] + 5), 0)
    for start in (1, 2):  # the third is no difference, though the fourth is one from the second
        values[start::2] = values[start::2].cumsum()
    if values.min() < 0 or values.max() > MOST:
        raise ValueError(f"counts {text[:40]!r}, with a run of {int(values.min()):,} to {int(values.max()):,} pixels")
    return values


def _turns(at: Counts, pixels: int) -> Counts:
    """Runs (K,), where pixels from each position ``at`` on are turned round: those that are there an odd number of
    times, and the end of the image where the last run reaches it."""
    where, times = np.unique(at, return_counts=True)
    odd = where[(times % 2 == 1) & (where < pixels)]
    return np.append(odd, pixels) if len(odd) % 2 else odd


def _filled(corners: Floats, width: int, height: int) -> Counts:
    """Runs (K,) of the inside of a polygon with ``corners`` (2 * C,)."""
    beyond = corners[np.abs(corners) > 2 * max(width, height)]
    if len(beyond):
        raise ValueError(f"a corner at {beyond[0]:g}, far beyond an image of {width} x {height}")
    fine = np.trunc(_FINE * corners.reshape(-1, 2) + 0.5).astype(np.int64)  # (C, 2)
    ends = np.roll(fine, -1, axis=0)
    far = np.abs(ends - fine).max(axis=1)
    start, end, far = fine[far > 0], ends[far > 0], far[far > 0]
    flat = np.abs(end - start)[:, 0] >= np.abs(end - start)[:, 1]  # (E,) along columns more than along rows
    along = np.where(flat, 0, 1)
    edge = np.arange(len(far))
    # From the lower coordinate, whichever way the boundary goes: both ways round meet the same points.
    back = start[edge, along] > end[edge, along]
    low, high = np.where(back[:, None], end, start), np.where(back[:, None], start, end)
    slope = (high - low)[edge, 1 - along] / np.maximum(far, 1)
    each = np.repeat(edge, far + 1)
    step = np.arange(len(each)) - np.repeat((far + 1).cumsum() - far - 1, far + 1)
    step = np.where(back[each], far[each] - step, step)
    main = low[each, along[each]] + step
    side = np.trunc(low[each, 1 - along[each]] + slope[each] * step + 0.5).astype(np.int64)
    x, y = np.where(flat[each], main, side), np.where(flat[each], side, main)
    moves = np.flatnonzero(x[1:] != x[:-1])
    column = np.where(x[moves + 1] < x[moves], x[moves + 1], x[moves + 1] - 1) - _FINE // 2
    row = np.minimum(y[moves + 1], y[moves]) - _FINE // 2
    crosses = (column % _FINE == 0) & (column >= 0) & (column // _FINE < width)  # the middle of a column of pixels
    rows = np.clip(-(-row[crosses] // _FINE), 0, height)
    return _turns(column[crosses] // _FINE * height + rows, width * height)


def _union(parts: Sequence[Counts]) -> Counts:
    """Runs of what any of ``parts`` covers."""
    if len(parts) == 1:
        return parts[0]
    every = np.concatenate(parts)
    step = np.tile([1, -1], len(every) // 2)
    order = np.lexsort((-step, every))  # of equal positions a run begins before another one ends
    depth = step[order].cumsum()
    opens = (depth == 1) & (step[order] == 1)
    covered: Counts = every[order][opens | (depth == 0)]
    return covered
