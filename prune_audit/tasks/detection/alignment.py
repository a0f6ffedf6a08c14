"""Do detections and labels speak of the same images, classes and coordinates? Asked before anything is compared.

Ids that begin at another number, two corners for width and height, and coordinates as shares of the image all make a
model that finds nothing. Nothing can be lost there, so an audit of it would pass. The dense model is looked at by
itself: where it finds next to nothing, each of the usual mistakes is undone in turn, and the one that repairs it named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from prune_audit.core import Counts, Floats
from prune_audit.errors import AlignmentError, AuditError
from prune_audit.tasks.classification.alignment import exchanged
from prune_audit.tasks.detection.boxes import Boxes, Detections
from prune_audit.tasks.detection.matching import Detected, Flags, match

FOUND = 0.05
"""A dense model that finds less than this share of the boxes at any score is not what the labels are of."""
REPAIRED = 0.3
"""The share that it must find for a mistake to be named as the cause."""
IMAGES = 300
"""The images, the first with boxes, that repairs are tried on."""
SILENT = 0.5
"""The share of images with boxes in which a dense model may detect nothing."""
OUTSIDE = 0.5
"""The share of boxes that reach beyond their image from which on they are taken for two corners."""
_BEYOND = 1.02  # of the side of an image: detectors are off by a pixel or two
_SHARES = 1.5  # the largest share of an image, for the same reason


def check_coordinates(path: str, box: Floats, size: Floats, error: type[AuditError]) -> None:
    """Check that boxes (K, 4) in images of ``size`` (K, 2) are a corner and two sides in pixels.

    Raises:
        AuditError: of the kind ``error``: they are shares of the image, or two corners.
    """
    known = np.isfinite(size).all(axis=1)
    if len(box) and box.max() <= _SHARES and (not known.any() or size[known].min() > 2 * _SHARES):
        raise error(
            f"{path}: no box is wider than {box[:, 2].max():g}: they are shares of the image and not pixels",
            hint="multiply x and width by the width of the image, y and height by its height",
        )
    box, size = box[known], size[known]
    # As sides most of them reach beyond their image; as corners the second lies behind the first, and within.
    beyond: Flags = np.any(box[:, :2] + box[:, 2:] > size * _BEYOND + 1, axis=1)
    ordered: Flags = np.all((box[:, 2:] > box[:, :2]) & (box[:, 2:] <= size * _BEYOND + 1), axis=1)
    if len(box) and beyond.mean() > OUTSIDE and ordered[beyond].mean() > 1 - FOUND:
        raise error(
            f"{path}: most boxes reach beyond their image: they are two corners, and not a corner and two sides",
            hint="write bbox as [x, y, width, height]: of two corners take the differences",
        )


def check(boxes: Boxes, name: str, found: Detections) -> None:
    """Look at what the dense model called ``name`` has ``found`` of ``boxes``.

    Raises:
        AlignmentError: it finds next to nothing, detects nothing in most images, or finds a class under the name of
            another one.
    """
    things, scores = boxes.things, found.matched.scores(found.detected.score)
    share = float(np.isfinite(scores[things]).mean())
    if share < FOUND:
        cause = repaired(boxes, found.detected, found.iou)
        raise AlignmentError(
            f"the dense model {name} finds {share:.1%} of {len(things):,} boxes at any score, so that nothing could be "
            "lost",
            hint=cause
            or "none of the usual mistakes explains it (numbers of classes or images that begin at another one, two "
            "corners for width and height, shares of the image for pixels): these may be other images",
        )
    held = np.unique(boxes.labelled.image[things])
    silent = int((~np.isin(held, found.detected.image)).sum())
    if silent > SILENT * len(held):
        raise AlignmentError(
            f"the dense model {name} has no detection in {silent:,} of {len(held):,} images with boxes",
            hint="it was recorded for a part of the images: give the labels of that part with --data, or record all",
        )
    _check_classes(boxes, name, found)


def _check_classes(boxes: Boxes, name: str, found: Detections) -> None:
    called = surest(boxes, found)
    things = boxes.things
    labels, seen = boxes.labelled.category[things], called[things] >= 0
    rings = exchanged(labels[seen], called[things][seen], len(boxes.categories))
    if rings:
        told = ", ".join(f"{boxes.categories[a]} as {boxes.categories[b]}" for a, b in list(rings.items())[:3])
        raise AlignmentError(
            f"the dense model {name} takes {len(rings)} classes for one another (categories {told}"
            f"{', ...' if len(rings) > 3 else ''}): the classes seem to be numbered otherwise than in the labels",
            hint="write detections with the category ids of the labelled data",
        )


def surest(boxes: Boxes, found: Detections) -> Counts:
    """The class of the surest detection that overlaps each labelled box (T,), whatever its class; -1 for none."""
    labelled, detected = boxes.labelled, found.detected
    matched = match(
        replace(labelled, category=np.zeros_like(labelled.category)),
        replace(detected, category=np.zeros_like(detected.category)),
        found.iou,
        most=max(1, len(detected.score)),
    )
    called = np.full(len(matched.detection), -1, np.int64)
    hit = matched.detection >= 0
    called[hit] = detected.category[matched.detection[hit]]
    return called


def repaired(boxes: Boxes, detected: Detected, iou: float) -> str | None:
    """What to do so that ``detected`` fits ``boxes``, of the usual mistakes; None where none of them explains it."""
    held = np.unique(boxes.labelled.image[boxes.things])[:IMAGES]
    for told, undo in _REPAIRS.items():
        undone = undo(boxes, detected)
        if undone is not None and _share(boxes, undone, held, iou) > REPAIRED:
            return told
    return None


def _share(boxes: Boxes, detected: Detected, held: Counts, iou: float) -> float:
    """The share of boxes in the images ``held`` that are found at any score."""
    some, own = np.isin(boxes.labelled.image, held), np.isin(detected.image, held)
    few, these = boxes.labelled.at(some), detected.at(own)
    return float((match(few, these, iou).detection >= 0)[~few.crowd].mean())


def _numbered(boxes: Boxes, detected: Detected, by: int) -> Detected | None:
    """With another number of each class, by so many; None where that is no class."""
    numbers = boxes.categories[detected.category] + by
    at = {int(number): position for position, number in enumerate(boxes.categories.tolist())}
    known = np.array([at.get(int(number), -1) for number in numbers], np.int64)
    keep = known >= 0
    return replace(detected.at(keep), category=known[keep]) if keep.any() else None


def _pictured(boxes: Boxes, detected: Detected, by: int) -> Detected | None:
    """In another image, by so many ids further."""
    at = {each: position for position, each in enumerate(boxes.images)}
    other = np.array([at.get(each + by, -1) if isinstance(each, int) else -1 for each in boxes.images], np.int64)
    keep = other[detected.image] >= 0
    return replace(detected.at(keep), image=other[detected.image][keep]) if keep.any() else None


def _called(boxes: Boxes, detected: Detected) -> Detected | None:
    """In the image whose file is called as the id is that was written."""
    stems = [PurePath(name).stem for name in boxes.names]
    at = {int(stem): position for position, stem in enumerate(stems) if stem.isascii() and stem.isdigit()}
    other = np.array([at.get(each, -1) if isinstance(each, int) else -1 for each in boxes.images], np.int64)
    keep = other[detected.image] >= 0
    return replace(detected.at(keep), image=other[detected.image][keep]) if keep.any() else None


def _sides(boxes: Boxes, detected: Detected) -> Detected:  # noqa: ARG001  # as every repair
    """Two corners as a corner and two sides."""
    first, second = detected.box[:, :2], detected.box[:, 2:]
    return replace(detected, box=np.concatenate([first, np.maximum(second - first, 0)], axis=1))


def _centred(boxes: Boxes, detected: Detected) -> Detected:  # noqa: ARG001  # as every repair
    """A centre and two sides as a corner and two sides."""
    return replace(
        detected, box=np.concatenate([detected.box[:, :2] - detected.box[:, 2:] / 2, detected.box[:, 2:]], axis=1)
    )


def _pixels(boxes: Boxes, detected: Detected) -> Detected | None:
    """Shares of the image as pixels; None where the images' sizes are not known."""
    size = boxes.sizes[detected.image]
    return None if np.isnan(size).any() else replace(detected, box=detected.box * np.concatenate([size, size], axis=1))


def _centred_pixels(boxes: Boxes, detected: Detected) -> Detected | None:
    pixels = _pixels(boxes, detected)
    return None if pixels is None else _centred(boxes, pixels)


_REPAIRS: Mapping[str, Callable[[Boxes, Detected], Detected | None]] = {
    "its category ids are one too low: add 1 to each": lambda boxes, found: _numbered(boxes, found, 1),
    "its category ids are one too high: take 1 from each": lambda boxes, found: _numbered(boxes, found, -1),
    "its boxes are two corners: write [x, y, width, height], width and height being differences": _sides,
    "its boxes are a centre and two sides: write [x, y, width, height] with the upper left corner": _centred,
    "its boxes are shares of the image: multiply x and width by its width, y and height by its height": _pixels,
    "its boxes are a centre and two sides as shares of the image: write [x, y, width, height] in pixels, with the "
    "upper left corner": _centred_pixels,
    "its image ids are one too low: add 1 to each": lambda boxes, found: _pictured(boxes, found, 1),
    "its image ids are one too high: take 1 from each": lambda boxes, found: _pictured(boxes, found, -1),
    "its image ids are the numbers that files of images are called by: write the ids of the labels": _called,
}
