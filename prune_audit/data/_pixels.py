"""Image bytes to pixels: decode, convert, resize, crop.

The steps give what torchvision gives on PIL images, to the bit: its default loader (``convert("RGB")``; EXIF
orientation is *not* applied), then ``Resize``, then ``CenterCrop``. A model was most likely trained and judged behind
those, and other code that "does the same" costs percents. Only formats that are meant to be read are opened, and
files of more than 8 bits a gray value are refused: nothing says how they are to be scaled, and a plain conversion
clips them.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core import Array, Preprocess
from prune_audit.data._stored import Stored

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an image file says of itself. ``size`` is (height, width)."""

    size: tuple[int, int]
    gray: bool


def quiet_pillow() -> None:
    """Let Pillow's warnings pass unseen: odd metadata is harmless, and what is not is an error when it is read.

    To be called before images are opened, and not around it: warning filters belong to the process, not to the
    threads that decode.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


def header(stored: Stored) -> Header | None:
    """The header of an image, None where it cannot be read."""
    from PIL import Image

    try:
        with stored.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            return Header(size=(image.height, image.width), gray=_is_deep(image) or image.mode in ("1", "L", "LA"))
    except Exception:  # a broken file can raise nearly anything from a decoder; reading it will say what
        return None


def decode(data: bytes, preprocess: Preprocess) -> Array:
    """The pixels of an image file's bytes: uint8 (C, H, W) of exactly ``preprocess.size``.

    Raises:
        ValueError: the bytes are no image that can be used; the message says why.
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ValueError("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if _is_deep(opened):
                raise ValueError(f"pixels of more than 8 bits ({opened.mode}): convert the image, or use an .npz file")
            pixels = np.asarray(transform(opened, preprocess))  # (H, W) or (H, W, C)
    except UnidentifiedImageError:
        raise ValueError(f"not an image in {', '.join(FORMATS)}") from None
    except Exception as error:  # a broken file can raise nearly anything from a decoder
        raise ValueError(str(error) or type(error).__name__) from error
    if pixels.shape[:2] != preprocess.size:
        found, size = ("x".join(map(str, shape)) for shape in (pixels.shape[:2], preprocess.size or ()))
        raise ValueError(f"the image is {found}, not {size} as the others")
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def transform(image: Image, preprocess: Preprocess) -> Image:
    """``image`` converted, resized and cropped."""
    from PIL.Image import Resampling

    mode = "L" if preprocess.channels == "gray" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if preprocess.resize is not None:
        to = resized((image.height, image.width), preprocess.resize)
        if to != (image.height, image.width):
            filtered = Resampling[(preprocess.interpolation or "bilinear").upper()]
            image = image.resize((to[1], to[0]), filtered)
    if preprocess.crop is not None:
        height, width = preprocess.crop
        top, left = _offset(image.height, height), _offset(image.width, width)
        image = image.crop((left, top, left + width, top + height))
    return image


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


def _is_deep(image: Image) -> bool:
    """Whether pixels are single values of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")
