"""The usual mistakes of how detections are written: the run stops, and the one that was made is named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from prune_audit.core import Floats
from prune_audit.errors import AlignmentError, DataError
from prune_audit.tasks.detection import alignment
from prune_audit.tasks.detection.boxes import Boxes, Detections
from prune_audit.tasks.detection.matching import Detected, Labelled

IMAGES, CLASSES = 40, 6


def boxes(seed: int = 0, first: int = 1) -> Boxes:
    """Boxes of six classes numbered 1 to 6 in forty images, whose ids begin at ``first``."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(IMAGES), 4)
    size = rng.uniform(20, 120, (len(image), 2))
    return Boxes(
        images=tuple(range(first, IMAGES + first)),
        names=tuple(f"{500 + i}.jpg" for i in range(IMAGES)),
        sizes=np.tile([640.0, 480.0], (IMAGES, 1)),
        categories=np.arange(1, CLASSES + 1),
        groups={"image": np.arange(IMAGES).astype(str)},
        labelled=Labelled(
            image=image,
            category=rng.integers(0, CLASSES, len(image)),
            box=np.concatenate([rng.uniform(0, 1, (len(image), 2)) * (np.array([640, 480]) - size), size], axis=1),
            crowd=np.zeros(len(image), bool),
        ),
    )


def detected(truth: Boxes, *, box: Floats | None = None, image: int = 0, category: int = 0) -> Detected:
    """All boxes of ``truth``, in other coordinates, images or categories so many further on."""
    labelled = truth.labelled
    keep = (labelled.image + image >= 0) & (labelled.image + image < IMAGES)
    keep &= (labelled.category + category >= 0) & (labelled.category + category < CLASSES)
    return Detected(
        image=(labelled.image + image)[keep],
        category=(labelled.category + category)[keep],
        box=(labelled.box if box is None else box)[keep],
        score=np.linspace(0.9, 0.1, int(keep.sum())),
    )


def found(truth: Boxes, these: Detected) -> Detections:
    return Detections.of(truth, these, 0.5, 100)


def corners(box: Floats) -> Floats:
    return np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)


def centred(box: Floats) -> Floats:
    return np.concatenate([box[:, :2] + box[:, 2:] / 2, box[:, 2:]], axis=1)


def shares(box: Floats) -> Floats:
    found: Floats = box / [640, 480, 640, 480]
    return found


def centred_shares(box: Floats) -> Floats:
    return shares(centred(box))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (corners, "two corners"),
        (shares, "its boxes are shares of the image"),
        (centred_shares, "its boxes are a centre and two sides as shares of the image"),
    ],
)
def test_other_coordinates_are_named(change: Callable[[Floats], Floats], named: str) -> None:
    truth = boxes()
    these = detected(truth, box=change(truth.labelled.box))
    assert alignment.repaired(truth, these, 0.5) is not None
    with pytest.raises(
        AlignmentError, match=r"finds .* of 160 boxes at any score, so that nothing could be lost"
    ) as no:
        alignment.check(truth, "dense", found(truth, these))
    assert named in no.value.hint


@pytest.mark.parametrize(
    ("by", "named"),
    [
        (-1, "its category ids are one too low: add 1 to each"),
        (1, "its category ids are one too high: take 1 from each"),
    ],
)
def test_shifted_categories_are_named(by: int, named: str) -> None:
    truth = boxes()
    with pytest.raises(AlignmentError, match=r"finds 0\.0% of 160 boxes") as stopped:
        alignment.check(truth, "dense", found(truth, detected(truth, category=by)))
    assert stopped.value.hint == named


@pytest.mark.parametrize(("by", "named"), [(-1, "one too low"), (1, "one too high")])
def test_shifted_images_are_named(by: int, named: str) -> None:
    truth = boxes()
    with pytest.raises(AlignmentError, match="boxes at any score") as stopped:
        alignment.check(truth, "dense", found(truth, detected(truth, image=by)))
    assert f"its image ids are {named}" in stopped.value.hint


def test_numbers_of_files_that_are_ids_of_other_images_are_named() -> None:
    # The files are called 500.jpg on, and the images numbered from 505 on.
    truth = boxes(first=505)
    these = detected(truth)
    by_file = Detected(image=these.image - 5, category=these.category, box=these.box, score=these.score)
    keep = by_file.image >= 0
    by_file = Detected(
        image=by_file.image[keep], category=by_file.category[keep], box=by_file.box[keep], score=by_file.score[keep]
    )
    with pytest.raises(AlignmentError, match="boxes at any score") as stopped:
        alignment.check(truth, "dense", found(truth, by_file))
    assert "the numbers that files of images are called by" in stopped.value.hint


def test_what_nothing_explains_is_said_to_be_other_images() -> None:
    truth, others = boxes(), boxes(seed=9)
    with pytest.raises(AlignmentError) as stopped:
        alignment.check(truth, "dense", found(truth, detected(others)))
    assert "these may be other images" in stopped.value.hint


def test_a_detector_passes_and_a_poor_one_too() -> None:
    truth = boxes()
    alignment.check(truth, "dense", found(truth, detected(truth)))
    these = detected(truth)
    few = np.arange(len(these.score)) % 8 == 0  # a detector that finds one in eight, spread over all images
    poor = Detected(
        image=these.image,
        category=these.category,
        box=np.where(few[:, None], these.box, these.box + 300),
        score=these.score,
    )
    alignment.check(truth, "dense", found(truth, poor))


def test_a_detector_of_a_part_of_the_images_is_stopped() -> None:
    truth = boxes()
    these = detected(truth)
    part = these.image < 12
    few = Detected(image=these.image[part], category=these.category[part], box=these.box[part], score=these.score[part])
    with pytest.raises(AlignmentError, match="has no detection in 28 of 40 images with boxes"):
        alignment.check(truth, "dense", found(truth, few))


def test_exchanged_classes_are_stopped() -> None:
    truth = boxes()
    these = detected(truth)
    swapped = np.array([1, 0, 2, 3, 4, 5])[these.category]
    exchanged = Detected(image=these.image, category=swapped, box=these.box, score=these.score)
    with pytest.raises(AlignmentError, match=r"takes 2 classes for one another \(categories 1 as 2, 2 as 1\)"):
        alignment.check(truth, "dense", found(truth, exchanged))


def test_coordinates_are_told_where_sizes_are_known() -> None:
    box, size = boxes().labelled.box, np.tile([640.0, 480.0], (160, 1))
    alignment.check_coordinates("here", box, size, DataError)
    alignment.check_coordinates("here", box[:0], size[:0], DataError)
    for change in (corners, shares):
        with pytest.raises(DataError, match="here: "):
            alignment.check_coordinates("here", change(box), size, DataError)
    # Without sizes of images two corners may be sides as well.
    alignment.check_coordinates("here", corners(box), np.full_like(size, np.nan), DataError)
    # A detector that is off beyond the border now and then is none of corners.
    off = box.copy()
    off[:60, :2] += 400
    alignment.check_coordinates("here", off, size, DataError)
