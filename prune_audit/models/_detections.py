"""Detections of a recorded model, matched to labelled boxes: what their formats share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import ClassVar

import numpy as np

from prune_audit.core import Assumption, Expects, Found, ModelCard, Things
from prune_audit.errors import AlignmentError
from prune_audit.models._elsewhere import OfThings
from prune_audit.tasks.detection.boxes import Boxes, Detections
from prune_audit.tasks.detection.matching import FALSE, Detected


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedBoxes(OfThings):
    """What every recorded detector is, but for how its format finds boxes: `prune_audit.core.Finds` without ``found``.

    ``iou`` is the overlap at which a detection takes a box, and ``most`` detections count in each image and class.
    ``told`` is what `found` takes for granted when it joins images and classes with those of the labels.
    """

    HOLDS: ClassVar[str] = "detections in images"

    card: ModelCard
    expects: Expects
    iou: float
    most: int
    told: dict[str, Assumption] = field(default_factory=dict)

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """How images and classes were joined, after `found`."""
        return tuple(self.told.values())


def labelled(card: ModelCard, things: Things) -> Boxes:
    """The boxes of ``things``. Raises `AlignmentError` where these are no boxes."""
    boxes = things.detail
    if not isinstance(boxes, Boxes):
        raise AlignmentError(
            f"{card.path} holds {RecordedBoxes.HOLDS}, and {things.path} labels for the task {things.task}",
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
