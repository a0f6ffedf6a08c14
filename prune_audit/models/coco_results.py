"""Detections in COCO's JSON: a list of image, class, box and score, as evaluation scripts of detectors write it.

Results are joined by the ids of images and of categories, or by the files of images where their stems were taken for
ids. Whatever names an image or a class that the labels do not have stops the run, and no detector runs here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prune_audit.core import (
    Assumption,
    Counts,
    Expects,
    Floats,
    Found,
    ModelCard,
    ModelSource,
    Settings,
    Things,
)
from prune_audit.errors import AlignmentError
from prune_audit.files import coco
from prune_audit.models import _detections, _elsewhere
from prune_audit.tasks.detection import alignment
from prune_audit.tasks.detection.boxes import Boxes
from prune_audit.tasks.detection.matching import Detected

TASK = "detection"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedDetections(_detections.RecordedBoxes):
    """A `prune_audit.core.Finds` model; ``results`` are matched when boxes are to be found."""

    results: coco.Results

    def found(self, things: Things) -> Found:
        """What took the boxes of ``things``.

        Raises:
            AlignmentError: an image or a category is not that of the labels, or boxes are in other coordinates.
        """
        boxes, results = _detections.labelled(self.card, things), self.results
        detected = Detected(
            image=self._images(boxes)[results.image],
            category=self._categories(boxes),
            box=results.box,
            score=results.score,
            masks=results.masks,
        )
        if results.masks is not None:
            self._check_sizes(boxes.sizes[detected.image])
        else:
            alignment.check_coordinates(self.card.path, detected.box, boxes.sizes[detected.image], AlignmentError)
            if results.outlined:
                self.told["overlap"] = Assumption(
                    subject=self.card.name,
                    what="overlap",
                    value="of boxes",
                    why=f"{results.outlined:,} of {len(results.score):,} detections have masks, too",
                    option="--overlap masks",
                )
        return _detections.found(self.card, boxes, detected, self.iou, self.most)

    def _check_sizes(self, size: Floats) -> None:
        """That masks are of images of such ``size`` (D, 2). Raises `AlignmentError` where one is not."""
        own = self.results.sizes
        for at in np.flatnonzero((np.isfinite(size) & (own != size)).any(axis=1))[:1]:
            turned = " (height comes first)" if (own[at][::-1] == size[at]).all() else ""
            raise AlignmentError(
                f"{self.card.path}: the mask of detection {at + 1} is of an image of {own[at][0]:g} x {own[at][1]:g} "
                f"pixels, and the labels say {size[at][0]:g} x {size[at][1]:g}{turned}",
                hint="write masks of the images as they are labelled, not as the network was shown them",
            )

    def _images(self, boxes: Boxes) -> Counts:
        """The position of each image of the results among those of ``boxes``."""
        ways: dict[str, Callable[[Any], Any]] = {
            "by image id": lambda each: each,
            "by image id, as numbers": _number,
            "by the number that the file of an image is": _number,
        }
        tables: dict[str, dict[Any, int]] = {
            "by image id": {each: at for at, each in enumerate(boxes.images)},
            "by image id, as numbers": _distinct([_number(each) for each in boxes.images]),
            "by the file of an image": _distinct(list(boxes.names)),
            "by the file of an image, without folder and suffix": _distinct(
                [_detections.stem(name) for name in boxes.names]
            ),
            "by the number that the file of an image is": _distinct(
                [_number(_detections.stem(name)) for name in boxes.names]
            ),
        }
        best = ("by image id", -1)
        for way, known in tables.items():
            asked = [ways.get(way, str)(each) for each in self.results.images]
            at = [known.get(each, -1) for each in asked]
            if -1 not in at:
                if way != "by image id":
                    self.told["images"] = Assumption(
                        subject=self.card.name,
                        what="images",
                        value=f"joined {way}",
                        why="its image ids are not those of the labels as they are written",
                        option="image_id in the file",
                    )
                return np.array(at, np.int64)
            best = max(best, (way, sum(each >= 0 for each in at)), key=lambda pair: pair[1])
        way, known = best[0], tables[best[0]]
        unknown = [each for each in self.results.images if ways.get(way, str)(each) not in known]
        raise AlignmentError(
            f"{self.card.path}: {len(unknown):,} of {len(self.results.images):,} images with detections are not among "
            f"the {len(boxes.images):,} of the labels, such as {unknown[0]!r} (joined {way})",
            hint=f"write image_id as the labels have it ({boxes.images[0]!r} is {boxes.names[0] or 'the first'}), and "
            "detections of these images alone",
        )

    def _categories(self, boxes: Boxes) -> Counts:
        """The position of each detection's category among the classes of ``boxes``."""
        numbers, own = np.unique(self.results.category, return_inverse=True)
        at = {int(number): position for position, number in enumerate(boxes.categories)}
        unknown = [int(number) for number in numbers if int(number) not in at]
        if not unknown:
            return np.array([at[int(number)] for number in numbers], np.int64)[own].reshape(-1)
        shift = next((by for by in (1, -1) if all(int(number) + by in at for number in numbers)), None)
        known = sorted(at)
        hint = f"the labels have the categories {known[0]} to {known[-1]}"
        if shift is not None:
            hint += (
                f"; its ids seem to begin at another number: add {shift} to each"
                if shift > 0
                else ("; its ids seem to begin at another number: take 1 from each")
            )
        elif numbers.min() >= 0 and numbers.max() < len(known):
            hint += "; its ids seem to be positions among them, from 0: write the id of each"
        elif numbers.min() >= 1 and numbers.max() <= len(known):
            hint += "; its ids seem to be positions among them, from 1: write the id of each"
        raise AlignmentError(
            f"{self.card.path}: the category {unknown[0]} is none of the {len(known)} of the labels"
            + (f", and {len(unknown) - 1} others are none" if len(unknown) > 1 else ""),
            hint=hint,
        )


def recognises(path: Path) -> bool:
    """Whether the file is COCO's list of results, or the ground truth that was given in its place."""
    return coco.told(path) is not None


def load(source: ModelSource, settings: Settings) -> RecordedDetections:
    """The detections at ``source``.

    Raises:
        ModelError: the file is damaged, or holds no detections.
        UsageError: there is a factory.
    """
    _elsewhere.no_factory(source, "detections")
    results = coco.results(source.path, settings.overlap)
    with source.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return RecordedDetections(
        card=ModelCard(
            name=source.name,
            path=str(source.path),
            format="predictions",
            digest=digest.hexdigest(),
            size=source.path.stat().st_size,
        ),
        expects=Expects(runs=False),
        results=results,
        iou=settings.iou,
        most=settings.max_detections,
    )


def _number(each: int | str) -> int | str:
    """A whole number that is written as text is that number."""
    text = str(each).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else each


def _distinct(keys: Sequence[Any]) -> dict[Any, int]:
    """The position of each key; none at all where two are alike, as these would be taken for one another."""
    found = {key: at for at, key in enumerate(keys)}
    return found if len(found) == len(keys) else {}
