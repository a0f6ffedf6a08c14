"""What preprocessing was asked for, and what it comes to for these models and these images.

Three sources say how an image becomes an input: the user, the model and the images themselves. Most accuracy that is
lost between two frameworks is lost here, so a contradiction between them is an error that states both, and nothing
is filled in that none of them says. The meaning of the fields:

``resize`` is torchvision's ``Resize``: one number is the new length of the shorter side, the longer one becomes
``int(resize * long / short)``; a pair is (height, width) exactly. ``crop`` is torchvision's ``CenterCrop``. ``size``
is what the model receives, after both; given alone, by the user or by the model, it is an exact resize. Where resize
or crop are given they must lead to ``size``. Where nothing is known the images are taken as they are, if all have
the same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial
from math import isqrt, prod
from pathlib import Path
from typing import TypeAlias

from prune_audit import spelling
from prune_audit.core import Channels, Expects, Preprocess
from prune_audit.data._pixels import Header, header, most_pixels, resized
from prune_audit.data._preprocess_file import read
from prune_audit.errors import AlignmentError, DataError, UsageError
from prune_audit.files.stored import Stored

Size: TypeAlias = tuple[int, int]

# ImageNet's are torchvision's; CIFAR-10's and MNIST's are the training sets' own, as commonly rounded.
PRESETS = {
    "imagenet": Preprocess(
        resize=256,
        crop=(224, 224),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        channels="rgb",
        interpolation="bilinear",
        name="imagenet",
    ),
    "cifar10": Preprocess(
        size=(32, 32), mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616), channels="rgb", name="cifar10"
    ),
    "mnist": Preprocess(size=(28, 28), mean=(0.1307,), std=(0.3081,), channels="gray", name="mnist"),
    "none": Preprocess(name="none"),
}

# Enough to notice that a folder of photographs is not square, cheap enough to look at every time.
GLANCE = 256


def named(text: str) -> Preprocess:
    """The preset called ``text``, or what the file at ``text`` asks for.

    Raises:
        UsageError: there is neither such a preset nor such a file.
        DataError: the file cannot be understood.
    """
    if text in PRESETS:
        return PRESETS[text]
    if not Path(text).is_file():
        raise UsageError(
            f"no preprocessing called {text!r}, and no such file",
            hint=f"{spelling.hint(text, PRESETS)}; or a JSON or TOML file, or a preprocessor_config.json",
        )
    return read(Path(text))


def combine(named: Preprocess, explicit: Preprocess) -> Preprocess:
    """``named``, with every field that ``explicit`` asks for laid over it.

    Geometry is one thing: an explicit size alone replaces the resize and crop of ``named``, and an explicit resize or
    crop replaces its size. The name then says that there are changes.
    """
    asked = {f.name: getattr(explicit, f.name) for f in fields(explicit) if getattr(explicit, f.name) is not None}
    if not asked:
        return named
    if "resize" in asked or "crop" in asked:
        named = replace(named, size=None)
    elif "size" in asked:
        named = replace(named, resize=None, crop=None)
    return replace(named, name=f"{named.name} with changes", **asked)


def resolve(
    asked: Preprocess, expects: Expects, files: Sequence[Stored], workers: int | None = None, *, turn: bool = False
) -> tuple[Preprocess, tuple[str, ...]]:
    """``asked`` with nothing left open: channels, size, resize and interpolation, and one mean and std per channel.

    Where no preset or file was asked for, the models' own file is, with what was asked for laid over it. Also what the
    report should note. Headers of ``files`` are read (in ``workers`` threads) only where the images must decide; to
    see whether an exact resize stretches them, ``GLANCE`` files spread over the list are looked at. With ``turn`` they
    are as high and wide as EXIF has them.

    Raises:
        AlignmentError: what was asked for, what the models declare and what the images are do not fit together.
        DataError: the images must decide, and none can be read.
        UsageError: a std that cannot be divided by.
    """
    own = read(expects.preprocess) if asked.name is None and expects.preprocess is not None else None
    asked = asked if own is None else combine(own, asked)
    if asked.std is not None and not all(value > 0 for value in asked.std):
        raise UsageError(f"std must be positive, found {asked.std}", hint="give --std in units of [0, 1]")
    images = _Images(files, workers, turn=turn)
    expects = _with_fewer_axes(asked, expects, images)
    channels = _channels(asked, expects, images)
    size, resize, notes = _geometry(asked, expects, images)
    if own is not None and own.resize is not None and own.resize == asked.resize:
        notes = ()  # what the model's own file stretches was stretched when it was trained
    count = 1 if channels == "gray" else 3
    most = most_pixels()
    if most is not None and prod(size) > most:
        raise AlignmentError(
            f"images are to be of {_by(size)}, and those of more than {most:,} pixels are not read",
            hint="give the size in pixels, with --size; feed other inputs from an .npz file",
        )
    return replace(
        asked,
        channels=channels,
        size=size,
        resize=resize,
        interpolation=asked.interpolation or "bilinear",
        mean=_per_channel("mean", asked.mean, count),
        std=_per_channel("std", asked.std, count),
    ), notes


class _Images:
    """The headers of the image files, read when first asked for."""

    def __init__(self, files: Sequence[Stored], workers: int | None, *, turn: bool) -> None:
        self._files = files
        self._header = partial(header, turn=turn)
        self._workers = workers or 4  # enough for a slow disk; parsing a header holds the interpreter's lock
        self._all: list[tuple[Stored, Header]] | None = None

    def all(self) -> list[tuple[Stored, Header]]:
        """Every readable header; what cannot be read is reported when the samples are."""
        if self._all is None:
            self._all = self._read(self._files)
            if not self._all:
                raise DataError(
                    f"not one of {len(self._files)} files can be read as an image ({self._files[0]})",
                    hint="check that these are images",
                )
        return self._all

    def some(self) -> list[tuple[Stored, Header]]:
        """The headers of at most `GLANCE` files, spread evenly."""
        return self._all or self._read(self._files[:: -(-len(self._files) // GLANCE)])

    def _read(self, files: Sequence[Stored]) -> list[tuple[Stored, Header]]:
        with ThreadPoolExecutor(self._workers) as pool:
            found = pool.map(self._header, files)
            return [(file, head) for file, head in zip(files, found, strict=True) if head is not None]


def fewer_axes(expects: Expects) -> int | None:
    """2 or 3 where the models take images as rows (N, H W) or as planes (N, H, W), None where they do not."""
    shapes = [each.shape for each in expects.inputs if each.shape is not None]
    return len(shapes[0]) if len(expects.inputs) == len(shapes) == 1 and len(shapes[0]) in (2, 3) else None


def _with_fewer_axes(asked: Preprocess, expects: Expects, images: _Images) -> Expects:
    """``expects`` with the one channel, and the size, of images for models that take them as planes or rows."""
    axes = fewer_axes(expects)
    if axes is None or expects.channels is not None:
        return expects
    _, *shape = expects.inputs[0].shape or ()
    if axes == 3:
        height, width = shape
        return replace(expects, channels=1, size=(height, width) if height and width else None)
    length, asked_for = shape[0], (asked.size, asked.resize, asked.crop)
    if length is None or asked_for != (None, None, None):
        return replace(expects, channels=1)
    sizes = {head.size for _, head in images.all()}
    if len(sizes) == 1 and prod(next(iter(sizes))) == length:
        return replace(expects, channels=1)
    side = isqrt(length)
    if side * side == length:
        return replace(expects, channels=1, size=(side, side))
    colours = "" if length % 3 else f", as {length // 3} pixels of 3 channels may be, in an order that nothing tells"
    raise AlignmentError(
        f"the model takes rows of {length} numbers{colours}, and the images are no rows of gray pixels",
        hint="feed it from an .npz file, with the rows that it takes; or give --size HxW for gray pixels, row by row",
    )


def _channels(asked: Preprocess, expects: Expects, images: _Images) -> Channels:
    declared = expects.channels
    if declared is not None and declared not in (1, 3):
        raise AlignmentError(
            f"the model takes {declared} channels, images give 1 or 3",
            hint="feed other inputs from an .npz file, as they are",
        )
    if asked.channels is not None:
        if declared is not None and declared != (1 if asked.channels == "gray" else 3):
            raise AlignmentError(
                f"{asked.channels} was asked for, the model takes {declared} channel{'s' * (declared > 1)}",
                hint="leave --channels to the model, and give --mean and --std if the preset's do not fit",
            )
        return asked.channels
    if declared is not None:
        return "gray" if declared == 1 else "rgb"
    (first, head), *others = images.all()
    for file, other in others:
        if other.gray != head.gray:
            gray, rgb = (first, file) if head.gray else (file, first)
            raise AlignmentError(
                f"some images are gray ({gray}) and some in colour ({rgb}), and no model says what it takes",
                hint="say --channels rgb, bgr or gray",
            )
    return "gray" if head.gray else "rgb"


def _geometry(asked: Preprocess, expects: Expects, images: _Images) -> tuple[Size, int | Size | None, tuple[str, ...]]:
    """(size, resize, notes): what the model receives, how the images are resized to it, and what to say of it."""
    if asked.size is not None and expects.size is not None and asked.size != expects.size:
        raise AlignmentError(
            f"the size {_by(asked.size)} was asked for, the model takes {_by(expects.size)}",
            hint=f"give --size {_by(expects.size)}, or leave it to the model",
        )
    known = asked.size or expects.size
    resize = asked.resize
    if asked.crop is None and resize is None:
        if known is not None:
            return known, known, _stretched(images, known)
        return _agreed(images, None), None, ()
    result = asked.crop or (resize if isinstance(resize, tuple) else _agreed(images, resize))
    if known is not None and result != known:
        whose = "was asked for" if asked.size else "is what the model takes"
        raise AlignmentError(
            f"resize and crop lead to {_by(result)}, and {_by(known)} {whose}",
            hint=f"crop or resize to {_by(known)}",
        )
    return result, resize, _stretched(images, resize) if isinstance(resize, tuple) else ()


def _agreed(images: _Images, resize: int | None) -> Size:
    """The one size that all images have after ``resize``."""
    sizes = [(file, head.size if resize is None else resized(head.size, resize)) for file, head in images.all()]
    first, size = sizes[0]
    for file, other in sizes:
        if other != size:
            after = "" if resize is None else f" after resizing the shorter side to {resize}"
            raise AlignmentError(
                f"the images differ in size{after}: {first} is {_by(size)}, {file} is {_by(other)}",
                hint="give the model's input size with --size, or a --crop; any will do where all models are recorded "
                "predictions"
                if resize is None
                else "give a --crop too",
            )
    return size


def _stretched(images: _Images, to: Size) -> tuple[str, ...]:
    """A note where an exact resize changes the proportions of an image by more than rounding can."""
    for file, head in images.some():
        (height, width), (new_height, new_width) = head.size, to
        if abs(height * new_width - width * new_height) > max(height, width, new_height, new_width):
            return (
                f"images are stretched to {_by(to)} (for one, {file} is {_by(head.size)}); give --resize and --crop "
                "for a crop",
            )
    return ()


def _per_channel(what: str, values: tuple[float, ...] | None, channels: int) -> tuple[float, ...] | None:
    if values is None or len(values) == channels:
        return values
    if len(values) == 1:
        return values * channels
    raise AlignmentError(
        f"the {what} has {len(values)} values, the input {channels} channel{'s' * (channels > 1)}",
        hint=f"give one value per channel, or one for all, with --{what}",
    )


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
