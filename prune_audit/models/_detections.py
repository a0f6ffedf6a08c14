"""Detections of a recorded model, matched to labelled boxes: what their formats share."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from prune_audit.core import Found, ModelCard, ModelSource, Things
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.tasks.detection.boxes import Boxes, Detections
from prune_audit.tasks.detection.matching import FALSE, Detected

HOLDS = "detections in images"


def no_factory(source: ModelSource) -> None:
    """Raises `UsageError` where a function is to build what was recorded."""
    if source.factory is not None:
        raise UsageError(
            f"{source.path} holds detections, which need no factory {source.factory}",
            hint=f"give the path alone: {source.path}",
        )


def labelled(card: ModelCard, things: Things) -> Boxes:
    """The boxes of ``things``. Raises `AlignmentError` where these are no boxes."""
    boxes = things.detail
    if not isinstance(boxes, Boxes):
        raise AlignmentError(
            f"{card.path} holds {HOLDS}, and {things.path} labels for the task {things.task}",
            hint="give labelled boxes with --data",
        )
    return boxes


def found(
    card: ModelCard, boxes: Boxes, detected: Detected, iou: float, most: int, notes: tuple[str, ...] = ()
) -> Found:
    """What ``detected`` takes of ``boxes`` that it overlaps by ``iou``, ``most`` detections an image and class."""
    detections = Detections.of(boxes, detected, iou, most)
    false = np.flatnonzero(detections.matched.taken == FALSE)
    flat = int((detected.box[:, 2:] == 0).any(axis=1).sum())
    return Found(
        name=card.name,
        scores=detections.matched.scores(detected.score)[boxes.things],
        false_labels=detected.category[false],
        false_in=detected.image[false],
        false_scores=detected.score[false],
        notes=(*notes, *((f"{card.name}: {flat:,} detections have no area, and find nothing",) if flat else ())),
        detail=detections,
    )


def stem(name: str) -> str:
    """The name of an image without folder and suffix."""
    return PurePath(name).stem
