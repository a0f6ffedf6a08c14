"""Detections in YOLO's text files, one an image, as ``save_txt`` with ``save_conf`` writes them into a folder.

Files are joined with images by their name without suffix. An image without a file has no detections. Numbers of classes
are those of the labels, or the positions of their categories where these are numbered otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
from prune_audit.files import yolo
from prune_audit.models import _detections, _elsewhere
from prune_audit.tasks.detection.boxes import Boxes
from prune_audit.tasks.detection.matching import Detected

TASK = "detection"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedDetections(_detections.RecordedBoxes):
    """A `prune_audit.core.Finds` model; ``lines`` of ``files`` are matched when boxes are to be found.

    ``files`` are by their path in the folder without suffix.
    """

    files: dict[str, Path]
    lines: yolo.Lines

    def found(self, things: Things) -> Found:
        """What took the boxes of ``things``.

        Raises:
            AlignmentError: an image or a class is not that of the labels, or nobody knows how large an image is.
        """
        boxes, lines = _detections.labelled(self.card, things), self.lines
        image = self._images(boxes)[lines.file]
        size = self._sizes(boxes, image)  # (D, 2)
        detected = Detected(
            image=image,
            category=self._categories(boxes),
            box=lines.box * np.concatenate([size, size], axis=1),
            score=lines.score,
        )
        notes = [f"{self.card.name}: {each}" for each in yolo.copied(lines)]
        if lines.outlines:
            notes.append(f"{self.card.name}: {lines.outlines:,} detections are outlines: the boxes around them count")
        return _detections.found(self.card, boxes, detected, self.iou, self.most, tuple(notes))

    def _images(self, boxes: Boxes) -> Counts:
        """The position of the image of each file among those of ``boxes``."""
        whole = {str(Path(name).with_suffix("")): at for at, name in enumerate(boxes.names) if name}
        stems: dict[str, list[int]] = {}
        for at, name in enumerate(boxes.names):
            stems.setdefault(_detections.stem(name), []).append(at)
        found, unknown = [], []
        for each in self.files:
            known = [whole[each]] if each in whole else stems.get(_detections.stem(f"{each}.txt"), [])
            if len(known) > 1:
                raise AlignmentError(
                    f"{self.files[each]}: {len(known)} images of the labels are called so, such as "
                    f"{boxes.names[known[0]]} and {boxes.names[known[1]]}",
                    hint="record into folders as those of the images, or audit one folder of images at a time",
                )
            found += known or [-1]
            unknown += [] if known else [each]
        if unknown:
            raise AlignmentError(
                f"{self.card.path}: {len(unknown):,} of {len(self.files):,} files are of images that are not among the "
                f"{len(boxes.names):,} of the labels, such as {self.files[unknown[0]].name}",
                hint=f"files are called as images are (that of {boxes.names[0] or 'the first'} is "
                f"{_detections.stem(boxes.names[0]) or '...'}.txt); record these images alone",
            )
        taken = np.array(found, np.int64)
        if len(np.unique(taken)) < len(taken):
            raise AlignmentError(
                f"{self.card.path} holds several files of one image", hint="give the folder of one recording"
            )
        return taken

    def _sizes(self, boxes: Boxes, image: Counts) -> Floats:
        """Width and height (D, 2) of the images that detections lie in."""
        size = boxes.sizes[image]
        for at in np.flatnonzero(np.isnan(size).any(axis=1))[:1]:
            raise AlignmentError(
                f"{self.card.path} holds shares of images, and the labels do not say how large "
                f"{boxes.names[image[at]]} is",
                hint="write width and height of each image into the labelled data",
            )
        return size

    def _categories(self, boxes: Boxes) -> Counts:
        """The position of each detection's class among those of ``boxes``."""
        lines, count = self.lines, len(boxes.categories)
        for at in np.flatnonzero(lines.category >= count)[:1]:
            file = list(self.files.values())[lines.file[at]]
            raise AlignmentError(
                f"{file}, line {lines.line[at]}: class {lines.category[at]}, and the labels have {count} classes, 0 to "
                f"{count - 1}",
                hint="the model knows other classes than the labels, or the labels do not name all of theirs",
            )
        order = np.argsort(boxes.categories, kind="stable")
        if not np.array_equal(boxes.categories, np.arange(count)):
            self.told["classes"] = Assumption(
                subject=self.card.name,
                what="classes",
                value="0 is the category of the lowest id, and so on",
                why=f"the categories of the labels are numbered {boxes.categories.min()} to {boxes.categories.max()}",
                option="the class in the files",
            )
        return order[lines.category]


def recognises(path: Path) -> bool:
    """Whether it is a folder of such files, or holds one called ``labels`` and no images beside it."""
    return yolo.told(path) or (not (path / "images").is_dir() and yolo.told(path / "labels"))


def load(source: ModelSource, settings: Settings) -> RecordedDetections:
    """The detections in the folder at ``source``.

    Raises:
        ModelError: a file is damaged, or holds no detections.
        UsageError: there is a factory, or masks are to overlap.
    """
    _elsewhere.no_factory(source, "detections")
    path = source.path
    yolo.no_masks(path, settings.overlap)
    files = yolo.files(path if yolo.told(path) else path / "labels")
    lines = yolo.read(list(files.values()), "detections")
    return RecordedDetections(
        card=ModelCard(name=source.name, path=str(path), format="predictions", digest=lines.digest, size=lines.size),
        expects=Expects(runs=False),
        files=files,
        lines=lines,
        iou=settings.iou,
        most=settings.max_detections,
    )
