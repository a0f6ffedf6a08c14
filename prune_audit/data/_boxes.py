"""Labelled boxes as things to be found: what the formats of boxes share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from prune_audit.core import Array, Assumption, DataSource, Floats, Things
from prune_audit.errors import DataError
from prune_audit.files.coco import SIZES
from prune_audit.tasks.detection.boxes import IMAGE, Boxes
from prune_audit.tasks.detection.judging import TASK
from prune_audit.tasks.detection.picture import pictures

_SMALL, _MEDIUM = 32**2, 96**2  # pixels


def things(
    source: DataSource,
    boxes: Boxes,
    *,
    classes: tuple[str, ...],
    ids: Sequence[str],
    area: Floats,
    notes: tuple[str, ...],
    assumptions: tuple[Assumption, ...] = (),
    folder: Path | None,
) -> Things:
    """The boxes (T,) that have ``ids`` and an ``area`` in pixels, crowds apart, drawn in images of ``folder``.

    Raises:
        DataError: there is no such folder.
    """
    if folder is not None and not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder", hint="--images takes the folder of the images")
    at, labelled = boxes.things, boxes.labelled
    groups: dict[str, Array] = {name: values[labelled.image[at]] for name, values in boxes.groups.items()}
    groups["size"] = np.array(SIZES, object)[np.searchsorted([_SMALL, _MEDIUM], area[at], "right")]
    return Things(
        task=TASK.name,
        path=str(source.path),
        classes=classes,
        ids=tuple(ids[i] for i in at),
        labels=labelled.category[at],
        groups=groups,
        cluster=IMAGE,
        digests=_digests(boxes),
        notes=notes,
        assumptions=assumptions,
        texts=[_where(groups[IMAGE][row], labelled.box[i]) for row, i in enumerate(at)],
        detail=boxes,
        beside=_beside(boxes),
        draw=None if folder is None else partial(pictures, boxes, folder),
    )


def _where(image: str, box: Floats) -> str:
    """Which box it is, as people look it up."""
    x, y, w, h = box
    return f"{image}, {w:.0f} x {h:.0f} pixels at {x:.0f}, {y:.0f}"


def _digests(boxes: Boxes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """64-bit hashes (N,) of what is to be found: the image of each box, and where it lies."""
    found, masks = np.empty(len(boxes.things), np.uint64), boxes.labelled.masks
    for row, i in enumerate(boxes.things):
        content = hashlib.blake2b(repr(boxes.images[boxes.labelled.image[i]]).encode(), digest_size=8)
        content.update(boxes.labelled.box[i].tobytes())
        if masks is not None:
            content.update(masks.bounds[masks.first[i] : masks.first[i + 1]].astype("<i8").tobytes())
        found[row] = int.from_bytes(content.digest(), "little")
    return found


def _beside(boxes: Boxes) -> str:
    """SHA-256 of all images, those without boxes too, and of where crowds lie: there, detections are false or not."""
    crowd, of = boxes.labelled.crowd, boxes.labelled
    digest = hashlib.sha256(repr(boxes.images).encode())
    for values, kind in ((of.image, "<i8"), (of.category, "<i8"), (of.box, "<f8")):
        digest.update(values[crowd].astype(kind).tobytes())
    if of.masks is not None:
        digest.update(of.masks.at(crowd).bounds.astype("<i8").tobytes())
    return digest.hexdigest()
