"""Matching against pycocotools and faster-coco-eval, box for box, and what it promises by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_audit.files import coco
from prune_audit.tasks.detection import matching
from prune_audit.tasks.detection.matching import (
    ABSORBED,
    BEYOND,
    COCO_IOUS,
    FALSE,
    Detected,
    Labelled,
    average_precision,
    covered,
    match,
)
from tests.tasks.detection.scenes import dataset, evaluated, outlined, results, scene

# Few and many boxes an image, on a grid (equal boxes and overlaps) and off it, with no crowds and many.
KINDS: list[dict[str, object]] = [
    {},
    {"grid": None},
    {"crowds": 0.5},
    {"crowds": 0.0, "most": 3, "images": 30},
    {"classes": 1, "most": 40, "images": 5},
    {"grid": 24, "classes": 2},
]
SCENES = [(seed, KINDS[seed % len(KINDS)]) for seed in range(18)]


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(rows, np.float64).reshape(-1, 4)


def labelled(*rows: tuple[float, float, float, float], crowd: tuple[bool, ...] = ()) -> Labelled:
    none = np.zeros(len(rows), np.int64)
    return Labelled(image=none, category=none, box=boxes(*rows), crowd=np.array(crowd or [False] * len(rows)))


def detected(*rows: tuple[float, float, float, float], score: tuple[float, ...]) -> Detected:
    none = np.zeros(len(rows), np.int64)
    return Detected(image=none, category=none, box=boxes(*rows), score=np.array(score))


@pytest.mark.parametrize(("seed", "kind"), SCENES)
@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_every_box_is_taken_as_by_pycocotools(seed: int, kind: dict[str, int], iou: float) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = scene(seed, **kind)
    most = 5 if seed % 4 == 3 else 100
    images, classes = kind.get("images", 12), kind.get("classes", 3)
    ran = evaluated(COCOeval, COCO, dataset(truth, images, classes), results(found), most, [iou])
    took = np.full(len(truth.image), -1)
    taken = np.full(len(found.image), BEYOND)
    for part in (each for each in ran.evalImgs if each is not None):
        for box, by in zip(part["gtIds"], part["gtMatches"][0], strict=True):
            took[box - 1] = int(by) - 1 if not truth.crowd[box - 1] else -1
        for by, box, ignored in zip(part["dtIds"], part["dtMatches"][0], part["dtIgnore"][0], strict=True):
            taken[by - 1] = ABSORBED if ignored else int(box) - 1 if box else FALSE
    mine = match(truth, found, iou, most)
    assert mine.detection.tolist() == took.tolist()
    assert mine.taken.tolist() == taken.tolist()


@pytest.mark.parametrize(("seed", "kind"), SCENES[:5])
def test_every_mask_is_taken_as_by_pycocotools(seed: int, kind: dict[str, int], tmp_path: Path) -> None:
    """From files with polygons and runs in all ways of writing them; average precision of masks, too."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = scene(seed, **kind)
    images, classes = kind.get("images", 12), kind.get("classes", 3)
    content, rows = outlined(truth, found, images, classes)
    (tmp_path / "truth.json").write_text(json.dumps(content))
    (tmp_path / "found.json").write_text(json.dumps(rows))
    read, got = coco.truth(tmp_path / "truth.json", "masks"), coco.results(tmp_path / "found.json", "masks")
    assert read.masks is not None
    assert got.masks is not None
    assert read.masks.areas.tolist() == [each["area"] for each in content["annotations"]]
    truth = replace(truth, masks=read.masks)
    found = replace(found, box=got.box, masks=got.masks)
    # COCO changes what it is given.
    ran = evaluated(COCOeval, COCO, content, rows, 100, COCO_IOUS, "segm")
    took = np.full(len(truth.image), -1)
    taken = np.full(len(found.image), BEYOND)
    for part in (each for each in ran.evalImgs if each is not None):
        for box, by in zip(part["gtIds"], part["gtMatches"][0], strict=True):
            took[box - 1] = int(by) - 1 if not truth.crowd[box - 1] else -1
        for by, box, ignored in zip(part["dtIds"], part["dtMatches"][0], part["dtIgnore"][0], strict=True):
            taken[by - 1] = ABSORBED if ignored else int(box) - 1 if box else FALSE
    mine = match(truth, found)
    assert mine.detection.tolist() == took.tolist()
    assert mine.taken.tolist() == taken.tolist()
    assert (mine.taken != match(replace(truth, masks=None), replace(found, masks=None)).taken).any()  # as boxes: others
    things = np.bincount(truth.category[~truth.crowd], minlength=classes)
    theirs = ran.eval["precision"][..., 0, 0].mean(axis=(0, 1))
    own = average_precision(truth, found, classes)
    # The reference adds the smallest float to each denominator.
    np.testing.assert_allclose(own[things > 0], theirs[things > 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("seed", "kind"), SCENES)
def test_every_box_is_taken_as_by_faster_coco_eval(seed: int, kind: dict[str, int]) -> None:
    from faster_coco_eval import COCO, COCOeval_faster

    truth, found = scene(seed, **kind)
    most = 5 if seed % 4 == 3 else 100
    images, classes = kind.get("images", 12), kind.get("classes", 3)
    ran = evaluated(COCOeval_faster, COCO, dataset(truth, images, classes), results(found), most, [0.5])
    theirs = {tuple(map(int, pair.split("_"))) for pair in ran.eval["matched"]}
    mine = match(truth, found, 0.5, most)
    assert {(int(d) + 1, t + 1) for t, d in enumerate(mine.detection) if d >= 0} == {
        (d, t) for d, t in theirs if not truth.crowd[t - 1]
    }


@pytest.mark.parametrize(("seed", "kind"), SCENES)
def test_average_precision_and_recall_are_those_of_both_references(seed: int, kind: dict[str, int]) -> None:
    from faster_coco_eval import COCO as FASTER
    from faster_coco_eval import COCOeval_faster
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = scene(seed, **kind)
    most = 5 if seed % 4 == 3 else 100
    images, classes = kind.get("images", 12), kind.get("classes", 3)
    things = np.bincount(truth.category[~truth.crowd], minlength=classes)
    mine = average_precision(truth, found, classes, most=most)
    hit = match(truth, found, 0.5, most).detection >= 0
    for kind_of, index in ((COCOeval, COCO), (COCOeval_faster, FASTER)):
        ran = evaluated(kind_of, index, dataset(truth, images, classes), results(found), most, COCO_IOUS)
        theirs = ran.eval["precision"][..., 0, 0].mean(axis=(0, 1))  # (T, R, K, A, M)
        # The references add the smallest float to each denominator.
        np.testing.assert_allclose(mine[things > 0], theirs[things > 0], rtol=0, atol=1e-12)
        assert (theirs[things == 0] == -1).all()
        assert np.isnan(mine[things == 0]).all()
        recall = np.bincount(truth.category[hit], minlength=classes)[things > 0] / things[things > 0]
        np.testing.assert_allclose(recall, ran.eval["recall"][0, :, 0, 0][things > 0], rtol=0, atol=1e-12)


@given(st.integers(0, 10**6), st.sampled_from(range(len(KINDS))), st.floats(0, 1), st.sampled_from([4, 100]))
@settings(max_examples=60, deadline=None)
def test_what_is_found_at_a_threshold_does_not_depend_on_when_it_is_applied(
    seed: int, kind: int, threshold: float, most: int
) -> None:
    truth, found = scene(seed, **KINDS[kind])  # type: ignore[arg-type]
    once = match(truth, found, most=most)
    above = np.flatnonzero(found.score >= threshold)
    fewer = Detected(
        image=found.image[above], category=found.category[above], box=found.box[above], score=found.score[above]
    )
    again = match(truth, fewer, most=most)
    assert ((again.detection >= 0) == (once.scores(found.score) >= threshold)).all()
    assert (again.taken == once.taken[above]).all()


@given(st.integers(0, 10**6), st.sampled_from(range(len(KINDS))))
@settings(max_examples=30, deadline=None)
def test_pieces_change_nothing(seed: int, kind: int) -> None:
    truth, found = scene(seed, **KINDS[kind])  # type: ignore[arg-type]
    whole = match(truth, found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_PIECE", 3)
        pieces = match(truth, found)
    assert (whole.taken == pieces.taken).all()
    assert (whole.detection == pieces.detection).all()


def test_a_box_is_taken_once_by_the_surest() -> None:
    truth = labelled((0, 0, 10, 10))
    found = detected((0, 0, 10, 10), (0, 0, 10, 9), score=(0.4, 0.9))
    mine = match(truth, found)
    assert mine.taken.tolist() == [FALSE, 0]
    assert mine.scores(found.score).tolist() == [0.9]


def test_a_crowd_absorbs_and_is_no_thing() -> None:
    truth = labelled((0, 0, 100, 100), (0, 0, 10, 10), crowd=(True, False))
    found = detected((0, 0, 10, 10), (50, 50, 10, 10), (60, 60, 9, 9), (95, 95, 20, 20), score=(0.9, 0.8, 0.7, 0.6))
    mine = match(truth, found)
    assert mine.taken.tolist() == [1, ABSORBED, ABSORBED, FALSE]
    assert mine.scores(found.score).tolist() == [-np.inf, 0.9]


def test_only_so_many_detections_count() -> None:
    truth = labelled((0, 0, 10, 10))
    found = detected((50, 50, 9, 9), (0, 0, 10, 10), score=(0.9, 0.8))
    assert match(truth, found, most=1).taken.tolist() == [FALSE, BEYOND]


def test_nothing_labelled_and_nothing_detected() -> None:
    truth, found = labelled((0, 0, 10, 10)), detected((0, 0, 10, 10), score=(0.5,))
    no_boxes = replace(
        truth, image=truth.image[:0], category=truth.category[:0], box=truth.box[:0], crowd=truth.crowd[:0]
    )
    assert match(no_boxes, found).taken.tolist() == [FALSE]
    silent = replace(
        found, image=found.image[:0], category=found.category[:0], box=found.box[:0], score=found.score[:0]
    )
    mine = match(truth, silent)
    assert mine.scores(silent.score).tolist() == [-np.inf]
    assert average_precision(truth, silent, 2).tolist()[0] == 0
    assert covered(truth, silent, np.array([True]), np.zeros(0, bool)).tolist() == [-1]


def test_what_covers_a_box_that_was_not_found() -> None:
    truth = labelled((0, 0, 10, 10), (50, 50, 10, 10), (80, 80, 10, 10))
    found = replace(
        detected((0, 0, 10, 9), (0, 0, 10, 10), (50, 50, 10, 10), (80, 80, 10, 10), score=(0.9, 0.8, 0.7, 0.6)),
        category=np.array([2, 1, 1, 0]),
    )
    taken = match(truth, found).taken
    assert taken.tolist() == [FALSE, FALSE, FALSE, 2]
    open_ = np.array([True, True, False])
    # The surest covers, though another one fits better; below the threshold nothing does.
    assert covered(truth, found, open_, taken == FALSE).tolist() == [2, 1, -1]
    assert covered(truth, found, open_, (taken == FALSE) & (found.score >= 0.75)).tolist() == [2, -1, -1]
