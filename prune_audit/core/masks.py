"""Sets of pixels of images, as runs: what a mask covers, without an array as large as its image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prune_audit.core.types import Array, Counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Masks:
    """N masks, each within an image of its own size; pixels are counted down the columns of an image, from 0.

    ``bounds`` (K,) are where runs of a mask begin and end (the pixel behind the last), by turns and rising within a
    mask; those of mask i are ``bounds[first[i] : first[i + 1]]``, with ``first`` (N + 1,).
    """

    bounds: Counts
    first: Counts

    @classmethod
    def of(cls, runs: list[Counts]) -> Masks:
        """The masks that have these ``runs``, an array of bounds each."""
        sizes = np.array([len(each) for each in runs], np.int64)
        return cls(bounds=np.concatenate([np.empty(0, np.int64), *runs]), first=np.append(0, sizes.cumsum()))

    def __len__(self) -> int:
        return len(self.first) - 1

    def at(self, rows: Array) -> Masks:
        """Those at ``rows``: positions, or a flag for each."""
        sizes = np.diff(self.first)[rows]
        starts = self.first[:-1][rows]
        ends = sizes.cumsum()
        own = np.arange(int(sizes.sum())) - np.repeat(ends - sizes, sizes) + np.repeat(starts, sizes)
        return Masks(bounds=self.bounds[own], first=np.append(0, ends))

    @property
    def areas(self) -> Counts:
        """Pixels of each (N,)."""
        lengths = self.bounds[1::2] - self.bounds[::2]
        running = np.append(0, lengths.cumsum())
        covered: Counts = running[self.first[1:] // 2] - running[self.first[:-1] // 2]
        return covered
