"""Which labelled box each detection takes, as COCO has it: greedy by score, within an image and a class.

What a detection takes never depends on detections of lower score, so that everything is matched once, with all that
was recorded, and any threshold of scores follows by comparison: a thing is found at t where the score of what took it
is at least t. Only numpy is needed. Reference: `evaluateImg` of pycocotools (Lin et al. 2014, arXiv:1405.0312), area
``all``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Counts, Floats, Masks

Flags = npt.NDArray[np.bool_]
RECALLS = np.linspace(0.0, 1.0, 101)
"""The recalls at which COCO reads the precision, (101,)."""
COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""The overlaps that COCO takes the mean of average precision over."""
FALSE, ABSORBED, BEYOND = -1, -2, -3
"""What a detection takes that takes no thing: none, a crowd, or it is beyond the most that count in its image."""
_PIECE = 1 << 21  # overlaps that are worked out at once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """T labelled boxes: ``image`` and ``category`` (T,) as positions, ``box`` (T, 4) as x, y, width and height in
    pixels, and ``crowd`` (T,), whether a box stands for many, or is to be ignored, so that it is no thing. Where there
    are ``masks``, these are compared in place of the boxes around them."""

    image: Counts
    category: Counts
    box: Floats
    crowd: Flags
    masks: Masks | None = None

    def at(self, rows: Array) -> Labelled:
        """Those at ``rows``: positions, or a flag for each."""
        return Labelled(
            image=self.image[rows],
            category=self.category[rows],
            box=self.box[rows],
            crowd=self.crowd[rows],
            masks=None if self.masks is None else self.masks.at(rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detected:
    """D detections in the order of their file: ``image``, ``category``, ``box`` and ``masks`` as `Labelled` has them,
    and ``score`` (D,), higher where the model is surer."""

    image: Counts
    category: Counts
    box: Floats
    score: Floats
    masks: Masks | None = None

    def at(self, rows: Array) -> Detected:
        """Those at ``rows``: positions, or a flag for each."""
        return Detected(
            image=self.image[rows],
            category=self.category[rows],
            box=self.box[rows],
            score=self.score[rows],
            masks=None if self.masks is None else self.masks.at(rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Detections with the labelled boxes that they overlap enough, in the order in which they choose.

    ``order`` (R,) are the detections that count, as positions: by image and class, then by falling score. K pairs, by
    ``detection`` (K,), a position in ``order``, and of each the boxes from the one it likes best: things before
    crowds, then by falling ``iou`` (K,), of equal ones the later in the list. ``box`` (K,) are positions among
    ``labelled`` boxes, of which ``crowd`` says which are crowds.
    """

    order: Counts
    detection: Counts
    box: Counts
    iou: Floats
    crowd: Flags
    detections: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """What took what: ``detection`` (T,) that took each labelled box, -1 where none did or it is a crowd, and
    ``taken`` (D,), the box that each detection took, else `FALSE`, `ABSORBED` or `BEYOND`."""

    detection: Counts
    taken: Counts

    def scores(self, score: Floats) -> Floats:
        """The score (T,) at which each labelled box is found, of detections that have ``score`` (D,); -inf where it
        is not found at any."""
        if not len(score):
            return np.full(len(self.detection), -np.inf)
        return np.where(self.detection >= 0, score[self.detection], -np.inf)


def match(labelled: Labelled, detected: Detected, iou: float = 0.5, most: int = 100) -> Matched:
    """Match ``detected`` to ``labelled`` boxes that overlap by at least ``iou``, ``most`` an image and class."""
    return chosen(candidates(labelled, detected, iou, most), iou)


