"""Boxes in images: a labelled box is found where a detection of its class overlaps it enough, as COCO counts.

``boxes`` is what is labelled and what was detected, ``judging`` at which threshold of scores each model is asked and
what it finds there, ``alignment`` whether detections and labels speak of the same images, classes and coordinates,
and ``matching`` which detection takes which box.
"""

from prune_audit.tasks._pairs import flips, right_of, samples
from prune_audit.tasks._precision import pair
from prune_audit.tasks.detection.judging import TASK, judge

READS = ("operating_point", "score", "iou", "overlap", "max_detections")

__all__ = ["READS", "TASK", "flips", "judge", "pair", "right_of", "samples"]
