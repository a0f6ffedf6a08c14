"""YOLO's lines: boxes, outlines and confidences, and what is wrong with a line, with its place."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.errors import DataError, ModelError
from prune_audit.files import yolo
from prune_audit.files.yolo import Kind, Lines


def read(folder: Path, text: str, kind: Kind = "labels") -> Lines:
    file = folder / "a.txt"
    file.write_bytes(text.encode())
    return yolo.read([file], kind)


SIDE = st.floats(0.001, 1)


@given(SIDE, SIDE, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_box_and_its_corners_are_one(
    tmp_path_factory: pytest.TempPathFactory, w: float, h: float, x: float, y: float, score: float
) -> None:
    folder = tmp_path_factory.mktemp("lines")
    x, y = x * (1 - w), y * (1 - h)
    centred = read(folder, f"3 {x + w / 2!r} {y + h / 2!r} {w!r} {h!r} {score!r}", "detections")
    corners = " ".join(map(repr, (x, y, x + w, y, x + w, y + h, x, y + h)))
    outlined = read(folder, f"3 {corners} {score!r}", "detections")
    for found in (centred, outlined):
        np.testing.assert_allclose(found.box, [[x, y, w, h]], atol=1e-12)  # sums of shares
        np.testing.assert_allclose(found.area, [w * h], atol=1e-12)
        assert (found.category.tolist(), found.score.tolist()) == ([3], [score])
    assert (centred.outlines, outlined.outlines) == (0, 1)


def test_the_area_is_that_of_the_outline(tmp_path: Path) -> None:
    found = read(tmp_path, "0 0.1 0.1 0.5 0.1 0.1 0.3\n")
    np.testing.assert_allclose(found.area, [0.04])  # half of 0.4 by 0.2
    np.testing.assert_allclose(found.box, [[0.1, 0.1, 0.4, 0.2]])


def test_copies_count_once_and_are_told(tmp_path: Path) -> None:
    line = "1 0.5 0.5 0.2 0.2 0.75\n"
    found = read(tmp_path, 2 * (line + "\n" + line.replace("0.75", "0.7")), "detections")
    assert (found.copies, found.score.tolist(), found.line.tolist()) == (2, [0.75, 0.7], [1, 3])
    assert yolo.copied(found)[0].startswith("2 lines are exact copies of another one of their file")
    assert yolo.copied(read(tmp_path, line, "detections")) == ()


def test_blanks_and_windows_and_an_empty_file(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff0.0\t.5 5e-1  0.2 0.2 \r\n\r\n").box.round(12).tolist() == [[0.4, 0.4, 0.2, 0.2]]
    assert math.isnan(read(tmp_path, "0 .5 .5 .2 .2").score[0])
    assert len(read(tmp_path, "").box) == 0


def test_the_digest_is_of_all_files(tmp_path: Path) -> None:
    one, other = (read(tmp_path, f"0 .5 .5 .2 .{i}") for i in (2, 3))
    assert one.digest != other.digest
    assert one.size == len("0 .5 .5 .2 .2")


@pytest.mark.parametrize(
    ("kind", "text", "message", "hint"),
    [
        ("labels", "0 .5 .5 .2 .2\n0 .5 .5 .2 .2 .9", "line 2: .*, found a sixth", "model"),
        ("labels", "0 .5 .5 .2", "line 1: expected a box of 4 numbers or an outline .* found 3", "class x y"),
        ("labels", "0 .5 .5 .2 .2 1 1 1", "found 7 numbers", "keypoints"),
        ("labels", "a .5 .5 .2 .2", "line 1: expected numbers", "a line a box"),
        ("labels", "0 .5 .5 .2 nan", "line 1: expected numbers", "a line a box"),
        ("labels", "0 .5 .5 .2 1_0", "line 1: expected numbers", "a line a box"),
        ("labels", "0 .5 .5 .2 \u0661", "line 1: expected numbers", "a line a box"),
        ("labels", "-1 .5 .5 .2 .2", "expected the number of a class, from 0, found -1", "whole numbers"),
        ("labels", "0.5 .5 .5 .2 .2", "expected the number of a class, from 0, found 0.5", "whole numbers"),
        ("labels", "0 320 240 64 48", "line 1: expected shares of the image, from 0 to 1, found 320", "divide x"),
        ("labels", "0 .5 .5 0 .2", "line 1: a box of width 0 and height 0.2", "two sides"),
        ("labels", "0 .1 .1 .1 .2 .1 .3", "line 1: a box of width 0 and height 0.2", "two sides"),
        ("detections", "0 .5 .5 -.2 .2 .9", "line 1: a box of width -0.2", "two sides"),
        ("detections", "0 .5 .5 .2 .2", "line 1: .* found 5 numbers: no confidence", "save_conf=True"),
        ("detections", "0 .1 .1 .2 .1 .2 .2", "line 1: .* found 7 numbers: no confidence", "save_conf=True"),
        ("detections", "0 .5 .5 .2 .2 1.5", "a confidence from 0 to 1 at the end, found 1.5", "sigmoid"),
        ("detections", "0", "found 0 numbers", "confidence"),
        ("labels", 5 * "0 .6 .6 .9 .9\n" + "0 .6 .7 .8 .9\n", "100% of the boxes .*: they are two corners", "two"),
        ("labels", "0 .01 .01 .3 .2\n0 .5 .05 .4 .2", "x and y are the upper left corner", "add half"),
        ("labels", "0 .01 .6 .3 .6", "they are no centre and two sides", "expected are lines"),
    ],
)  # fmt: skip
def test_lines_that_are_none_are_refused(tmp_path: Path, kind: Kind, text: str, message: str, hint: str) -> None:
    with pytest.raises(DataError if kind == "labels" else ModelError, match=message) as refused:
        read(tmp_path, text, kind)
    assert refused.value.message.startswith(str(tmp_path))
    assert hint in refused.value.hint


def test_other_bytes_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe0")
    (tmp_path / "b.txt").mkdir()
    for name, message in (("a", "expected text in UTF-8"), ("b", "neither a file nor a link"), ("c", "neither a file")):
        with pytest.raises(DataError, match=message):
            yolo.read([tmp_path / f"{name}.txt"], "labels")


def test_a_folder_is_told_by_its_lines(tmp_path: Path) -> None:
    assert not yolo.told(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert not yolo.told(tmp_path)
    (tmp_path / "empty.txt").write_text("\n")
    assert not yolo.told(tmp_path)
    (tmp_path / "a.txt").write_text("0 .5 .5 .2 .2\n")
    assert yolo.told(tmp_path)
    for name in "bc":
        (tmp_path / f"{name}.txt").write_text("a text about images\n")
    assert not yolo.told(tmp_path)
    assert list(yolo.files(tmp_path)) == ["a", "b", "c", "empty"]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("names: [a]\nval: images", True),
        ("# data\npath: x\nnames:\n  0: a\n", True),
        ("names: [a]", False),
        ("image: 3", False),
        ("a,names: b\nval: c", False),
    ],
)
def test_a_description_is_told_by_its_names(tmp_path: Path, text: str, known: bool) -> None:
    path = tmp_path / "data.txt"
    path.write_text(text)
    assert yolo.described(path) is known
    assert not yolo.described(tmp_path)


def test_scripts_in_a_description_are_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("val: a\nnames: [b]\ndownload: |\n  import os\n  os.system('x')\nother: !!python/name:os.system\n")
    assert yolo.description(path) == {"val": "a", "names": ("b",)}
    path.write_text("val: !!python/name:os.system\nnames: [b]\n")
    with pytest.raises(DataError, match="line 1: expected a plain text") as refused:
        yolo.description(path)
    assert "names of the classes" in refused.value.hint
