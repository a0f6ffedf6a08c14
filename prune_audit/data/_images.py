"""Labelled images as a data set: what the image formats share.

Opening it costs no decoding, however many images there are; each is opened once, when it is read, for both its
digest and its pixels. An unreadable one is reported beside the others instead of raised, because how many of those
are tolerated is for the run to decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prune_audit.core import (
    DATA,
    EXIF,
    Array,
    Assumption,
    Batch,
    Counts,
    DataSource,
    Exif,
    Expects,
    Preprocess,
    Settings,
)
from prune_audit.data._pixels import PLAIN, decode, header, quiet_pillow
from prune_audit.data._preprocess import GLANCE, fewer_axes, resolve
from prune_audit.files import fingerprint
from prune_audit.files.stored import Stored, opened


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDataset:
    """A `prune_audit.core.Dataset` of N images; ``preprocess`` is resolved, so every image has its size.

    ``kept_in`` are the files that hold them, in the ``column`` of that name where they are tables. They are turned as
    their EXIF orientation says where ``turn`` is set.
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
    turn: bool = False
    assumptions: tuple[Assumption, ...] = ()

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        """The images at ``rows``, decoded, resized and cropped: ``{"image": uint8 (B, C, H, W)}``."""
        height, width = self.preprocess.size or (0, 0)
        channels = 1 if self.preprocess.channels == "gray" else 3
        images = np.empty((len(rows), channels, height, width), np.uint8)  # (B, C, H, W)
        digests = np.empty(len(rows), np.uint64)  # (B,)
        kept: list[int] = []
        turned: list[int] = []
        bad: list[tuple[str, str]] = []
        for row in map(int, rows):
            at = len(kept)
            try:
                with opened(self.files[row]) as file:
                    data = file.read()
                images[at], turns = decode(data, self.preprocess, turn=self.turn)
            except OSError as error:
                bad.append((self.ids[row], error.strerror or str(error)))
            except ValueError as error:
                bad.append((self.ids[row], str(error)))
            else:
                digests[at] = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
                kept.append(row)
                turned += [row] if turns else []
        good = np.array(kept, np.int64)
        return Batch(
            rows=good,
            inputs={"image": images[: len(kept)]},
            labels=self.labels[good],
            digests=digests[: len(kept)],
            bad=tuple(bad),
            turned=np.array(turned, np.int64),
        )

    def preprocessed(self, preprocess: Preprocess) -> ImageDataset:
        """The same samples, read as ``preprocess`` says, in which nothing is left open."""
        return replace(self, preprocess=preprocess)

    def fingerprint(self, verify: bool) -> str:
        """Of the files, and of how they are turned; see `prune_audit.files.fingerprint`."""
        return f"{fingerprint.of_files(self.kept_in, verify)}-{self.column}" + ("-turned" if self.turn else "")


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
    assumptions: tuple[Assumption, ...],
    exif: tuple[Exif, str],
    kept_in: Sequence[Path] = (),
    column: str = "",
) -> ImageDataset:
    """The data set of ``files``, with the preprocessing that they, the models and the user agree on.

    ``exif`` is what the library that such data are made for does with the orientation in EXIF, and who that is.
    ``kept_in`` are the files whose content is theirs, where they are none themselves, in the column called ``column``.

    Raises:
        AlignmentError: they do not agree.
    """
    quiet_pillow()
    turn = (source.exif or exif[0]) == "apply"
    preprocess, more = resolve(source.preprocess, expects, files, settings.workers, turn=turn)
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
        turn=turn,
        notes=(*notes, *more),
        assumptions=(*assumptions, *_assumed(source, files, exif), *_shaped(expects, preprocess)),
    )


def _shaped(expects: Expects, preprocess: Preprocess) -> tuple[Assumption, ...]:
    """How images are fed to models that take them without an axis of channels."""
    axes, (height, width) = fewer_axes(expects), preprocess.size or (0, 0)
    if axes is None or expects.channels is not None:
        return ()
    wanted = expects.inputs[0]
    value = {
        2: f"gray, {height}x{width} pixels as {height * width} numbers, row by row",
        3: f"gray, as planes of {height}x{width}, without an axis of channels",
    }[axes]
    why = f"the input {wanted.name} has {axes} axes"
    return (Assumption(subject=DATA, what="shape of images", value=value, why=why, option="--size HxW"),)


def _assumed(source: DataSource, files: Sequence[Stored], exif: tuple[Exif, str]) -> tuple[Assumption, ...]:
    """What is done with orientations, where it was asked for or some of ``files`` may well carry one."""
    paths = [file for file in files if isinstance(file, Path)]
    plain = len(paths) == len(files) and all(path.name.lower().endswith(PLAIN) for path in paths)
    if plain and source.exif is None:
        looked_at = paths[:: -(-len(paths) // GLANCE)]
        if not any(head.turned for head in map(header, looked_at) if head is not None):
            return ()
    value = {"apply": "applied", "ignore": "ignored"}[source.exif or exif[0]]
    why = "as asked for" if source.exif else f"as {exif[1]} does"
    return (Assumption(subject=DATA, what=EXIF, value=value, why=why, option="--exif apply|ignore"),)
