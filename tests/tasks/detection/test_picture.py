"""Flipped boxes drawn in their images, from the folder that was named and from nowhere else."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prune_audit.cli import invoke
from prune_audit.document import read_audit
from prune_audit.tasks.detection.boxes import Boxes
from prune_audit.tasks.detection.matching import Labelled
from prune_audit.tasks.detection.picture import SIDE, pictures
from tests.tasks.detection.made import detections, truth, written

NAMES = ("a.png", "sub/b.png", "../outside.png", "broken.png", "", "absent.png", "turned.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "images"
    (inside / "sub").mkdir(parents=True)
    for path in (inside / "a.png", inside / "sub" / "b.png", tmp_path / "outside.png"):
        Image.new("RGB", (200, 100), "navy").save(path)
    (inside / "broken.png").write_bytes((inside / "a.png").read_bytes()[:60])
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (200, 100), "navy").save(inside / "turned.jpg", exif=exif)
    return inside


def boxes(*box: list[float]) -> Boxes:
    """The same box, or boxes, in each of the images `NAMES`."""
    n = len(NAMES)
    return Boxes(
        images=tuple(range(n)),
        names=NAMES,
        sizes=np.tile([200.0, 100.0], (n, 1)),
        categories=np.array([1]),
        groups={},
        labelled=Labelled(
            image=np.arange(n),
            category=np.zeros(n, np.int64),
            box=np.array(box * (n // len(box)), np.float64),
            crowd=np.zeros(n, bool),
        ),
    )


def opened(picture: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")


def test_what_is_not_in_the_folder_or_cannot_be_read_is_left_out(folder: Path) -> None:
    assert list(pictures(boxes([80, 30, 40, 20]), folder, range(len(NAMES)))) == [0, 1]


def test_the_box_is_drawn_where_it_is(folder: Path) -> None:
    picture = opened(pictures(boxes([80, 30, 40, 20]), folder, [0])[0])
    assert picture.size == (SIDE, round(SIDE * 81 / 101))  # 30 pixels around, as far as the image goes
    pixels = np.asarray(picture).astype(int)
    yellow = (pixels[..., 0] > 150) & (pixels[..., 1] > 120) & (pixels[..., 2] < 120)
    rows, columns = np.flatnonzero(yellow.any(axis=1)), np.flatnonzero(yellow.any(axis=0))
    scale = SIDE / 101
    for found, at in ((columns[0], 30), (columns[-1], 70), (rows[0], 30), (rows[-1], 50)):
        assert abs(found - at * scale) <= 3  # pixels, of a line of two that JPEG smears
    inside = pixels[int(40 * scale), int(50 * scale)]
    assert inside[2] > 100 > inside[0]  # navy


def test_a_box_beyond_its_image_shows_the_image(folder: Path) -> None:
    assert opened(pictures(boxes([500, 500, 10, 10]), folder, [0])[0]).size == (SIDE, SIDE // 2)


def test_an_audit_keeps_pictures_of_flipped_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labelled = truth(20)
    val = written(tmp_path, "val", labelled)
    dense = written(tmp_path, "dense", detections(labelled))
    pruned = written(tmp_path, "pruned", detections(labelled, seed=2, drop={5: 3.0}))
    (tmp_path / "images").mkdir()
    for image in labelled["images"]:
        Image.new("RGB", (640, 480), "gray").save(tmp_path / "images" / image["file_name"])
    run = ["compare", str(dense), str(pruned), "--data", str(val), "-q", "-o", str(tmp_path / "a.json")]
    assert invoke([*run, "--images", str(tmp_path / "images"), "-o", str(tmp_path / "a.html")]) == 0
    flips = read_audit(tmp_path / "a.json").comparisons[0].flips
    assert flips
    flows = {(flip.label, flip.dense, flip.pruned) for flip in flips}
    assert {(flip.label, flip.dense, flip.pruned) for flip in flips if flip.thumbnail} == flows
    assert flips[0].asked is not None
    assert ".jpg, " in flips[0].asked
    assert " pixels at " in flips[0].asked
    assert "data:image/jpeg;base64," in (tmp_path / "a.html").read_text()
    assert invoke([*run, "--images", str(tmp_path / "none")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert invoke([*run, "--thumbnails", "3"]) == 2
    assert "--images FOLDER" in capsys.readouterr().err
