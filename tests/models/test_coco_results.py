"""COCO's list of results as a recorded model: joined by id or by file, and refused where it is of something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit import data, models
from prune_audit.core import DataSource, Expects, Finds, Found, ModelSource, Settings, Things
from prune_audit.errors import AlignmentError, ModelError, UsageError
from prune_audit.models import coco_results
from tests.tasks.detection.made import CATEGORIES, Json, changed, detections, truth, written


@pytest.fixture
def things(tmp_path: Path) -> Things:
    found = data.load(DataSource(path=written(tmp_path, "val", truth())), Expects(), Settings())
    assert isinstance(found, Things)
    return found


def loaded(path: Path, settings: Settings | None = None) -> Finds:
    found = models.load(ModelSource(name="dense", path=path), settings or Settings())
    assert isinstance(found, Finds)
    return found


def found(things: Things, folder: Path, content: Any, settings: Settings | None = None) -> Found:
    return loaded(written(folder, "dense", content), settings).found(things)


def test_what_took_each_box(things: Things, tmp_path: Path) -> None:
    content = detections(truth())
    model = loaded(written(tmp_path, "dense", content))
    assert (model.card.recorded, model.expects.runs, model.assumptions) == (True, False, ())
    each = model.found(things)
    hit = np.isfinite(each.scores)
    assert hit.mean() > 0.99  # made for these boxes
    assert len(each.false_scores) + hit.sum() == len(content)
    scores = [row["score"] for row in content[: len(hit)]]
    assert (each.scores[hit] == np.array(scores)[hit]).mean() > 0.97  # a stray one may lie closer
    images = {image["id"]: at for at, image in enumerate(truth()["images"])}
    assert set(each.false_in.tolist()) <= set(images.values())


def by_text(each: Json) -> Json:
    return {"image_id": str(each["image_id"])}


def by_file(each: Json) -> Json:
    return {"image_id": f"{100 + each['image_id']:06d}.jpg"}


def by_stem(each: Json) -> Json:
    return {"image_id": f"{100 + each['image_id']:06d}"}


def by_number(each: Json) -> Json:
    return {"image_id": 100 + each["image_id"]}


@pytest.mark.parametrize(
    ("change", "way"),
    [
        (by_text, "joined by image id, as numbers"),
        (by_file, "joined by the file of an image"),
        (by_stem, "joined by the file of an image, without folder and suffix"),
        (by_number, "joined by the number that the file of an image is"),
    ],
)
def test_images_are_joined_in_other_ways(
    things: Things, tmp_path: Path, change: Callable[[Json], Json], way: str
) -> None:
    content = detections(truth())
    plain = found(things, tmp_path, content)
    model = loaded(written(tmp_path, "dense", changed(content, change)))
    assert (model.found(things).scores == plain.scores).all()
    assert [each.value for each in model.assumptions] == [way]


def test_the_overlap_and_the_most_detections_are_asked_for(things: Things, tmp_path: Path) -> None:
    content = detections(truth(), false=6.0)
    usual = found(things, tmp_path, content)
    strict = found(things, tmp_path, content, Settings(iou=0.95))
    assert np.isfinite(strict.scores).mean() < np.isfinite(usual.scores).mean() - 0.2
    one = found(things, tmp_path, content, Settings(max_detections=1))
    cells = {(each["image_id"], each["category_id"]) for each in content}
    assert np.isfinite(one.scores).sum() + len(one.false_scores) == len(cells)


def test_a_detection_without_area_is_false(things: Things, tmp_path: Path) -> None:
    content = detections(truth())
    before = found(things, tmp_path, content)
    content[0]["bbox"][2] = 0.0
    after = found(things, tmp_path, content)
    assert not np.isfinite(after.scores[0])
    assert len(after.false_scores) == len(before.false_scores) + 1
    assert after.notes == ("dense: 1 detections have no area, and find nothing",)


def square(each: Json) -> Json:
    """A mask that covers the box of a detection, in an image of 640 x 480 pixels."""
    x, y, w, h = np.rint(each["bbox"]).astype(int).tolist()
    x, y = min(max(x, 0), 630), min(max(y, 0), 470)
    w, h = min(w, 639 - x), min(h, 479 - y)
    counts = [x * 480 + y, h, *([480 - h, h] * (w - 1))]
    return {"segmentation": {"size": [480, 640], "counts": [*counts, 480 * 640 - sum(counts)]}}


def masked() -> tuple[Json, list[Json]]:
    labelled = truth()
    labelled["annotations"] = changed(labelled["annotations"], square)
    return labelled, changed(detections(truth()), square)


def test_masks_take_masks(things: Things, tmp_path: Path) -> None:
    labelled, content = masked()
    settings = Settings(overlap="masks")
    of_masks = data.load(DataSource(path=written(tmp_path, "masks", labelled)), Expects(), settings)
    assert isinstance(of_masks, Things)
    assert (of_masks.digests != things.digests).all()
    assert of_masks.beside == things.beside  # of crowds, and there are none
    mine, boxes = found(of_masks, tmp_path, content, settings), found(things, tmp_path, content)
    # These are squares: whoever finds the box finds the mask, but for rounding at an overlap of a half.
    assert (np.isfinite(mine.scores) == np.isfinite(boxes.scores)).mean() > 0.99
    turned = changed(content, lambda each: {"segmentation": {**each["segmentation"], "size": [640, 480]}})
    with pytest.raises(
        AlignmentError,
        match=r"mask of detection 1 is of an image of 480 x 640 pixels, and the labels say "
        r"640 x 480 \(height comes first\)",
    ):
        found(of_masks, tmp_path, turned, settings)


def test_boxes_are_compared_where_nobody_asks_for_masks(things: Things, tmp_path: Path) -> None:
    model = loaded(written(tmp_path, "dense", masked()[1]))
    assert (model.found(things).scores == found(things, tmp_path, detections(truth())).scores).all()
    model.found(things)
    [told] = model.assumptions
    assert (told.what, told.value, told.option) == ("overlap", "of boxes", "--overlap masks")


def positions(each: Json) -> Json:
    return {"category_id": [number for number, _ in CATEGORIES].index(each["category_id"])}


def one_less(each: Json) -> Json:
    return {"category_id": each["category_id"] - 1}


def elsewhere(each: Json) -> Json:
    return {"image_id": each["image_id"] + 5000}


def two_corners(each: Json) -> Json:
    x, y, w, h = each["bbox"]
    return {"bbox": [x, y, x + w, y + h]}


def as_shares(each: Json) -> Json:
    return {"bbox": [value / side for value, side in zip(each["bbox"], (640, 480, 640, 480), strict=True)]}


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            positions,
            "the category 0 is none of the 4 of the labels, and 1 others are none",
            "positions among them, from 0",
        ),
        (one_less, "the category 0 is none of the 4", "add 1 to each"),
        (elsewhere, "60 images with detections are not among the 60 of the labels, such as 5001", "write image_id"),
        (two_corners, "they are two corners", "take the differences"),
        (as_shares, "shares of the image", "multiply x and width"),
    ],
)
def test_results_of_something_else_are_refused(
    things: Things, tmp_path: Path, change: Callable[[Json], Json], message: str, hint: str
) -> None:
    with pytest.raises(AlignmentError, match=message) as refused:
        found(things, tmp_path, changed(detections(truth()), change))
    assert hint in refused.value.hint


def test_other_things_and_samples_are_refused(things: Things, tmp_path: Path) -> None:
    model = loaded(written(tmp_path, "dense", detections(truth())))
    with pytest.raises(AlignmentError, match="holds detections in images, and the data have one label a sample"):
        model.outputs(["a"], np.array([0]), ("x", "y"))
    others = Things(task="questions", path="q", classes=("a",), ids=("1",), labels=np.array([0]))
    with pytest.raises(AlignmentError, match="holds detections in images, and q labels for the task questions"):
        model.found(others)


def test_the_truth_is_no_model_and_a_factory_makes_none(tmp_path: Path) -> None:
    path = written(tmp_path, "val", truth())
    assert coco_results.recognises(path)
    with pytest.raises(ModelError, match="holds labelled boxes"):
        loaded(path)
    with pytest.raises(UsageError, match="holds detections, which need no factory"):
        coco_results.load(
            ModelSource(name="a", path=written(tmp_path, "found", detections(truth())), factory="a:b"), Settings()
        )
