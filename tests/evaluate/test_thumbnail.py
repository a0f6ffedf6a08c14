"""Small pictures of flips: what they show, which flips get one, and that they stay small."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image

from prune_audit.core import Array, Assumption, Batch, Comparison, Counts, Flip, Preprocess, Things
from prune_audit.errors import UsageError
from prune_audit.evaluate import thumbnail
from prune_audit.evaluate.thumbnail import with_thumbnails
from tests.reports import audits


@dataclass(frozen=True)
class Images:
    """A data set of images (N, C, H, W), some of which cannot be read."""

    images: Array
    bad: tuple[int, ...] = ()
    kind: str = "image"
    asked: list[int] = field(default_factory=list)
    name: str = "data"
    path: str = "data"
    classes: tuple[str, ...] = ("a", "b")
    indexed: bool = False
    groups: Mapping[str, Array] = field(default_factory=dict)
    preprocess: Preprocess | None = None
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()

    @property
    def labels(self) -> Counts:
        return np.zeros(len(self.images), np.int64)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(f"{i}.png" for i in range(len(self.images)))

    def fingerprint(self, verify: bool) -> str:
        return "images"

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        self.asked.extend(int(i) for i in rows)
        good = np.array([i for i in rows if i not in self.bad], np.int64)
        return Batch(
            rows=good,
            inputs={self.kind: self.images[good]},
            labels=np.zeros(len(good), np.int64),
            digests=np.zeros(len(good), np.uint64),
            bad=tuple((self.ids[i], "broken") for i in self.bad),
        )


def opened(text: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text or "", validate=True)))


def comparison(labels: str) -> Comparison:
    flips = tuple(Flip(id=f"{i}.png", label=label, dense=label, pruned="x") for i, label in enumerate(labels))
    return replace(audits.ten().comparisons[0], flips=flips, flipped=len(flips))


def pictured(c: Comparison) -> list[str]:
    return [flip.id for flip in c.flips if flip.thumbnail]


def images(number: int, channels: int = 1, height: int = 8, width: int = 8) -> Array:
    return np.random.default_rng(0).integers(0, 256, (number, channels, height, width), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_picture_stays_as_it_is(channels: int) -> None:
    (image,) = images(1, channels, 6, 9)
    shown = opened(thumbnail.thumbnail(image))
    assert shown.format == "PNG"
    assert np.array_equal(np.asarray(shown), image[0] if channels == 1 else image.transpose(1, 2, 0))


def test_a_large_one_becomes_small_and_keeps_its_shape() -> None:
    gradient = np.broadcast_to(np.linspace(0, 255, 400).astype(np.uint8), (3, 200, 400))
    text = thumbnail.thumbnail(gradient)
    shown = opened(text)
    assert (shown.format, shown.size) == ("JPEG", (96, 48))
    assert len(text) < 3000
    row = np.asarray(shown.convert("L")).astype(int)[24]
    assert np.abs(row - np.linspace(0, 255, 96)).max() < 12


def test_every_class_and_flow_has_as_many() -> None:
    whole = comparison("aaaabbc")
    moved = replace(whole, flips=(*whole.flips[:3], replace(whole.flips[3], pruned="y"), *whole.flips[4:]))
    (found,) = with_thumbnails([moved], Images(images(7)), 2)
    assert pictured(found) == ["0.png", "1.png", "3.png", "4.png", "5.png", "6.png"]
    assert [flip.id for flip in found.flips] == [f"{i}.png" for i in range(7)]  # in the order in which they came


def test_each_variant_has_its_own_and_each_sample_is_read_once() -> None:
    data = Images(images(5))
    found = with_thumbnails([comparison("ab"), comparison("abcdd")], data, 1)
    assert [pictured(c) for c in found] == [["0.png", "1.png"], ["0.png", "1.png", "2.png", "3.png"]]
    assert data.asked == [0, 1, 2, 3]


def test_the_first_of_all_comes_before_the_second_of_any(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Images(np.zeros((3, 1, 8, 8), np.uint8))
    monkeypatch.setattr(thumbnail, "TOTAL", 3 * len(thumbnail.thumbnail(data.images[0])))
    found = with_thumbnails([comparison("aab"), comparison("a")], data, 2)
    assert [pictured(c) for c in found] == [["0.png", "2.png"], ["0.png"]]


def test_pictures_stop_where_they_would_be_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Images(images(3))
    sizes = [len(thumbnail.thumbnail(image)) for image in data.images]
    monkeypatch.setattr(thumbnail, "TOTAL", sizes[0] + sizes[1])
    (found,) = with_thumbnails([comparison("abc")], data, 3)
    assert pictured(found) == ["0.png", "1.png"]


def test_what_cannot_be_read_has_none() -> None:
    (found,) = with_thumbnails([comparison("abc")], Images(images(3), bad=(1,)), 3)
    assert pictured(found) == ["0.png", "2.png"]


def test_none_asked_for_nothing_read() -> None:
    data = Images(images(3))
    assert with_thumbnails([comparison("abc")], data, 0) == (comparison("abc"),)
    assert data.asked == []


def test_things_are_drawn_where_a_folder_of_images_is_named() -> None:
    things = Things(task="detection", path="boxes.json", classes=("cat",), ids=("a", "b"), labels=np.zeros(2, np.int64))
    with pytest.raises(UsageError, match=r"boxes\.json names no folder of them") as caught:
        thumbnail.thumbnails(things, [0])
    assert "--images" in caught.value.hint
    drawn = replace(things, draw=lambda rows: {row: f"picture {row}" for row in rows})
    assert thumbnail.thumbnails(drawn, [1]) == {1: "picture 1"}


def test_only_images_have_thumbnails() -> None:
    with pytest.raises(UsageError, match="thumbnails are of images, and data has none"):
        with_thumbnails([comparison("abc")], Images(images(3), kind="tokens"), 3)
