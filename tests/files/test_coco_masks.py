"""Outlines of COCO's JSON against pycocotools, pixel for pixel, and what is no outline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as reference

from prune_audit.core import Counts
from prune_audit.files.coco_masks import Runs, around, bounds, packed
from tests.tasks.detection.scenes import pixels_of


def pixels(runs: Counts, width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    flat = np.zeros(width * height, np.uint8)
    for begin, end in zip(runs[::2], runs[1::2], strict=True):
        flat[begin:end] = 1
    return flat.reshape(width, height).T


def polygons(rng: np.random.Generator, width: int, height: int) -> list[list[float]]:
    """One to three, of corners within the image, on its edge and beyond; closed and not, on pixels and off them."""
    side, drawn = max(width, height), []
    for _ in range(rng.integers(1, 4)):
        corners = rng.uniform(-0.2 * side, 1.2 * side, (int(rng.integers(3, 9)), 2))
        corners = np.rint(corners) if rng.random() < 0.5 else corners
        corners = np.clip(corners, 0, [width, height]) if rng.random() < 0.3 else corners
        corners = np.concatenate([corners, corners[:1]]) if rng.random() < 0.2 else corners
        drawn.append(corners.ravel().tolist())
    return drawn


@given(st.integers(0, 10**9), st.integers(1, 60), st.integers(1, 60))
def test_polygons_are_filled_as_by_pycocotools(seed: int, width: int, height: int) -> None:
    drawn = polygons(np.random.default_rng(seed), width, height)
    theirs = reference.merge(reference.frPyObjects(drawn, height, width))
    runs = bounds(packed(drawn), width, height)
    assert (pixels(runs, width, height) == pixels_of(theirs)).all()
    assert (np.diff(runs) > 0).all()  # no run touches another one
    if len(runs):
        assert around(runs, height) == reference.toBbox(theirs).tolist()


@given(st.integers(0, 10**9), st.integers(1, 300), st.integers(1, 60), st.floats(0, 1))
def test_runs_are_read_as_by_pycocotools(seed: int, width: int, height: int, share: float) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    text = reference.encode(np.asfortranarray(mask))["counts"].decode()
    runs = bounds(Runs([height, width], text), width, height)
    assert (pixels(runs, width, height) == mask).all()
    counts = np.diff(np.concatenate([[0], runs, [width * height]])).tolist()
    assert (bounds(Runs([height, width], counts), width, height) == runs).all()
    if mask.any():
        assert around(runs, height) == reference.toBbox(reference.encode(np.asfortranarray(mask))).tolist()


def test_runs_of_no_length_part_nothing() -> None:
    assert bounds(Runs([2, 5], [0, 3, 0, 2, 5]), 5, 2).tolist() == [0, 5]
    assert bounds(Runs([2, 5], [10]), 5, 2).tolist() == []
    assert bounds(Runs([2, 5], [0, 10]), 5, 2).tolist() == [0, 10]
    assert around(np.empty(0, np.int64), 2) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("outline", "message"),
    [
        (packed(None), "expected polygons"),
        (packed([]), "expected polygons"),
        (packed([[1, 2, 3, 4]]), "expected polygons"),
        (packed([[1, 2, 3, 4, 5, 6, 7]]), "expected polygons"),
        (packed([[1, 2, 3, 4, 5, float("nan")]]), "expected polygons"),
        (packed([[1, 2, 3, 4, 5, True]]), "expected polygons"),
        (packed([[1, 2, 3, 4, 5, 1e300]]), "a corner at 1e.300, far beyond an image of 5 x 4"),
        (Runs([5, 4], [20]), r"a size of \[5, 4\], expected \[4, 5\], height and width"),
        (Runs("4x5", [20]), "a size of 4x5"),
        (Runs([4, 5], [19]), "runs of 19 pixels together, expected 20, 4 times 5"),
        (Runs([4, 5], [-1, 21]), r"counts \[-1, 21\], expected whole numbers"),
        (Runs([4, 5], [20.0]), "expected whole numbers"),
        (Runs([4, 5], None), "expected whole numbers"),
        (Runs([4, 5], ""), "which are cut off or no text of counts"),
        (Runs([4, 5], "d"), "which are cut off"),
        (Runs([4, 5], " 0"), "no text of counts"),
        (Runs([4, 5], "\ud800"), "no text of counts"),
        (Runs([4, 5], "oooooooooooo0"), "with a number that is too large"),
        (Runs([4, 5], "oooooo5"), "with a run of"),
        (Runs([4, 5], "@"), "with a run of -16 to -16 pixels"),
    ],
)
def test_what_is_no_outline_is_refused(outline: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bounds(outline, 5, 4)


def test_an_image_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="an image of 10,000,000,000 pixels"):
        bounds(packed([[0, 0, 1, 1, 2, 0]]), 100_000, 100_000)
