"""COCO's JSON: told by its beginning, read whole, and everything that is wrong with it said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit.errors import AuditError, DataError, ModelError
from prune_audit.files import coco
from tests.tasks.detection.scenes import dataset, results, scene

TRUTH: dict[str, Any] = {
    "info": {"year": 2026},
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 640, "height": 480, "camera": "north", "licence": 3},
        {"id": 9, "file_name": "b.jpg", "width": 640, "height": 480, "camera": None},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 7,
            "category_id": 3,
            "bbox": [1, 2, 30.5, 40],
            "area": 900,
            "segmentation": [[1, 2, 3, 4, 5, 6]],
        },
        {"id": 2, "image_id": 9, "category_id": 1, "bbox": [0, 0, 5, 6], "iscrowd": 1},
        {"id": 3, "image_id": 9, "category_id": 1, "bbox": [0, 0, 5, 6], "ignore": 1, "iscrowd": 0},
    ],
    "categories": [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 1, "name": "dog"}],
}
FOUND: list[dict[str, Any]] = [
    {"image_id": 9, "category_id": 3, "bbox": [1, 2, 3.5, 4], "score": 0.25, "area": 14, "id": 1},
    {"image_id": "7", "category_id": 1, "bbox": [0, 0, 0, 4], "score": 1},
    {
        "image_id": 9,
        "category_id": 1.0,
        "bbox": [1, 2, 3, 4],
        "score": 0.5,
        "segmentation": {"counts": "a", "size": [1]},
    },
]


def written(folder: Path, content: Any) -> Path:
    path = folder / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def changed(part: str, at: int, **values: Any) -> dict[str, Any]:
    """The truth with other ``values`` in one row of a part; None removes one."""
    copy: dict[str, Any] = json.loads(json.dumps(TRUTH))
    for name, value in values.items():
        copy[part][at].pop(name, None)
        if value is not None:
            copy[part][at][name] = value
    return copy


def found(at: int, **values: Any) -> list[dict[str, Any]]:
    copy: list[dict[str, Any]] = json.loads(json.dumps(FOUND))
    for name, value in values.items():
        copy[at].pop(name, None)
        if value is not None:
            copy[at][name] = value
    return copy


def test_the_truth_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, TRUTH)
    assert coco.told(path) == "truth"
    truth = coco.truth(path)
    assert (truth.images, truth.names, truth.categories) == ((7, 9), ("a.jpg", "b.jpg"), ((3, "cat"), (1, "dog")))
    assert truth.sizes.tolist() == [[640, 480], [640, 480]]
    assert truth.keys == {"camera": ("north", ""), "licence": ("3", "")}
    assert (truth.ids, truth.image.tolist(), truth.category.tolist()) == (("1", "2", "3"), [0, 1, 1], [0, 1, 1])
    assert truth.box.tolist() == [[1, 2, 30.5, 40], [0, 0, 5, 6], [0, 0, 5, 6]]
    assert (truth.area.tolist(), truth.crowd.tolist()) == ([900, 30, 30], [False, True, True])


def test_results_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, FOUND)
    assert coco.told(path) == "results"
    read = coco.results(path)
    assert (read.images, read.image.tolist(), read.category.tolist()) == ((9, "7"), [0, 1, 0], [3, 1, 1])
    assert read.box.tolist() == [[1, 2, 3.5, 4], [0, 0, 0, 4], [1, 2, 3, 4]]
    assert read.score.tolist() == [0.25, 1, 0.5]


def test_no_detections_are_results(tmp_path: Path) -> None:
    path = written(tmp_path, " [ ]\n")
    assert coco.told(path) == "results"
    assert len(coco.results(path).score) == 0


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    labelled, detected = scene(5)
    truth = coco.truth(written(tmp_path, dataset(labelled, 12, 3)))
    assert (truth.image == labelled.image).all()
    assert (truth.category == labelled.category).all()
    assert (truth.box == labelled.box).all()
    assert (truth.crowd == labelled.crowd).all()
    read = coco.results(written(tmp_path, results(detected)))
    assert (np.array(read.images)[read.image] == detected.image).all()
    assert (read.box == detected.box).all()
    assert (read.score == detected.score).all()


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2]", '{"a": [1]}', '[{"id": 1, "predicted": 2}]', "id,label\n1,2\n", '{"images": "none"}', "[[1]]"],
)
def test_other_json_is_neither(tmp_path: Path, text: str) -> None:
    assert coco.told(written(tmp_path, text)) is None
    assert coco.told(tmp_path) is None
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x01\x80")
    assert coco.told(tmp_path / "binary") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**TRUTH, "images": []}, "the list 'images' is empty"),
        ({**TRUTH, "categories": [3]}, "expected a list 'categories' of objects"),
        ({"images": [], "annotations": []}, "the list 'images' is empty"),
        ({**TRUTH, "images": TRUTH["images"][:1]}, "annotation 2 is of image 9, which is not among the 1 images"),
        ({**TRUTH, "categories": TRUTH["categories"][:1]}, "annotation 2 is of category 1, which is not among the 1"),
        (changed("images", 1, id=7), "the id 7 of image is there 2 times"),
        (changed("images", 1, id=None), "image 2: expected an id, found none"),
        (changed("images", 1, neg_category_ids=[1]), "only some categories were looked for"),
        (changed("annotations", 1, id=1), "the id '1' of annotation is there 2 times"),
        (changed("annotations", 0, bbox=[1, 2, 0, 4]), "annotation 1 has a box of width 0 and height 4"),
        (changed("annotations", 0, bbox=[1, 2, 3, -4]), "annotation 1 has a box of width 3 and height -4"),
        (
            changed("annotations", 0, bbox=[1, 2, 3]),
            r"annotation 1: expected bbox \[x, y, width, height\], found \[1, 2",
        ),
        (changed("annotations", 0, bbox=[1, 2, 3, True]), "annotation 1: expected bbox"),
        (changed("annotations", 0, bbox=None), "annotation 1: expected bbox .* found none"),
        (changed("annotations", 0, image_id=True), "annotation 1: its image: expected an id, found True"),
        (changed("annotations", 0, iscrowd=2), "annotation 1: expected iscrowd 0 or 1, found 2"),
        (changed("categories", 0, name="dog"), "two categories are called 'dog'"),
        (changed("categories", 0, name=" "), "category 1 has no name"),
        (changed("categories", 0, id="three"), "numbered by whole numbers, found 'three'"),
        (json.dumps(TRUTH)[:-20], "cannot be read"),
        (json.dumps(TRUTH).replace("30.5", "NaN"), "NaN"),
        (json.dumps(TRUTH).replace('"id": 7,', '"id": 7, "id": 8,'), "'id' is there more than once"),
        ('{"images": [' + "[" * 100_000, "nested too deeply"),
        (FOUND, "expected an object, found a list"),
    ],
)
def test_a_truth_that_is_none_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as refused:
        coco.truth(path)
    assert str(path) in refused.value.message
    assert refused.value.hint


def outlined(at: int, **values: Any) -> dict[str, Any]:
    """The truth with an outline of every box, and other ``values`` of one."""
    copy: dict[str, Any] = json.loads(json.dumps(TRUTH))
    for each in copy["annotations"]:
        each["segmentation"] = [[10, 20, 14, 20, 14, 23, 10, 23]]
    copy["annotations"][at].update(values)
    return copy


def test_masks_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    content = outlined(1, bbox=None, segmentation={"size": [480, 640], "counts": [481, 2, 478, 1, 306238]})
    truth = coco.truth(written(tmp_path, content), "masks")
    assert truth.masks is not None
    assert truth.masks.areas.tolist() == [12, 3, 12]
    assert truth.box.tolist() == [[1, 2, 30.5, 40], [1, 1, 2, 2], [0, 0, 5, 6]]  # the file's, else around the mask
    assert truth.area.tolist() == [900, 3, 12]
    rows = found(2, segmentation={"size": [480, 640], "counts": "Q?2P>1"}, bbox=None)[2:]
    text = json.dumps(rows)
    with pytest.raises(ModelError, match="detection 1 has segmentation and no bbox") as refused:
        coco.results(written(tmp_path, text))
    assert refused.value.hint == "--overlap masks compares masks"
    whole = found(2, segmentation={"size": [480, 640], "counts": [481, 2, 306717]})[2:]
    read = coco.results(written(tmp_path, whole), "masks")
    assert read.masks is not None
    assert (read.masks.bounds.tolist(), read.box.tolist()) == ([481, 483], [[1, 1, 1, 2]])
    assert (read.sizes.tolist(), read.outlined) == ([[640, 480]], 0)
    assert coco.results(written(tmp_path, FOUND)).outlined == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TRUTH, "annotation 2 has no mask"),
        (outlined(0, segmentation=[]), "annotation 1 has no mask"),
        (outlined(0, segmentation=[[1, 2, 3, 4]]), "annotation 1 has no mask"),
        (
            outlined(0, segmentation={"size": [640, 480], "counts": "0"}),
            r"annotation 1: segmentation: a size of \[640, 4",
        ),
        (
            outlined(2, segmentation={"size": [480, 640], "counts": "d"}),
            "annotation 3: segmentation: counts 'd', which",
        ),
        ({**outlined(0), "images": [{"id": 7}, {"id": 9}]}, "annotation 1 has a mask, and it is not said how large"),
        (FOUND, "expected an object, found a list"),
    ],
)
def test_masks_that_are_none_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        coco.truth(written(tmp_path, content), "masks")
    assert refused.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (FOUND, "detection 1 has no mask"),
        (FOUND[2:], "detection 1 has a mask, and it is not said how large"),
        (found(2, segmentation=[[1, 2, 3, 4, 5, 7]])[2:], "detection 1 has a mask, and it is not said how large"),
        (
            found(2, segmentation={"size": [1, 2], "counts": "P"})[2:],
            "detection 1: segmentation: counts 'P', which are",
        ),
        (found(2, segmentation={"size": [1, 2], "counts": [3]})[2:], "runs of 3 pixels together, expected 2"),
    ],
)
def test_detected_masks_that_are_none_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message) as refused:
        coco.results(written(tmp_path, content), "masks")
    assert refused.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TRUTH, "holds labelled boxes .COCO's ground truth., and no detections"),
        (found(0, score=None), "detection 1: expected a score from 0 to 1, found none"),
        (found(1, score=1.5), "detection 2: expected a score from 0 to 1, found 1.5"),
        (found(1, score=-0.1), "detection 2: expected a score from 0 to 1, found -0.1"),
        (found(1, score="0.5"), "detection 2: expected a score from 0 to 1, found '0.5'"),
        (found(1, image_id=1.5), "image_id of detection 2: expected an id, found 1.5"),
        (found(1, category_id="cat"), "the category_id of detection 2 is 'cat', expected a whole number"),
        (found(1, bbox=[0, 0, -1, 4]), "detection 2 has a box of width -1 and height 4"),
        (found(1, bbox=[0, 0, 1e300, 4]), "detection 2: expected bbox"),
        (found(2, bbox=None), "detection 3 has segmentation and no bbox"),
        (found(0, bbox=None, keypoints=[1, 2, 1]), "detection 1 has keypoints and no bbox"),
        ([*FOUND, {"image_id": 3}], "detection 4 has no image_id and category_id"),
        ([*FOUND, 3], "detection 4 has no image_id and category_id"),
        (json.dumps(FOUND)[:-9], "cannot be read: "),
        (json.dumps(FOUND).replace("0.25", "NaN"), "NaN, which is no number"),
        (json.dumps(FOUND).replace("0.25", "1e999"), "1e999, which is too large"),
    ],
)
def test_results_that_are_none_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ModelError, match=message) as refused:
        coco.results(path)
    assert str(path) in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("read", [coco.truth, coco.results])
def test_what_is_too_large_or_no_text_is_refused(tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "boxes.json"
    path.write_bytes(b'[{"image_id": "\xff"}]')
    with pytest.raises(AuditError, match="expected text in UTF-8"):
        read(path)
    monkeypatch.setattr(coco, "_MOST", 10)
    with pytest.raises(AuditError, match="has 19 bytes, and no more than 10 are read"):
        read(path)
