"""What is labelled in images, and what a model detected there: the nouns that readers give and `judging` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prune_audit.core import Array, Counts, Floats
from prune_audit.tasks.detection.matching import Detected, Labelled, Matched, match

IMAGE = "image"
"""The column of the image that a box is in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """All labelled boxes of I images, crowds too, as `prune_audit.core.Things.detail`.

    ``images`` are the ids of the images and ``names`` their files, '' where there is none; ``sizes`` (I, 2) are their
    width and height in pixels, NaN where they are not known. ``categories`` (C,) are the numbers of the classes in
    files, and ``groups`` columns of what is known of each image (I,).
    """

    images: tuple[int | str, ...]
    names: tuple[str, ...]
    sizes: Floats
    categories: Counts
    groups: Mapping[str, Array]
    labelled: Labelled

    @property
    def things(self) -> Counts:
        """The positions (N,) of boxes that are no crowds."""
        return np.flatnonzero(~self.labelled.crowd)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """All detections of one model and what each of them took, as `prune_audit.core.Found.detail`."""

    detected: Detected
    matched: Matched
    iou: float

    @classmethod
    def of(cls, boxes: Boxes, detected: Detected, iou: float, most: int) -> Detections:
        """``detected`` as matched to ``boxes`` that overlap by at least ``iou``, ``most`` an image and class."""
        return cls(detected=detected, matched=match(boxes.labelled, detected, iou, most), iou=iou)
