"""COCO's ground truth as things: boxes that are to be found, their images and their groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit import data
from prune_audit.core import DataSource, Expects, Settings, Things
from prune_audit.data import coco
from prune_audit.errors import DataError, UsageError
from tests.tasks.detection.made import Json, detections, truth, written


def loaded(path: Path, settings: Settings | None = None, **asked: Any) -> Things:
    found = data.load(DataSource(path=path, **asked), Expects(), settings or Settings())
    assert isinstance(found, Things)
    return found


def small(**annotation: Any) -> Json:
    return {
        "images": [
            {"id": 3, "file_name": "x/a.jpg", "width": 640, "height": 480, "site": "A"},
            {"id": 4, "file_name": "x/b.jpg", "width": 640, "height": 480},
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 2, "bbox": [0, 0, 31, 33]},
            {"id": 2, "image_id": 4, "category_id": 7, "bbox": [0, 0, 300, 300], "iscrowd": 1},
            {"id": 3, "image_id": 4, "category_id": 2, "bbox": [0, 0, 32, 32], **annotation},
            {"id": 4, "image_id": 4, "category_id": 2, "bbox": [5, 5, 96, 96]},
        ],
    }


def test_boxes_are_things_and_images_their_cluster(tmp_path: Path) -> None:
    things = loaded(written(tmp_path, "val", small()))
    assert (things.task, things.classes, things.ids) == ("detection", ("cat", "dog"), ("1", "3", "4"))
    assert (things.labels.tolist(), things.cluster) == ([1, 1, 1], "image")
    assert things.groups["image"].tolist() == ["x/a.jpg", "x/b.jpg", "x/b.jpg"]
    assert things.groups["site"].tolist() == ["A", "(missing)", "(missing)"]
    assert things.groups["size"].tolist() == ["small", "medium", "large"]
    assert things.detail.things.tolist() == [0, 2, 3]
    assert len(set(things.digests.tolist())) == 3
    assert things.notes == (
        "1 boxes are crowds or to be ignored: nobody has to find them, and no detection in one is false",
        "there are only crowds of cat, so that nothing is known of them",
    )


def test_the_size_is_that_of_the_outline(tmp_path: Path) -> None:
    assert loaded(written(tmp_path, "val", small(area=100.0))).groups["size"].tolist()[1] == "small"


def test_images_of_one_name_are_told_apart(tmp_path: Path) -> None:
    content = small()
    content["images"][0]["file_name"] = "x/b.jpg"
    assert loaded(written(tmp_path, "val", content)).groups["image"].tolist() == ["x/b.jpg (3)"] + 2 * ["x/b.jpg (4)"]


def test_a_digest_tells_where_a_box_is(tmp_path: Path) -> None:
    one, other = (loaded(written(tmp_path, "val", small(bbox=[x, 0, 32, 32]))).digests for x in (0, 1))
    assert (np.array(one) == np.array(other)).tolist() == [True, False, True]


def test_a_mask_without_pixels_is_said(tmp_path: Path) -> None:
    content = small()
    for each in content["annotations"]:
        each["segmentation"] = [[2, 2, 40, 2, 40, 40]]
    content["annotations"][2]["segmentation"] = [[2, 2, 40, 2, 40, 2]]
    found = loaded(written(tmp_path, "val", content), Settings(overlap="masks"))
    assert found.notes[0] == "1 labelled masks cover no pixel, so that nothing can find them"
    before = found.beside
    content["annotations"][1]["segmentation"] = [[2, 2, 40, 2, 40, 41]]  # a crowd
    found = loaded(written(tmp_path, "val", content), Settings(overlap="masks"))
    assert found.beside != before


def without_crowd(content: Json) -> None:
    del content["annotations"][1]


def moved_crowd(content: Json) -> None:
    content["annotations"][1]["bbox"] = [0, 0, 299, 300]


def further_image(content: Json) -> None:
    content["images"].append({"id": 5, "file_name": "x/c.jpg", "width": 640, "height": 480})


@pytest.mark.parametrize("change", [without_crowd, moved_crowd, further_image])
def test_a_digest_tells_where_detections_may_be_false(tmp_path: Path, change: Callable[[Json], None]) -> None:
    content = small()
    plain, again = (loaded(written(tmp_path, name, content)) for name in ("a", "b"))
    change(content)
    other = loaded(written(tmp_path, "c", content))
    assert other.digests.tolist() == plain.digests.tolist()
    assert plain.beside == again.beside != other.beside


def corners(content: Json) -> Json:
    for each in content["annotations"]:
        x, y, w, h = each["bbox"]
        each["bbox"] = [x, y, x + w, y + h]
    return content


def shares(content: Json) -> Json:
    for each in content["annotations"]:
        each["bbox"] = [value / side for value, side in zip(each["bbox"], (640, 480, 640, 480), strict=True)]
    return content


def ignored(content: Json) -> Json:
    for each in content["annotations"]:
        each["ignore"] = 1
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (corners(truth()), "most boxes reach beyond their image: they are two corners"),
        (shares(truth()), "they are shares of the image and not pixels"),
        (ignored(truth()), "all boxes are crowds or to be ignored"),
        (detections(truth()), "holds detections of a model, and no labelled boxes"),
    ],
)
def test_boxes_that_are_none_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = written(tmp_path, "val", content)
    assert coco.recognises(DataSource(path=path))
    with pytest.raises(DataError, match=message) as refused:
        loaded(path)
    assert refused.value.message.startswith(str(path))
    assert refused.value.hint


def test_options_of_other_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="these data are labelled boxes, to which --class-map does not apply"):
        loaded(written(tmp_path, "val", truth()), class_map=tmp_path / "map.json")
