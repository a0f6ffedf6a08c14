"""Made scenes of boxes: labelled ones, and what a detector says of them, with all that makes matching hard."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import numpy as np

from prune_audit.core import Array
from prune_audit.tasks.detection.matching import Detected, Labelled


def scene(
    seed: int, *, images: int = 12, classes: int = 3, most: int = 12, crowds: float = 0.1, grid: int | None = 8
) -> tuple[Labelled, Detected]:
    """Random boxes in ``images`` images, up to ``most`` an image, of which a share are ``crowds``.

    On a ``grid`` of so many pixels, many boxes are equal and many overlaps alike. Scores have two digits, so that many
    are equal, too. Some images have no box, some no detection.
    """
    rng = np.random.default_rng(seed)

    def snapped(values: Array) -> Array:
        return values if grid is None else np.rint(values / grid) * grid

    things = rng.integers(0, most + 1, images) * (rng.random(images) < 0.85)
    image = np.repeat(np.arange(images), things)
    box = np.concatenate(
        [snapped(rng.uniform(0, 60, (len(image), 2))), snapped(rng.uniform(8, 48, (len(image), 2)))], 1
    )
    labelled = Labelled(
        image=image,
        category=rng.integers(0, classes, len(image)),
        box=box,
        crowd=rng.random(len(image)) < crowds,
    )
    near = rng.integers(0, max(len(image), 1), 2 * len(image))  # detections that begin at a labelled box
    stray = rng.integers(0, images, 2 * images)
    jitter = snapped(rng.normal(0, 5, (len(near), 4)))
    wild = np.concatenate([rng.uniform(0, 60, (len(stray), 2)), rng.uniform(8, 48, (len(stray), 2))], 1)
    boxes = np.concatenate([box[near] + jitter, snapped(wild)]) if len(image) else snapped(wild)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 1.0)
    at = np.concatenate([image[near], stray]) if len(image) else stray
    right = np.concatenate([labelled.category[near], rng.integers(0, classes, len(stray))]) if len(image) else None
    category = rng.integers(0, classes, len(at))
    keep = rng.random(len(at)) < 0.8
    category = category if right is None else np.where(keep, right, category)
    mixed = rng.permutation(len(at))
    silent = rng.random(images) < 0.1
    mixed = mixed[~silent[at[mixed]]]
    return labelled, Detected(
        image=at[mixed], category=category[mixed], box=boxes[mixed], score=np.round(rng.random(len(mixed)), 2)
    )


def dataset(labelled: Labelled, images: int, classes: int) -> dict[str, Any]:
    """``labelled`` as COCO's ground truth. Ids begin at 1: pycocotools takes annotation 0 for none."""
    return {
        "info": {},
        "images": [{"id": i, "width": 120, "height": 120, "file_name": f"{i}.jpg"} for i in range(images)],
        "categories": [{"id": c, "name": f"class {c}"} for c in range(classes)],
        "annotations": [
            {
                "id": t + 1,
                "image_id": int(labelled.image[t]),
                "category_id": int(labelled.category[t]),
                "bbox": labelled.box[t].tolist(),
                "area": float(labelled.box[t, 2] * labelled.box[t, 3]),
                "iscrowd": int(labelled.crowd[t]),
            }
            for t in range(len(labelled.image))
        ],
    }


def results(detected: Detected) -> list[dict[str, Any]]:
    """``detected`` as COCO's list of results."""
    return [
        {
            "image_id": int(detected.image[d]),
            "category_id": int(detected.category[d]),
            "bbox": detected.box[d].tolist(),
            "score": float(detected.score[d]),
        }
        for d in range(len(detected.image))
    ]


def outlined(labelled: Labelled, detected: Detected, images: int, classes: int) -> tuple[Any, Any]:
    """COCO's ground truth and results with masks in all ways of writing them: polygons, and runs as lists and texts.

    What is labelled are octagons, triangles or both in their boxes, what is detected has holes and ragged edges.
    """
    from pycocotools import mask

    truth, found = dataset(labelled, images, classes), results(detected)
    rng = np.random.default_rng(len(found))
    turn = np.arange(8) * np.pi / 4 + np.pi / 8
    circle = np.stack([np.cos(turn), np.sin(turn)], 1) / 2 + 0.5
    for each in truth["annotations"]:
        x, y, w, h = each["bbox"]
        drawn = [(circle * [w, h] + [x, y]).ravel().tolist(), [x, y, x + w, y, x, y + h]]
        drawn = drawn[: int(rng.integers(1, 3))]
        runs = mask.merge(mask.frPyObjects(drawn, 120, 120))
        each["segmentation"] = drawn
        if each["iscrowd"] or rng.random() < 0.3:
            each["segmentation"] = {"size": [120, 120], "counts": runs["counts"].decode()}
        elif rng.random() < 0.3:
            each["segmentation"] = {"size": [120, 120], "counts": listed(pixels_of(runs))}
        each["area"] = int(mask.area(runs))
    for each in found:
        x, y, w, h = np.clip(np.rint(each["bbox"]), 0, 118).astype(int).tolist()
        covered = np.zeros((120, 120), np.uint8, "F")
        covered[y : y + max(h, 2), x : x + max(w, 2)] = (
            rng.random((min(max(h, 2), 120 - y), min(max(w, 2), 120 - x))) < 0.9
        )
        covered[y, x] = 1
        each["segmentation"] = {"size": [120, 120], "counts": mask.encode(covered)["counts"].decode()}
        del each["bbox"]
    return truth, found


def pixels_of(runs: Any) -> Array:
    """What ``runs`` of pycocotools cover (H, W), as 0 and 1."""
    from pycocotools import mask

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its array has numpy's older interface
        covered: Array = mask.decode(runs)
    return covered


def listed(covered: Array) -> list[int]:
    """The runs of pixels that are ``covered`` (H, W), out and in by turns."""
    flat = np.r_[0, covered.ravel("F")]
    at = np.flatnonzero(np.diff(flat))
    counts: list[int] = np.diff(np.r_[0, at, len(flat) - 1]).tolist()
    return counts


def evaluated(
    kind: Any, coco: Any, truth: dict[str, Any], found: list[dict[str, Any]], most: int, ious: Any, what: str = "bbox"
) -> Any:
    """The evaluation of ``kind`` (COCOeval, or one like it) with its own ``coco``, over boxes of all areas."""
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco()
        known.dataset = truth
        known.createIndex()
        ran = kind(known, known.loadRes(found), what)
        ran.params.maxDets = [most]
        ran.params.iouThrs = np.asarray(ious)
        ran.params.areaRng, ran.params.areaRngLbl = [[0, 1e10]], ["all"]
        ran.evaluate()
        ran.accumulate()
    return ran
