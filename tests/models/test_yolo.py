"""YOLO's text files as a recorded model: what took each box is what COCO's results of it say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prune_audit import data, models
from prune_audit.core import DataSource, Expects, Finds, Found, ModelSource, Settings, Things
from prune_audit.errors import AlignmentError, ModelError, UsageError
from prune_audit.models import yolo
from tests.tasks.detection.made import Json, detections, truth, written
from tests.tasks.detection.yolo import dataset, labels

LABELLED = truth(20)
LABELLED["annotations"].sort(key=lambda each: each["image_id"])  # a file an image
FOUND = sorted(detections(LABELLED), key=lambda each: each["image_id"])


def things(path: Path) -> Things:
    found = data.load(DataSource(path=path), Expects(), Settings())
    assert isinstance(found, Things)
    return found


def model(path: Path, settings: Settings | None = None) -> Finds:
    found = models.load(ModelSource(name="dense", path=path), settings or Settings())
    assert isinstance(found, Finds)
    return found


def same(one: Found, other: Found) -> None:
    np.testing.assert_array_equal(one.scores, other.scores)
    ours, theirs = (
        sorted(zip(each.false_in, each.false_labels, each.false_scores, strict=True)) for each in (one, other)
    )
    assert ours == theirs


@pytest.mark.parametrize("settings", [Settings(), Settings(iou=0.9), Settings(max_detections=1)])
def test_what_took_each_box_is_what_coco_says(tmp_path: Path, settings: Settings) -> None:
    coco = model(written(tmp_path, "dense", FOUND), settings).found(things(written(tmp_path, "val", LABELLED)))
    recorded = model(labels(tmp_path / "run" / "labels", LABELLED, FOUND), settings)
    same(recorded.found(things(dataset(tmp_path / "data", LABELLED))), coco)
    assert (recorded.card.recorded, recorded.expects.runs, recorded.assumptions) == (True, False, ())
    assert recorded.card.size == sum(file.stat().st_size for file in (tmp_path / "run" / "labels").iterdir())
    assert np.isfinite(coco.scores).any()


def test_either_kind_of_detections_goes_with_either_kind_of_labels(tmp_path: Path) -> None:
    coco, folders = things(written(tmp_path, "val", LABELLED)), things(dataset(tmp_path / "data", LABELLED))
    lines = model(labels(tmp_path / "run" / "labels", LABELLED, FOUND).parent)  # the folder of the run
    same(lines.found(coco), lines.found(folders))
    [told] = lines.assumptions
    assert told.value == "0 is the category of the lowest id, and so on"
    assert told.why == "the categories of the labels are numbered 1 to 9"
    numbers = {1: 0, 2: 1, 5: 2, 9: 3}
    ids = {each["id"]: each["file_name"][:-4] for each in LABELLED["images"]}
    renamed = [
        {**each, "category_id": numbers[each["category_id"]], "image_id": ids[each["image_id"]]} for each in FOUND
    ]
    same(model(written(tmp_path, "dense", renamed)).found(folders), lines.found(folders))


def test_an_image_without_a_file_has_no_detections(tmp_path: Path) -> None:
    folder, labelled = labels(tmp_path / "run", LABELLED, FOUND), things(dataset(tmp_path / "data", LABELLED))
    gone = min(folder.iterdir())
    gone.unlink()
    found = model(folder).found(labelled)
    inside = labelled.groups["image"] == gone.with_suffix(".jpg").name
    assert inside.any()
    assert np.isneginf(found.scores[inside]).all()
    assert np.isfinite(found.scores[~inside]).mean() > 0.9


def test_what_a_second_run_appended_counts_once(tmp_path: Path) -> None:
    folder, labelled = labels(tmp_path / "run", LABELLED, FOUND), things(dataset(tmp_path / "data", LABELLED))
    once = model(folder).found(labelled)
    labels(folder, LABELLED, FOUND)
    twice = model(folder).found(labelled)
    same(once, twice)
    assert once.notes == ()
    assert twice.notes[0].startswith(f"dense: {len(FOUND)} lines are exact copies of another one of their file")


def test_outlines_count_as_their_boxes(tmp_path: Path) -> None:
    folder = labels(tmp_path / "run", LABELLED, FOUND)
    for file in folder.iterdir():
        text = ""
        for line in file.read_text().splitlines():
            name, x, y, w, h, score = line.split()
            left, top = float(x) - float(w) / 2, float(y) - float(h) / 2
            right, low = float(x) + float(w) / 2, float(y) + float(h) / 2
            text += f"{name} {left} {top} {right} {top} {right} {low} {left} {low} {score}\n"
        file.write_text(text)
    labelled = things(dataset(tmp_path / "data", LABELLED))
    found = model(folder).found(labelled)
    same(found, model(labels(tmp_path / "boxes", LABELLED, FOUND)).found(labelled))
    assert found.notes == (f"dense: {len(FOUND)} detections are outlines: the boxes around them count",)


def other_images(folder: Path, truth: Json) -> None:
    for file in sorted(folder.iterdir())[:3]:
        file.rename(file.with_name(f"x{file.name}"))


def other_classes(folder: Path, truth: Json) -> None:
    file = min(folder.iterdir())
    file.write_text("80 .5 .5 .1 .1 .9\n" + file.read_text())


def nobody_knows_sizes(folder: Path, truth: Json) -> None:
    for each in truth["images"]:
        del each["width"]


def several_of_one(folder: Path, truth: Json) -> None:
    (folder / "more").mkdir()
    (folder / "more" / min(folder.glob("*.txt")).name).write_text("")


def two_images_called_alike(folder: Path, truth: Json) -> None:
    truth["images"][0]["file_name"] = "a/000102.jpg"
    truth["images"][1]["file_name"] = "b/000102.jpg"
    (folder / "000101.txt").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (other_images, "3 of 20 files are of images that are not among the 20 .*, such as x", "that of 000101.jpg is"),
        (other_classes, "line 1: class 80, and the labels have 4 classes, 0 to 3", "other classes"),
        (nobody_knows_sizes, "the labels do not say how large 0001", "width and height"),
        (several_of_one, "several files of one image", "one recording"),
        (two_images_called_alike, "2 images of the labels are called so, such as a/000102.jpg and b", "folders"),
    ],
)
def test_detections_of_something_else_are_refused(
    tmp_path: Path, change: Callable[[Path, Json], None], message: str, hint: str
) -> None:
    content = truth(20)
    folder = labels(tmp_path / "run", content, FOUND)
    change(folder, content)
    with pytest.raises(AlignmentError, match=message) as refused:
        model(folder).found(things(written(tmp_path, "val", content)))
    assert str(folder) in refused.value.message
    assert hint in refused.value.hint


def test_labels_and_other_things_are_refused(tmp_path: Path) -> None:
    dataset(tmp_path, LABELLED)
    with pytest.raises(ModelError, match=r"line 1: .* no confidence"):
        model(tmp_path / "labels" / "val")
    assert not yolo.recognises(tmp_path)  # data, with images beside
    recorded = model(labels(tmp_path / "run", LABELLED, FOUND))
    with pytest.raises(AlignmentError, match="holds detections in images, and the data have one label a sample"):
        recorded.outputs(["a"], np.array([0]), ("x", "y"))
    others = Things(task="questions", path="q", classes=("a",), ids=("1",), labels=np.array([0]))
    with pytest.raises(AlignmentError, match="holds detections in images, and q labels for the task questions"):
        recorded.found(others)
    with pytest.raises(UsageError, match="holds detections, which need no factory"):
        yolo.load(ModelSource(name="a", path=tmp_path / "run", factory="a:b"), Settings())


def test_masks_are_not_of_this_form(tmp_path: Path) -> None:
    settings = Settings(overlap="masks")
    with pytest.raises(UsageError, match="is of YOLO's form, and of that boxes are compared, not masks"):
        model(labels(tmp_path / "run" / "labels", LABELLED, FOUND), settings)
    with pytest.raises(UsageError, match="is of YOLO's form"):
        data.load(DataSource(path=dataset(tmp_path / "data", LABELLED)), Expects(), settings)
