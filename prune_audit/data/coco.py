"""Labelled boxes in images, in COCO's JSON: the ground truth that detections are matched to.

A box is a thing to be found, the image its cluster. Groups are the size of a box, as COCO has it, and whatever else the
file says of an image: a camera, a site. Images are not opened.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from prune_audit.core import Array, DataSource, Expects, Floats, Settings, Things
from prune_audit.data import _unsupported
from prune_audit.errors import DataError
from prune_audit.files import coco
from prune_audit.tasks.detection import alignment
from prune_audit.tasks.detection.boxes import IMAGE, Boxes
from prune_audit.tasks.detection.matching import Labelled
from prune_audit.tasks.detection.picture import pictures

TASK = "detection"
_SMALL, _MEDIUM = 32**2, 96**2  # pixels
MISSING = "(missing)"


def recognises(source: DataSource) -> bool:
    """Whether the file is COCO's ground truth, or results that were given in its place."""
    return coco.told(source.path) is not None


def load(source: DataSource, expects: Expects, settings: Settings) -> Things:  # noqa: ARG001 - every format's signature
    """The labelled boxes, crowds apart, in the order of the file.

    Raises:
        DataError: the file is damaged, holds no labelled boxes, or boxes in other coordinates.
        UsageError: something was asked for that labelled boxes do not have.
    """
    path = source.path
    _unsupported.refuse(source, "labelled boxes", has=("images",), but=("classes", "class_map", "label_column"))
    if coco.told(path) == "results":
        raise DataError(
            f"{path} holds detections of a model, and no labelled boxes",
            hint=f"give it as a model; --data takes {coco.TRUTH}",
        )
    truth = coco.truth(path)
    alignment.check_coordinates(str(path), truth.box, truth.sizes[truth.image], DataError)
    boxes = Boxes(
        images=truth.images,
        names=truth.names,
        sizes=truth.sizes,
        categories=np.array([number for number, _ in truth.categories], np.int64),
        groups=_of_images(truth),
        labelled=Labelled(image=truth.image, category=truth.category, box=truth.box, crowd=truth.crowd),
    )
    at = boxes.things
    if not len(at):
        raise DataError(f"{path}: all boxes are crowds or to be ignored", hint="expected are boxes to be found")
    groups: dict[str, Array] = {name: values[truth.image[at]] for name, values in boxes.groups.items()}
    groups["size"] = np.array(coco.SIZES, object)[np.searchsorted([_SMALL, _MEDIUM], truth.area[at], "right")]
    return Things(
        task=TASK,
        path=str(path),
        classes=tuple(name for _, name in truth.categories),
        ids=tuple(truth.ids[i] for i in at),
        labels=truth.category[at],
        groups=groups,
        cluster=IMAGE,
        digests=_digests(boxes),
        notes=_notes(truth),
        texts=[_where(groups[IMAGE][row], truth.box[i]) for row, i in enumerate(at)],
        detail=boxes,
        beside=_beside(boxes),
        draw=None if source.images is None else partial(pictures, boxes, _folder(source.images)),
    )


def _where(image: str, box: Floats) -> str:
    """Which box it is, as people look it up."""
    x, y, w, h = box
    return f"{image}, {w:.0f} x {h:.0f} pixels at {x:.0f}, {y:.0f}"


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder", hint="--images takes the folder of the images")
    return path


def _of_images(truth: coco.Truth) -> dict[str, Array]:
    """What is known of each image (I,), and what it is called."""
    shown = [name or str(each) for name, each in zip(truth.names, truth.images, strict=True)]
    if len(set(shown)) < len(shown):  # files of several folders
        shown = [f"{name} ({each})" for name, each in zip(shown, truth.images, strict=True)]
    groups = {name: np.array([value or MISSING for value in values], object) for name, values in truth.keys.items()}
    return {**groups, IMAGE: np.array(shown, object)}


def _notes(truth: coco.Truth) -> tuple[str, ...]:
    """What must be said of boxes that are not to be found."""
    crowds = int(truth.crowd.sum())
    alone = np.setdiff1d(truth.category[truth.crowd], truth.category[~truth.crowd])
    names = ", ".join(truth.categories[i][1] for i in alone)
    said = [f"{crowds:,} boxes are crowds or to be ignored: nobody has to find them, and no detection in one is false"]
    said += [f"there are only crowds of {names}, so that nothing is known of them"] if len(alone) else []
    return tuple(said) if crowds else ()


def _digests(boxes: Boxes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """64-bit hashes (N,) of what is to be found: the image of each box, and where it lies."""
    found = np.empty(len(boxes.things), np.uint64)
    for row, i in enumerate(boxes.things):
        content = hashlib.blake2b(repr(boxes.images[boxes.labelled.image[i]]).encode(), digest_size=8)
        content.update(boxes.labelled.box[i].tobytes())
        found[row] = int.from_bytes(content.digest(), "little")
    return found


def _beside(boxes: Boxes) -> str:
    """SHA-256 of all images, those without boxes too, and of where crowds lie: there, detections are false or not."""
    crowd, of = boxes.labelled.crowd, boxes.labelled
    digest = hashlib.sha256(repr(boxes.images).encode())
    for values, kind in ((of.image, "<i8"), (of.category, "<i8"), (of.box, "<f8")):
        digest.update(values[crowd].astype(kind).tobytes())
    return digest.hexdigest()
