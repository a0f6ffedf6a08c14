"""At which threshold each detector is asked, and which boxes count as found there.

A box is found at a threshold where the detection that took it scores at least that; what takes no box and is in no
crowd is a false detection. Each model's threshold is chosen as `prune_audit.tasks._operating_point` has it. A box that
is not found may lie under a false detection of another class, which it was taken for; else it is missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prune_audit.core import (
    RECALLS,
    Answers,
    Assumption,
    Counts,
    FalseFindings,
    Floats,
    Found,
    Outputs,
    Predictions,
    Settings,
    Task,
    Things,
)
from prune_audit.tasks import Judged, _told
from prune_audit.tasks._operating_point import Findings, Point, points, resampled
from prune_audit.tasks.detection import alignment
from prune_audit.tasks.detection.boxes import IMAGE, Boxes, Detections
from prune_audit.tasks.detection.matching import FALSE, average_precision, covered

_SCORES = "detections have scores of their own class, and none of the others"
TASK = Task(
    name="detection",
    thing=("box", "boxes"),
    source=("image", "images"),
    rates=RECALLS,
    lacks={
        "scores": _SCORES,
        "guessing": "nobody finds boxes by guessing among classes",
    },
    missed="missed",
)
MASKS = replace(TASK, thing=("mask", "masks"))
"""The same where masks of pixels are compared."""
_CAPPED = 0.05
"""The share of images with the most detections of any from which on that number is taken for a limit."""
_LOWEST = 0.01
"""Lowest scores that differ by more than this are two settings of how detections were recorded."""
WRONG = "false detections"


def judge(things: Things, found: Sequence[Found], settings: Settings) -> Judged:
    """Which of ``things`` each model, the dense one first, finds at its threshold, and what must be said of that.

    Raises:
        AlignmentError: the dense model finds next to nothing, or takes classes for one another.
        UsageError: the operating point cannot be had.
    """
    boxes: Boxes = things.detail
    task = TASK if boxes.labelled.masks is None else MASKS
    at = boxes.things
    lies_in = boxes.groups.get(settings.cluster or IMAGE, boxes.groups[IMAGE])  # (I,)
    if len(found) > 1:
        alignment.check(boxes, found[0].name, found[0].detail)
    findings = [Findings(name=each.name, found=each.scores, false=each.false_scores) for each in found]
    where, said = points(findings, settings.operating_point, settings.score, wrong=WRONG)
    outputs: list[Outputs] = []
    right, false = {}, {}
    for each, point in zip(found, where, strict=True):
        hit = each.scores >= point.threshold
        right[each.name] = hit
        detections: Detections = each.detail
        wrong = (detections.matched.taken == FALSE) & (detections.detected.score >= point.threshold)
        covering = covered(boxes.labelled, detections.detected, _spread(boxes, ~hit), wrong, detections.iou)[at]
        outputs.append(Outputs(name=each.name, predicted=np.where(hit, things.labels, covering)))
        reach = each.false_scores >= point.threshold
        false[each.name] = FalseFindings(
            labels=each.false_labels[reach],
            within=lies_in[each.false_in[reach]],
            average_precision=average_precision(
                boxes.labelled, detections.detected, len(things.classes), most=settings.max_detections
            ),
        )
    names, lies = np.unique(lies_in.astype(str), return_inverse=True)  # (I,) the cluster of each image
    predictions = Predictions(
        classes=things.classes,
        ids=things.ids,
        labels=things.labels,
        models=tuple(outputs),
        groups=things.groups,
        digests=things.digests,
        task=task,
        right=right,
        false=false,
        answers=Answers(asked=things.texts),
        anew=resampled(
            findings,
            lies[boxes.labelled.image[at]],
            [lies[each.false_in] for each in found],
            len(names),
            settings.operating_point,
            settings.score,
            settings.seed,
        ),
    )
    return Judged(
        predictions=predictions,
        assumptions=tuple(_assumption(point, len(boxes.images), settings) for point in where),
        notes=(*said, *_told.at_one_threshold(where, len(at), task), *_recorded(boxes, found)),
    )


def _spread(
    boxes: Boxes, flags: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Of things (N,), as of all labelled boxes (T,)."""
    spread = np.zeros(len(boxes.labelled.crowd), bool)
    spread[boxes.things] = flags
    return spread


def _assumption(point: Point, images: int, settings: Settings) -> Assumption:
    why = _told.why(settings.operating_point, WRONG)
    if settings.operating_point in ("false-detections", "precision") and settings.score is None:
        why += "; there the sum of all models' F1 is highest"
    return _told.assumption(point, f"{point.false / images:.3g} {WRONG} an image", why)


def _recorded(boxes: Boxes, found: Sequence[Found]) -> list[str]:
    """What is odd in how detections were recorded, of one model beside the dense one."""
    said = []
    lowest = {each.name: _lowest(each.detail.detected.score) for each in found}
    most = {each.name: _cap(each.detail.detected.image, len(boxes.images)) for each in found}
    for each in found:
        silent = len(boxes.images) - len(np.unique(each.detail.detected.image))
        if silent:
            said.append(f"{each.name} has no detection in {silent:,} of {len(boxes.images):,} images")
    dense, *others = found
    for each in others:
        one, other = lowest[dense.name], lowest[each.name]
        if one is not None and other is not None and abs(one - other) > _LOWEST:
            said.append(
                f"{dense.name} was recorded from a score of {one:.3g} on, {each.name} from {other:.3g}: what lies "
                "below the higher one is known of one model alone"
            )
        if most[dense.name] != most[each.name]:
            told = [f"{name} of {limit or 'no'}" for name, limit in ((m.name, most[m.name]) for m in (dense, each))]
            said.append(f"detections seem to have been recorded up to a limit an image, {' and '.join(told)}")
    return said


def _lowest(scores: Floats) -> float | None:
    return float(scores.min()) if len(scores) else None


def _cap(image: Counts, images: int) -> int | None:
    """The most detections of an image, where so many images have exactly that many that it is a limit."""
    several = np.bincount(image, minlength=images)
    most = int(several.max(initial=0))
    return most if most >= 10 and (several == most).mean() > _CAPPED else None