def candidates(labelled: Labelled, detected: Detected, iou: float, most: int) -> Candidates:
    """All pairs of a detection and a labelled box of its image and class that overlap by at least ``iou``.

    The overlap is the intersection over the union; with a crowd, over the area of the detection alone. In each image
    and class the ``most`` detections of highest score count, of equal scores the first.
    """
    width = int(max(labelled.category.max(initial=0), detected.category.max(initial=0))) + 1
    own, group = detected.image * width + detected.category, labelled.image * width + labelled.category
    order = np.lexsort((-detected.score, own))  # stable
    starts = np.flatnonzero(np.r_[True, own[order][1:] != own[order][:-1]]) if len(order) else order
    sizes = np.diff(np.r_[starts, len(order)])
    order = order[np.arange(len(order)) - np.repeat(starts, sizes) < most]
    by_group = np.argsort(group, kind="stable")  # (T,)
    first = np.searchsorted(group[by_group], own[order], "left")  # (R,)
    several = np.searchsorted(group[by_group], own[order], "right") - first  # (R,) boxes that each may take
    pairs = [_overlapping(labelled, detected, order, by_group[:0], first[:0], several[:0], 0, iou)]
    ends, start = several.cumsum(), 0
    while start < len(order):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PIECE, "right")))
        piece = slice(start, stop)
        pairs.append(_overlapping(labelled, detected, order[piece], by_group, first[piece], several[piece], start, iou))
        start = stop
    at, box, overlap = (np.concatenate(part) for part in zip(*pairs, strict=True))
    ranked = np.lexsort((-box, -overlap, labelled.crowd[box], at))
    return Candidates(
        order=order,
        detection=at[ranked],
        box=box[ranked],
        iou=overlap[ranked],
        crowd=labelled.crowd,
        detections=len(detected.score),
    )


def _overlapping(
    labelled: Labelled,
    detected: Detected,
    order: Counts,
    by_group: Counts,
    first: Counts,
    several: Counts,
    start: int,
    iou: float,
) -> tuple[Counts, Counts, Floats]:
    """Of the detections ``order``, the first of which is number ``start``: pairs and their overlaps, (K,) each."""
    at = np.repeat(np.arange(len(several)), several)  # (K,)
    box = by_group[np.repeat(first - several.cumsum() + several, several) + np.arange(len(at))]
    if labelled.masks is None or detected.masks is None:
        overlap = overlaps(detected.box[order[at]], labelled.box[box], labelled.crowd[box])
    else:
        overlap = mask_overlaps(detected.masks, labelled.masks, order[at], box, labelled.crowd[box])
    enough = overlap >= min(iou, 1 - 1e-10)
    return at[enough] + start, box[enough], overlap[enough]


def overlaps(detected: Floats, labelled: Floats, crowd: Flags) -> Floats:
    """The overlap of each detected with each labelled box, (K, 4) each: intersection over union (K,).

    Where the labelled box is a ``crowd`` (K,), the intersection over the area of the detected one.
    """
    low = np.maximum(detected[:, :2], labelled[:, :2])
    high = np.minimum(detected[:, :2] + detected[:, 2:], labelled[:, :2] + labelled[:, 2:])
    sides = np.maximum(high - low, 0.0)
    inside = sides[:, 0] * sides[:, 1]
    area = detected[:, 2] * detected[:, 3]
    whole = np.where(crowd, area, area + labelled[:, 2] * labelled[:, 3] - inside)
    share: Floats = np.divide(inside, whole, out=np.zeros(len(inside)), where=inside > 0)
    return share


