"""Image bytes to pixels: decode, convert, resize, crop.

The steps give what torchvision gives on PIL images, to the bit: its default loader (``convert("RGB")``), then
``Resize``, then ``CenterCrop``. A model was most likely trained and judged behind those, and other code that "does the
same" costs percents. Whether an image is first turned as its EXIF orientation says is for the data set to decide:
torchvision's loader does not, ``datasets`` of Hugging Face does. Only formats that are meant to be read are opened, of
an animation the first picture, and files of more than 8 bits a gray value are refused: nothing says how they are to be
scaled, and a plain conversion clips them.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core import Array, Preprocess
from prune_audit.files.stored import Stored, opened

if TYPE_CHECKING:
    from PIL.Image import Image

LATER = (".avif", ".gif", ".jfif", ".pgm", ".ppm")
"""Suffixes that were not read at first, so that audits of then saw fewer files of a folder."""
PLAIN = (".png", ".bmp", ".gif", ".pgm", ".ppm")
"""Suffixes of images that hardly ever carry an orientation."""
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", *LATER)
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "AVIF")
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange height and width


@cache
def formats() -> tuple[str, ...]:
    """The formats of images that are read, as Pillow calls them: AVIF where this Pillow can."""
    from PIL import features

    return tuple(each for each in _FORMATS if each != "AVIF" or features.check("avif"))


def suffixes() -> tuple[str, ...]:
    """The suffixes of files that are taken for images."""
    return tuple(each for each in _SUFFIXES if each != ".avif" or "AVIF" in formats())


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an image file says of itself. ``size`` is (height, width), once turned where it is to be ``turned``."""

    size: tuple[int, int]
    gray: bool
    turned: bool


def quiet_pillow() -> None:
    """Let Pillow's warnings pass unseen: odd metadata is harmless, and what is not is an error when it is read.

    To be called before images are opened, and not around it: warning filters belong to the process, not to the
    threads that decode.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


def header(stored: Stored, *, turn: bool = False) -> Header | None:
    """The header of an image that will be turned as its EXIF says, or not; None where it cannot be read."""
    from PIL import Image

    try:
        with opened(stored) as file, Image.open(file, formats=formats()) as image:
            # What stands behind the pixels, as it may in a PNG, is not looked for.
            _check_pixels(image.width, image.height)
            way = _orientation(image) if "exif" in image.info else 1
            size = (image.width, image.height) if turn and way in _SIDEWAYS else (image.height, image.width)
            return Header(size=size, gray=_is_deep(image) or image.mode in ("1", "L", "LA"), turned=way != 1)
    except Exception:  # a broken file can raise nearly anything from a decoder; reading it will say what
        return None


def decode(data: bytes, preprocess: Preprocess, *, turn: bool = False) -> tuple[Array, bool]:
    """The pixels of an image file's bytes, uint8 (C, H, W) of exactly ``preprocess.size``, and whether EXIF turns it.

    It is turned so where ``turn`` is set.

    Raises:
        ValueError: the bytes are no image that can be used; the message says why.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not data:
        raise ValueError("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=formats()) as opened:
            _check_pixels(opened.width, opened.height)
            if _is_deep(opened):
                raise ValueError(f"pixels of more than 8 bits ({opened.mode}): convert the image, or use an .npz file")
            turned = _orientation(opened) != 1
            upright = ImageOps.exif_transpose(opened) if turn and turned else opened
            pixels = np.asarray(transform(upright, preprocess))  # (H, W) or (H, W, C)
    except UnidentifiedImageError:
        raise ValueError(f"not an image in {', '.join(formats())}") from None
    except MemoryError:  # which says nothing of the file
        raise
    except Exception as error:  # a broken file can raise nearly anything from a decoder
        raise ValueError(str(error) or type(error).__name__) from error
    if pixels.shape[:2] != preprocess.size:
        found, size = ("x".join(map(str, shape)) for shape in (pixels.shape[:2], preprocess.size or ()))
        raise ValueError(f"the image is {found}, not {size} as the others")
    if pixels.ndim == 2:
        return pixels[None], turned
    if preprocess.channels == "bgr":
        pixels = pixels[..., ::-1]
    return pixels.transpose(2, 0, 1), turned


def transform(image: Image, preprocess: Preprocess) -> Image:
    """``image`` converted, resized and cropped."""
    from PIL.Image import Resampling

    mode = "L" if preprocess.channels == "gray" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if preprocess.resize is not None:
        to = resized((image.height, image.width), preprocess.resize)
        _check_pixels(*to, after=" once resized")
        if to != (image.height, image.width):
            filtered = Resampling[(preprocess.interpolation or "bilinear").upper()]
            image = image.resize((to[1], to[0]), filtered)
    if preprocess.crop is not None:
        height, width = preprocess.crop
        top, left = _offset(image.height, height), _offset(image.width, width)
        image = image.crop((left, top, left + width, top + height))
    return image


def most_pixels() -> int | None:
    """The pixels of an image beyond which it is taken for a bomb: Pillow's limit, at which that only warns."""
    from PIL import Image

    return Image.MAX_IMAGE_PIXELS


def _check_pixels(width: int, height: int, after: str = "") -> None:
    """Raise `ValueError` for an image that would fill the memory."""
    most = most_pixels()
    if most is not None and width * height > most:
        raise ValueError(f"the image has {width * height:,} pixels{after}, and more than {most:,} are not read")


def resized(size: tuple[int, int], to: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) after torchvision's ``Resize(to)`` of an image of ``size``."""
    if isinstance(to, tuple):
        return to
    height, width = size
    return (to, int(to * width / height)) if height <= width else (int(to * height / width), to)


def _offset(length: int, crop: int) -> int:
    """Where torchvision's ``CenterCrop`` starts along one side.

    Rounding is Python's, to the even neighbour. Where the image is smaller it is padded with zeros, the odd one
    behind; PIL's crop pads likewise when it starts before the image.
    """
    return -((crop - length) // 2) if crop > length else round((length - crop) / 2)


def _orientation(image: Image) -> int:
    """How the pixels lie, 1 being upright, by EXIF. Pillow itself turns a TIFF as it is told there."""
    way = 1 if image.format == "TIFF" else image.getexif().get(_ORIENTATION)
    return way if isinstance(way, int) and way in range(1, 9) else 1


def _is_deep(image: Image) -> bool:
    """Whether pixels are single values of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")
