"""YOLO's folders as things: the same that COCO's file of the scene gives, and what is wrong with a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prune_audit import data
from prune_audit.core import DataSource, Expects, Settings, Things
from prune_audit.data import image_folder
from prune_audit.errors import DataError, UsageError
from tests.tasks.detection.made import CATEGORIES, Json, truth, written
from tests.tasks.detection.yolo import dataset, images, labels


def loaded(path: Path, **asked: Any) -> Things:
    found = data.load(DataSource(path=path, **asked), Expects(), Settings())
    assert isinstance(found, Things)
    return found


@pytest.fixture
def scene() -> Json:
    return truth(12)


def test_it_is_what_coco_says_of_the_scene(tmp_path: Path, scene: Json) -> None:
    scene["annotations"].sort(key=lambda each: each["image_id"])  # a file an image
    coco, things = loaded(written(tmp_path, "val", scene)), loaded(dataset(tmp_path, scene))
    assert things.classes == coco.classes
    assert things.labels.tolist() == coco.labels.tolist()
    assert (things.task, things.cluster) == ("detection", "image")
    for group in ("image", "size"):
        assert things.groups[group].tolist() == coco.groups[group].tolist()
    np.testing.assert_allclose(things.detail.labelled.box, coco.detail.labelled.box, atol=1e-9)  # of 640 pixels
    assert things.detail.sizes.tolist() == coco.detail.sizes.tolist()
    assert [each.value for each in things.assumptions] == [f"val: {tmp_path / 'images' / 'val'}"]
    assert things.draw is not None
    assert list(things.draw([0])) == [0]
    bare = sum(1 for each in scene["images"] if each["id"] not in {box["image_id"] for box in scene["annotations"]})
    assert things.notes == (f"{bare} of 12 images have no file of labels: nothing is to be found there",)
    assert things.ids[0] == f"{things.groups['image'][0][:-4]}:1"
    assert len(set(things.ids)) == len(things.ids)


def test_folders_of_it_are_the_same_data(tmp_path: Path, scene: Json) -> None:
    things = loaded(dataset(tmp_path, scene))
    (tmp_path / "names.txt").write_text("\n".join(name for _, name in CATEGORIES))
    beside = labels(images(tmp_path / "beside", scene), scene)
    alone = labels(tmp_path / "alone", scene)
    for path, asked in (
        (tmp_path / "images" / "val", {}),
        (tmp_path / "labels" / "val", {}),
        (beside, {}),
        (alone, {"images": tmp_path / "beside"}),
    ):
        assert not image_folder.recognises(DataSource(path=path))
        other = loaded(path, classes=tmp_path / "names.txt", **asked)
        assert (other.classes, other.ids, other.digests.tolist()) == (
            things.classes,
            things.ids,
            things.digests.tolist(),
        )
    whole = loaded(tmp_path)
    assert whole.ids[0] == f"val/{things.ids[0]}"
    assert whole.classes == ("0", "1", "2", "3")
    assert whole.assumptions[0].why == "nothing names them"
    (tmp_path / "labels" / "classes.txt").write_text("\n".join(name for _, name in CATEGORIES))
    assert loaded(tmp_path).classes == things.classes


def test_lists_and_several_folders(tmp_path: Path, scene: Json) -> None:
    things = loaded(dataset(tmp_path, scene))
    names = sorted(path.name for path in (tmp_path / "images" / "val").iterdir())
    (tmp_path / "some.txt").write_text("".join(f"./images/val/{name}\n" for name in names[:6]))
    text = (tmp_path / "data.yaml").read_text()
    path = tmp_path / "list.yaml"
    path.write_text(text.replace("val: images/val", "val: some.txt"))
    some = loaded(path)
    assert some.ids == things.ids[: len(some.ids)]
    assert 0 < len(some.ids) < len(things.ids)
    images(tmp_path / "images" / "more", scene)
    labels(tmp_path / "labels" / "more", scene)
    path.write_text(text.replace("val: images/val", "val: [images/val, images/more]"))
    both = loaded(path)
    assert len(both.ids) == 2 * len(things.ids)
    assert set(both.ids) == {f"{part}/{each}" for part in ("val", "more") for each in things.ids}


@pytest.mark.parametrize("place", ["path: /nowhere/else", "path: .", "names_of: x"])
@pytest.mark.parametrize("value", ["images/val", "../images/val", "./images/val"])
def test_places_of_other_machines_are_looked_for_beside_the_file(
    tmp_path: Path, scene: Json, place: str, value: str
) -> None:
    path = dataset(tmp_path, scene)
    path.write_text(path.read_text().replace("path: .  # where it is", place).replace("images/val", value))
    assert len(loaded(path).ids) == len(scene["annotations"])


def test_outlines_are_their_boxes(tmp_path: Path) -> None:
    images(tmp_path / "images", truth(1))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "000101.txt").write_text("1 0.1 0.1 0.2 0.1 0.1 0.2\n" + 2 * "0 0.5 0.5 0.1 0.1\n")
    things = loaded(tmp_path)
    np.testing.assert_allclose(things.detail.labelled.box, [[64, 48, 64, 48], [288, 216, 64, 48]])
    assert things.groups["size"].tolist() == ["medium", "medium"]
    assert things.notes[0] == "1 labels are outlines: the boxes around them are to be found"
    assert things.notes[1].startswith("1 lines are exact copies")


def test_sizes_are_those_of_images_as_they_are_shown(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=turned)
    assert loaded(tmp_path).detail.sizes.tolist() == [[20, 40]]


def without_images(folder: Path) -> Path:
    shutil.rmtree(folder / "images")
    return folder / "data.yaml"


def stray(folder: Path) -> Path:
    (folder / "labels" / "val" / "more.txt").write_text("0 .5 .5 .1 .1")
    return folder / "data.yaml"


def broken(folder: Path) -> Path:
    next((folder / "images" / "val").iterdir()).write_bytes(b"no image")
    return folder / "data.yaml"


def twice(folder: Path) -> Path:
    first = min((folder / "images" / "val").iterdir())
    shutil.copyfile(first, first.with_suffix(".png"))
    return folder / "data.yaml"


def empty(folder: Path) -> Path:
    for file in (folder / "labels" / "val").iterdir():
        file.write_text("")
    return folder / "data.yaml"


def unlabelled(folder: Path) -> Path:
    shutil.rmtree(folder / "labels")
    return folder / "data.yaml"


def detected(folder: Path) -> Path:
    (folder / "found").mkdir()
    (folder / "found" / "a.txt").write_text("0 .5 .5 .1 .1 .9")
    return folder / "found"


def learnt(folder: Path) -> Path:
    shutil.copytree(folder / "images" / "val", folder / "images" / "train")
    return folder


def edited(old: str, new: str) -> Callable[[Path], Path]:
    def edit(folder: Path) -> Path:
        path = folder / "data.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return path

    return edit


def short(folder: Path) -> Path:
    edited("\n  3: dog", "")(folder)
    return edited("nc: 4", "nc: 3")(folder)


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (without_images, "neither a folder nor a file", "correct path: and val:"),
        (stray, "more.txt has no image in", "called alike"),
        (broken, "is no image that can be read", "repair it"),
        (twice, "would share the labels", "rename"),
        (empty, "all files of labels are empty", "class x y"),
        (unlabelled, "none of 12 images has a file of labels", "of the image's name"),
        (detected, "line 1: .* these are detections of a model", "as a model"),
        (learnt, "holds several parts of the data: train, val", "images/val"),
        (edited("nc: 4", "nc: 5"), "nc is 5, and names has 4", "correct one"),
        (edited("3: dog", "4: dog"), "names number 4 classes otherwise than 0 to 3", "without gaps"),
        (edited("3: dog", "3: car"), "two classes are called 'car'", "of its own"),
        (edited("3: dog", "3: ' '"), "class 3 has no name", "of its own"),
        (short, "line .*: class 3, but there are 3 names", "all"),
        (edited("names:\n", "names: x\nothers:\n"), "expected names: a list of names", "such as"),
        (edited("val: images", "train: images"), "names no images to judge by", "write val"),
        (edited("nc: 4", "kpt_shape: [17, 3]"), "the labels are keypoints", "boxes"),
        (edited("path: .", "path: [a]"), "expected val: FOLDER", "folder of images"),
        (edited("val: images/val", "val: data.yaml"), "line 1: expected an image", "one a line"),
        (edited("nc: 4", "nc: 4\nnc: 4"), "line 4: 'nc' is there more than once", "plainly"),
    ],
)  # fmt: skip
def test_data_that_are_none_are_refused(
    tmp_path: Path, scene: Json, change: Callable[[Path], Path], message: str, hint: str
) -> None:
    dataset(tmp_path, scene)
    with pytest.raises(DataError, match=message) as refused:
        loaded(change(tmp_path))
    assert str(tmp_path) in refused.value.message
    assert hint in refused.value.hint


def test_options_of_other_data_are_refused(tmp_path: Path, scene: Json) -> None:
    path = dataset(tmp_path, scene)
    with pytest.raises(UsageError, match="labelled boxes, to which --classes does not apply"):
        loaded(path, classes=tmp_path / "names.txt")
    with pytest.raises(UsageError, match="labelled boxes, to which --images does not apply"):
        loaded(path, images=tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        loaded(tmp_path / "labels" / "val", images=tmp_path / "none")