def mask_overlaps(detected: Masks, labelled: Masks, one: Counts, other: Counts, crowd: Flags) -> Floats:
    """The overlap of the masks ``one`` of those ``detected`` with ``other`` (K,) of those ``labelled``, as `overlaps`.

    What two masks share is, over the runs of one, how many pixels of the other lie before the end of a run, less those
    before its beginning.
    """
    share = np.zeros(len(one))
    mine, theirs = detected.areas, labelled.areas
    order = np.argsort(other, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(other[order])) + 1) if len(order) else ():
        at = int(other[rows[0]])
        runs = labelled.bounds[labelled.first[at] : labelled.first[at + 1]]
        if not len(runs):
            continue
        before = np.append(0, (runs[1::2] - runs[::2]).cumsum())  # pixels in runs that are over
        own = detected.at(one[rows])
        behind = np.searchsorted(runs, own.bounds, "right")  # bounds of the labelled one that are passed
        inside = behind % 2 == 1
        passed = before[behind // 2] + np.where(inside, own.bounds - runs[behind - 1], 0)
        running = np.append(0, (passed[1::2] - passed[::2]).cumsum())
        both = running[own.first[1:] // 2] - running[own.first[:-1] // 2]
        whole = np.where(crowd[rows], mine[one[rows]], mine[one[rows]] + theirs[at] - both)
        share[rows] = np.divide(both, whole, out=np.zeros(len(rows)), where=both > 0)
    return share


def chosen(pairs: Candidates, iou: float) -> Matched:
    """Let each detection take the free box that it likes best of those that overlap by at least ``iou``.

    A crowd may be taken any number of times, and only by a detection that finds no free thing.
    """
    enough = pairs.iou >= min(iou, 1 - 1e-10)
    taken = np.full(pairs.detections, BEYOND, np.int64)
    taken[pairs.order] = FALSE
    detection = np.full(len(pairs.crowd), -1, np.int64)
    done, crowd = -1, pairs.crowd[pairs.box[enough]]
    free = np.ones(len(pairs.crowd), bool).tolist()
    rows: list[int] = []
    boxes: list[int] = []
    for row, box, many in zip(
        pairs.detection[enough].tolist(), pairs.box[enough].tolist(), crowd.tolist(), strict=True
    ):
        if row == done or not free[box]:
            continue
        done = row
        rows.append(row)
        boxes.append(ABSORBED if many else box)
        free[box] = many
    at, to = np.array(rows, np.int64), np.array(boxes, np.int64)
    taken[pairs.order[at]] = to
    detection[to[to >= 0]] = pairs.order[at[to >= 0]]
    return Matched(detection=detection, taken=taken)


def covered(labelled: Labelled, detected: Detected, open_: Flags, false: Flags, iou: float = 0.5) -> Counts:
    """The class of what covers each labelled box (T,) that is ``open_`` (T,), -1 where nothing does.

    Matched as `match` does, whatever the class, are the boxes that were not found with the detections that are
    ``false`` (D,).
    """
    things, detections = np.flatnonzero(open_ & ~labelled.crowd), np.flatnonzero(false)
    some, own = labelled.at(things), detected.at(detections)
    found = match(
        replace(some, category=np.zeros_like(some.category)),
        replace(own, category=np.zeros_like(own.category)),
        iou,
        most=max(1, len(detections)),
    )
    covering = np.full(len(open_), -1, np.int64)
    hit = found.detection >= 0
    covering[things[hit]] = detected.category[detections[found.detection[hit]]]
    return covering


def average_precision(
    labelled: Labelled,
    detected: Detected,
    classes: int,
    ious: Sequence[float] = COCO_IOUS,
    most: int = 100,
) -> Floats:
    """The average precision of each class (classes,) as COCO has it, the mean over ``ious``; NaN without things.

    Precision, made to fall with recall, is read at 101 recalls; it is 0 where that recall is not reached. Equal scores
    go in the order of the images' positions.
    """
    pairs = candidates(labelled, detected, min(ious), most)
    things = np.bincount(labelled.category[~labelled.crowd], minlength=classes)
    own = pairs.order[np.lexsort((-detected.score[pairs.order], detected.category[pairs.order]))]  # (R,) stable
    bounds = np.searchsorted(detected.category[own], np.arange(classes + 1))
    each = np.full((len(ious), classes), np.nan)
    for row, iou in enumerate(ious):
        taken = chosen(pairs, iou).taken
        for c in np.flatnonzero(things):
            what = taken[own[bounds[c] : bounds[c + 1]]]
            each[row, c] = _area(what[what != ABSORBED] >= 0, int(things[c]))
    mean: Floats = each.mean(axis=0)
    return mean


def _area(hit: Flags, things: int) -> float:
    """The mean of the precision at `RECALLS` of detections by falling score, of which ``hit`` (K,) took a thing."""
    true = hit.cumsum()
    precision = np.maximum.accumulate((true / (np.arange(len(hit)) + 1))[::-1])[::-1]
    at = np.searchsorted(true / things, RECALLS, "left")
    return float(np.r_[precision, 0.0][np.minimum(at, len(hit))].mean())
