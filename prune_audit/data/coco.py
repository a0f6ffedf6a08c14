"""Labelled boxes in images, in COCO's JSON: the ground truth that detections are matched to.

A box is a thing to be found, the image its cluster. Groups are the size of a box, as COCO has it, and whatever else the
file says of an image: a camera, a site. Images are not opened.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Array, DataSource, Expects, Settings, Things
from prune_audit.data import _boxes, _unsupported
from prune_audit.errors import DataError
from prune_audit.files import coco
from prune_audit.tasks.detection import alignment
from prune_audit.tasks.detection.boxes import IMAGE, Boxes
from prune_audit.tasks.detection.matching import Labelled

TASK = "detection"
MISSING = "(missing)"


def recognises(source: DataSource) -> bool:
    """Whether the file is COCO's ground truth, or results that were given in its place."""
    return coco.told(source.path) is not None


def load(source: DataSource, expects: Expects, settings: Settings) -> Things:  # noqa: ARG001  # as every format
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
    truth = coco.truth(path, settings.overlap)
    alignment.check_coordinates(str(path), truth.box, truth.sizes[truth.image], DataError)
    boxes = Boxes(
        images=truth.images,
        names=truth.names,
        sizes=truth.sizes,
        categories=np.array([number for number, _ in truth.categories], np.int64),
        groups=_of_images(truth),
        labelled=Labelled(
            image=truth.image, category=truth.category, box=truth.box, crowd=truth.crowd, masks=truth.masks
        ),
    )
    if not len(boxes.things):
        raise DataError(f"{path}: all boxes are crowds or to be ignored", hint="expected are boxes to be found")
    return _boxes.things(
        source,
        boxes,
        classes=tuple(name for _, name in truth.categories),
        ids=truth.ids,
        area=truth.area,
        notes=_notes(truth),
        folder=source.images,
    )


def _of_images(truth: coco.Truth) -> dict[str, Array]:
    """What is known of each image (I,), and what it is called."""
    shown = [name or str(each) for name, each in zip(truth.names, truth.images, strict=True)]
    if len(set(shown)) < len(shown):  # files of several folders
        shown = [f"{name} ({each})" for name, each in zip(shown, truth.images, strict=True)]
    groups = {name: np.array([value or MISSING for value in values], object) for name, values in truth.keys.items()}
    return {**groups, IMAGE: np.array(shown, object)}


def _notes(truth: coco.Truth) -> tuple[str, ...]:
    """What must be said of boxes that are not to be found, or cannot be."""
    empty = 0 if truth.masks is None else int((truth.masks.areas[~truth.crowd] == 0).sum())
    none = (f"{empty:,} labelled masks cover no pixel, so that nothing can find them",) if empty else ()
    crowds = int(truth.crowd.sum())
    alone = np.setdiff1d(truth.category[truth.crowd], truth.category[~truth.crowd])
    names = ", ".join(truth.categories[i][1] for i in alone)
    said = [f"{crowds:,} boxes are crowds or to be ignored: nobody has to find them, and no detection in one is false"]
    said += [f"there are only crowds of {names}, so that nothing is known of them"] if len(alone) else []
    return (*none, *(said if crowds else ()))
