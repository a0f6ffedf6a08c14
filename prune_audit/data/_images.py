"""Labelled images as a data set: what the image formats share.

Opening it costs no decoding, however many images there are; each is opened once, when it is read, for both its
digest and its pixels. An unreadable one is reported beside the others instead of raised, because how many of those
are tolerated is for the run to decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prune_audit.core import Array, Assumption, Batch, Counts, DataSource, Expects, Preprocess, Settings
from prune_audit.data import _content
from prune_audit.data._pixels import decode, quiet_pillow
from prune_audit.data._preprocess import resolve
from prune_audit.data._stored import Stored


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDataset:
    """A `prune_audit.core.Dataset` of N images; ``preprocess`` is resolved, so every image has its size.

    ``kept_in`` are the files that hold them, in the ``column`` of that name where they are tables.
    """

    name: str
    path: str
    classes: tuple[str, ...]
    labels: Counts  # (N,)
    ids: tuple[str, ...]
    files: Sequence[Stored]
    kept_in: Sequence[Path]
    groups: Mapping[str, Array]
    preprocess: Preprocess
    notes: tuple[str, ...]
    indexed: bool = False
    column: str = ""
    assumptions: tuple[Assumption, ...] = ()

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        """The images at ``rows``, decoded, resized and cropped: ``{"image": uint8 (B, C, H, W)}``."""
        height, width = self.preprocess.size or (0, 0)
        channels = 1 if self.preprocess.channels == "gray" else 3
        images = np.empty((len(rows), channels, height, width), np.uint8)  # (B, C, H, W)
        digests = np.empty(len(rows), np.uint64)  # (B,)
        kept: list[int] = []
        bad: list[tuple[str, str]] = []
        for row in map(int, rows):
            at = len(kept)
            try:
                with self.files[row].open("rb") as file:
                    data = file.read()
                images[at] = decode(data, self.preprocess)
            except OSError as error:
                bad.append((self.ids[row], error.strerror or str(error)))
            except ValueError as error:
                bad.append((self.ids[row], str(error)))
            else:
                digests[at] = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
                kept.append(row)
        good = np.array(kept, np.int64)
        return Batch(
            rows=good,
            inputs={"image": images[: len(kept)]},
            labels=self.labels[good],
            digests=digests[: len(kept)],
            bad=tuple(bad),
        )

    def fingerprint(self, verify: bool) -> str:
        """Of the files; see `prune_audit.data._content`."""
        return f"{_content.of_files(self.kept_in, verify)}-{self.column}"


def dataset(
    source: DataSource,
    expects: Expects,
    settings: Settings,
    *,
    classes: tuple[str, ...],
    labels: Counts,
    ids: Sequence[str],
    files: Sequence[Stored],
    groups: Mapping[str, Array],
    notes: tuple[str, ...],
    kept_in: Sequence[Path] = (),
    column: str = "",
) -> ImageDataset:
    """The data set of ``files``, with the preprocessing that they, the models and the user agree on.

    ``kept_in`` are the files whose content is theirs, where they are none themselves, in the column called ``column``.

    Raises:
        AlignmentError: they do not agree.
    """
    quiet_pillow()
    preprocess, more = resolve(source.preprocess, expects, files, settings.workers)
    return ImageDataset(
        name=source.path.resolve().name,
        path=str(source.path),
        classes=classes,
        labels=labels,
        ids=tuple(ids),
        files=files,
        kept_in=kept_in or [file for file in files if isinstance(file, Path)],
        column=column,
        groups=groups,
        preprocess=preprocess,
        notes=(*notes, *more),
    )
