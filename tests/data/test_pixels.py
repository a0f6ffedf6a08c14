"""Pixels against plain numpy and PIL, and to the bit against torchvision where it is installed."""

from __future__ import annotations

import io
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prune_audit.core import Array, Preprocess
from prune_audit.data import _pixels
from prune_audit.data._pixels import header, resized, transform
from tests.data.conftest import Draw

SIDES = (1, 2, 7, 31, 32, 33, 40, 57)
RESIZES: tuple[int | tuple[int, int], ...] = (32, 33, (40, 25))
CROPS: tuple[tuple[int, int] | None, ...] = (None, (24, 24), (25, 32), (60, 31))


def decode(data: bytes, preprocess: Preprocess) -> Array:
    return _pixels.decode(data, preprocess)[0]


def picture(height: int, width: int, mode: str = "RGB") -> Image.Image:
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(np.random.default_rng(height * 100 + width).integers(0, 256, shape, np.uint8))


def saved(image: Image.Image, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def cropped_by_hand(pixels: Array, height: int, width: int) -> Array:
    """Pad with zeros to at least the crop, the odd row behind, then cut the middle, halves to the even neighbour."""
    missing = [max(crop - side, 0) for crop, side in zip((height, width), pixels.shape[:2], strict=True)]
    padding = [(gap // 2, (gap + 1) // 2) for gap in missing] + [(0, 0)] * (pixels.ndim - 2)
    padded = np.pad(pixels, padding)
    top, left = (int(np.round((side - crop) / 2)) for side, crop in zip(padded.shape[:2], (height, width), strict=True))
    return padded[top : top + height, left : left + width]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_centre_crop_is_the_padded_middle(mode: str) -> None:
    channels = "gray" if mode == "L" else "rgb"
    for height, width, down, across in product(SIDES, SIDES, (1, 2, 32, 33), (1, 7, 32, 40)):
        image = picture(height, width, mode)
        got = transform(image, Preprocess(crop=(down, across), channels=channels))  # type: ignore[arg-type]  # a literal
        np.testing.assert_array_equal(np.asarray(got), cropped_by_hand(np.asarray(image), down, across))


@pytest.mark.parametrize(
    ("size", "to", "expected"),
    [
        ((375, 500), 256, (256, 341)),  # 341.33 is cut, not rounded
        ((500, 375), 256, (341, 256)),
        ((333, 500), 256, (256, 384)),
        ((334, 500), 256, (256, 383)),
        ((64, 64), 32, (32, 32)),
        ((1, 1000), 7, (7, 7000)),
        ((375, 500), (224, 192), (224, 192)),
    ],
)
def test_resized(size: tuple[int, int], to: int | tuple[int, int], expected: tuple[int, int]) -> None:
    assert resized(size, to) == expected


def test_nearest_resize_takes_the_middle_pixels() -> None:
    image = picture(20, 30)
    got = transform(image, Preprocess(resize=(10, 10), interpolation="nearest"))
    np.testing.assert_array_equal(np.asarray(got), np.asarray(image)[1::2, 1::3])


def test_box_resize_is_the_mean_of_blocks() -> None:
    image = picture(20, 30, "L")
    got = transform(image, Preprocess(resize=(10, 10), interpolation="box", channels="gray"))
    means = np.asarray(image, float).reshape(10, 2, 10, 3).mean(axis=(1, 3))
    assert np.abs(np.asarray(got, float) - means).max() <= 1  # PIL rounds after each direction


def test_bilinear_is_the_default_and_antialiases() -> None:
    image = picture(40, 40, "L")
    got = np.asarray(transform(image, Preprocess(resize=(10, 10), channels="gray")), float)
    # A triangle of twice the scale: what an antialiasing bilinear filter is, by its definition.
    centres = (np.arange(10) + 0.5) * 4
    weights = np.clip(1 - np.abs((np.arange(40) + 0.5)[None] - centres[:, None]) / 4, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    assert np.abs(got - weights @ np.asarray(image, float) @ weights.T).max() <= 1


def test_an_image_of_the_right_size_is_not_filtered() -> None:
    image = picture(9, 9)
    for resize in (9, (9, 9)):
        got = transform(image, Preprocess(resize=resize, interpolation="lanczos"))
        np.testing.assert_array_equal(np.asarray(got), np.asarray(image))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", ["rgb", "gray"])
def test_conversion_is_pils(mode: str, channels: str) -> None:
    image = picture(8, 8).convert(mode)
    form = "TIFF" if mode == "CMYK" else "PNG"
    asked = Preprocess(channels=channels, size=(8, 8))  # type: ignore[arg-type]  # a literal
    got = decode(saved(image, form), asked)
    expected = np.asarray(image.convert("L" if channels == "gray" else "RGB"))
    assert got.shape == ((1, 8, 8) if channels == "gray" else (3, 8, 8))
    np.testing.assert_array_equal(got, expected[None] if expected.ndim == 2 else np.moveaxis(expected, 2, 0))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP", "TIFF"])
def test_every_format_is_read(form: str) -> None:
    data = saved(picture(8, 10), form)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    got = decode(data, Preprocess(size=(8, 10), channels="rgb"))
    np.testing.assert_array_equal(got, expected.transpose(2, 0, 1))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("way", range(10))
def test_an_orientation_is_applied_or_ignored(tmp_path: Path, form: str, way: int) -> None:
    image, exif = picture(8, 10), Image.Exif()
    exif[0x0112] = way
    image.save(tmp_path / "x", form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    plain = np.asarray(Image.open(tmp_path / "x").convert("RGB"))  # Pillow turns a TIFF by itself
    by_hand = {
        2: plain[:, ::-1],
        3: plain[::-1, ::-1],
        4: plain[::-1],
        5: plain.transpose(1, 0, 2),
        6: np.rot90(plain, -1),
        7: np.rot90(plain, 2).transpose(1, 0, 2),
        8: np.rot90(plain),
    }
    for turn in (False, True):
        wanted = by_hand.get(way, plain) if turn and form != "TIFF" else plain
        size = wanted.shape[0], wanted.shape[1]
        data = (tmp_path / "x").read_bytes()
        got, carries = _pixels.decode(data, Preprocess(size=size, channels="rgb"), turn=turn)
        np.testing.assert_array_equal(got, wanted.transpose(2, 0, 1))
        head = header(tmp_path / "x", turn=turn)
        assert head is not None
        assert head.size == size
        assert carries is head.turned is (form != "TIFF" and 1 < way < 9)


@pytest.mark.parametrize("form", ["GIF", "PPM", "AVIF", "JPEG", "BMP"])
def test_formats_that_are_read(form: str) -> None:
    picture_of_it = saved(picture(16, 16), form)
    with Image.open(io.BytesIO(picture_of_it)) as image:
        expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(decode(picture_of_it, Preprocess(size=(16, 16), channels="rgb")), expected)


def test_of_an_animation_the_first_picture() -> None:
    frames, out = [picture(8, 8), picture(8, 8).rotate(90), picture(8, 8).rotate(180)], io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    alone = decode(saved(frames[0], "GIF"), Preprocess(size=(8, 8), channels="rgb"))
    np.testing.assert_array_equal(decode(out.getvalue(), Preprocess(size=(8, 8), channels="rgb")), alone)


def test_avif_is_read_where_pillow_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ".avif" in _pixels.suffixes()
    _pixels.formats.cache_clear()
    monkeypatch.setattr("PIL.features.check", lambda name: name != "avif")
    assert ".avif" not in _pixels.suffixes()
    assert "GIF" in _pixels.formats()
    _pixels.formats.cache_clear()


def deep() -> bytes:
    return saved(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"RIFF....WAVEfmt ", "not an image in JPEG"),
        (saved(picture(8, 8), "ICO"), "not an image in JPEG"),
        (saved(picture(64, 64), "JPEG")[:900], "truncated"),
        (saved(picture(8, 8))[:60], "."),
        (deep(), "more than 8 bits"),
        (saved(Image.fromarray(np.zeros((8, 8), np.float32)), "TIFF"), "more than 8 bits"),
        (saved(picture(8, 9)), "the image is 8x9, not 8x8"),
    ],
)
def test_what_cannot_be_used_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        decode(data, Preprocess(size=(8, 8), channels="rgb"))
    assert "BytesIO" not in str(raised.value)  # its address would make two runs differ


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16)
    with pytest.raises(ValueError, match="decompression bomb"):
        decode(saved(picture(8, 8)), Preprocess(size=(8, 8), channels="rgb"))


def test_header(tmp_path: Path) -> None:
    found = {}
    for mode in ("L", "1", "LA", "RGB", "P"):
        picture(8, 10).convert(mode).save(tmp_path / f"{mode}.png")
        head = header(tmp_path / f"{mode}.png")
        assert head is not None
        assert head.size == (8, 10)
        found[mode] = head.gray
    assert found == {"L": True, "1": True, "LA": True, "RGB": False, "P": False}
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert header(tmp_path / "broken.png") is None


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_pixels_are_torchvisions_to_the_bit(interpolation: str) -> None:
    transforms = pytest.importorskip(
        "torchvision.transforms", reason="torchvision is not installed: no comparison to the bit", exc_type=ImportError
    )
    filtered = transforms.InterpolationMode(interpolation)
    for height, width in product((31, 32, 57, 100), (24, 33, 40, 101)):
        for resize, crop in product(RESIZES, CROPS):
            steps = [transforms.Resize(list(resize) if isinstance(resize, tuple) else resize, filtered)]
            steps += [transforms.CenterCrop(list(crop))] if crop else []
            for mode in ("RGB", "L"):
                image = picture(height, width, mode)
                asked = Preprocess(
                    resize=resize,
                    crop=crop,
                    interpolation=interpolation,  # type: ignore[arg-type]  # a literal
                    channels="gray" if mode == "L" else "rgb",
                )
                expected = np.asarray(transforms.Compose(steps)(image))
                np.testing.assert_array_equal(np.asarray(transform(image, asked)), expected)


def test_bgr_is_rgb_with_the_colours_turned_round() -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (5, 6, 3), np.uint8))
    data = saved(image)
    rgb, bgr = (decode(data, Preprocess(size=(5, 6), channels=channels)) for channels in ("rgb", "bgr"))
    np.testing.assert_array_equal(bgr, rgb[::-1])


def test_bombs_are_errors_and_not_only_warnings(draw: Draw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = draw(tmp_path / "large.png", (30, 40))
    _pixels.quiet_pillow()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # at which Pillow warns; its errors begin at twice as many
    assert header(path) is None
    with pytest.raises(ValueError, match="the image has 1,200 pixels, and more than 1,000 are not read"):
        _pixels.decode(path.read_bytes(), Preprocess(size=(30, 40)))
    assert header(draw(tmp_path / "small.png", (25, 40))) is not None


def test_a_thin_image_does_not_grow_into_a_bomb(draw: Draw, tmp_path: Path) -> None:
    path = draw(tmp_path / "thin.png", (1, 60_000))
    with pytest.raises(ValueError, match="the image has 3,010,560,000 pixels once resized"):
        _pixels.decode(path.read_bytes(), Preprocess(resize=224, crop=(224, 224), size=(224, 224)))
