"""A file to the preprocessing that it asks for: our own fields in JSON or TOML, or a preprocessor_config.json.

A field that we do not know may change every pixel, so an unknown one is an error that names it. The same holds for a
Hugging Face configuration, except for fields that are null or false there: those are steps that are not taken.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from prune_audit.core import Channels, Interpolation, Preprocess
from prune_audit.errors import DataError

OURS = tuple(f.name for f in fields(Preprocess))

# PIL's numbers of its filters, which Hugging Face stores.
FILTERS: Mapping[int, Interpolation] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}
SIGNS = ("image_processor_type", "feature_extractor_type", "do_resize", "do_rescale", "do_normalize", "image_mean")
STEPS = (
    *SIGNS,
    *("size", "resample", "do_center_crop", "crop_size", "crop_pct", "rescale_factor", "image_std", "do_convert_rgb"),
    *("default_to_square", "processor_class", "_processor_class", "_valid_processor_keys", "model_input_names"),
    *("data_format", "input_data_format"),
)


def read(path: Path) -> Preprocess:
    """What the file at ``path`` asks for.

    Raises:
        DataError: the file is neither JSON nor TOML, or holds something that we cannot do exactly.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: no JSON or TOML: {error}", hint="expected is a file with fields such as size, mean and std"
        ) from error
    try:
        return (
            _of_hugging_face(values, path.name) if any(sign in values for sign in SIGNS) else _ours(values, path.name)
        )
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path}: {error}",
            hint="say it with --preprocess none and single options, or with a file of the fields " + ", ".join(OURS),
        ) from error


def _ours(values: Mapping[str, Any], name: str) -> Preprocess:
    unknown = [key for key in values if key not in OURS]
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")
    resize = values.get("resize")
    return Preprocess(
        size=_pair("size", values.get("size")),
        resize=resize if resize is None or _whole(resize) else _pair("resize", resize),
        crop=_pair("crop", values.get("crop")),
        mean=_numbers("mean", values.get("mean")),
        std=_numbers("std", values.get("std")),
        channels=_choice("channels", values.get("channels"), get_args(Channels)),
        interpolation=_choice("interpolation", values.get("interpolation"), get_args(Interpolation)),
        name=_text("name", values.get("name")) or name,
    )


def _of_hugging_face(values: Mapping[str, Any], name: str) -> Preprocess:
    """The steps of an image processor that are resize, centre crop, division by 255, mean and std, in that order.

    Its crop starts at ``(length - crop) // 2`` where torchvision rounds: an odd margin may shift by one pixel.
    """
    values = {key: value for key, value in values.items() if value is not None}
    unknown = [key for key, value in values.items() if key not in STEPS and value is not False]
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}, which may change the pixels")
    if not values.get("do_rescale", True) or abs((values.get("rescale_factor") or 1 / 255) * 255 - 1) > 1e-4:
        raise ValueError("the values are not scaled by 1/255 (do_rescale, rescale_factor), and ours always are")
    normalised = values.get("do_normalize", "image_mean" in values)
    if normalised and ("image_mean" not in values or "image_std" not in values):
        raise ValueError("do_normalize needs image_mean and image_std")
    resize, crop = _geometry(values)
    if resize is not None and values.get("resample") not in FILTERS:
        raise ValueError(f"resample must be one of {', '.join(map(str, FILTERS))}, found {values.get('resample')!r}")
    return Preprocess(
        resize=resize,
        crop=crop,
        mean=_numbers("image_mean", values["image_mean"]) if normalised else None,
        std=_numbers("image_std", values["image_std"]) if normalised else None,
        channels="rgb" if values.get("do_convert_rgb") else None,
        interpolation=FILTERS[values["resample"]] if resize is not None else None,
        name=name,
    )


def _geometry(values: Mapping[str, Any]) -> tuple[int | tuple[int, int] | None, tuple[int, int] | None]:
    """(resize, crop) of an image processor.

    ConvNeXT's own: below 384 the shorter side becomes ``int(size / crop_pct)`` and a square is cropped, from 384 on
    the image is stretched to a square.
    """
    crop = _sides("crop_size", values["crop_size"]) if "crop_size" in values else None
    crop = crop if values.get("do_center_crop", crop is not None) else None
    if values.get("do_center_crop") and crop is None:
        raise ValueError("do_center_crop needs crop_size")
    if not values.get("do_resize", "size" in values):
        return None, crop
    kind = str(values.get("image_processor_type") or values.get("feature_extractor_type") or "")
    size = values.get("size")
    square = values.get("default_to_square", kind.startswith(("ViT", "DeiT", "Beit")))
    convnext = kind.startswith("ConvNext")
    if _whole(size) and not (square or convnext or kind.startswith("CLIP") or "default_to_square" in values):
        raise ValueError(
            f"size {size} of {kind or 'an unnamed processor'}: not said whether a square or a shorter side"
        )
    if _whole(size):
        size = {"height": size, "width": size} if square and not convnext else {"shortest_edge": size}
    if isinstance(size, dict) and set(size) == {"shortest_edge"} and _whole(size["shortest_edge"]):
        edge = int(size["shortest_edge"])
        share = values.get("crop_pct") or (224 / 256 if convnext else None)
        if share is None:
            return edge, crop
        if not 0 < share <= 1:
            raise ValueError(f"crop_pct: expected a share, found {share!r}")
        if convnext and edge >= 384:
            return (edge, edge), None
        return int(edge / share), (edge, edge) if convnext else crop or (edge, edge)
    return _sides("size", size), crop


def _sides(what: str, value: object) -> tuple[int, int]:
    """(height, width) from a number, a pair, or an object with just these."""
    if isinstance(value, dict):
        if set(value) != {"height", "width"}:
            raise ValueError(f"{what}: expected height and width, found {', '.join(value) or 'nothing'}")
        value = [value["height"], value["width"]]
    pair = _pair(what, value)
    if pair is None:
        raise ValueError(f"{what} is missing")
    return pair


def _whole(value: object) -> bool:
    """Whether ``value`` is a positive integer."""
    return type(value) is int and value > 0


def _pair(what: str, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    pair = [value, value] if _whole(value) else value
    if not isinstance(pair, list) or len(pair) != 2 or not all(map(_whole, pair)):
        raise ValueError(f"{what}: expected one positive integer, or [height, width], found {value!r}")
    return pair[0], pair[1]


def _numbers(what: str, value: Any) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(type(number) in (int, float) for number in numbers):
        raise ValueError(f"{what}: expected a number or a list of them, found {value!r}")
    return tuple(float(number) for number in numbers)


def _text(what: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{what}: expected text, found {value!r}")
    return value


def _choice(what: str, value: Any, known: tuple[Any, ...]) -> Any:
    if value is not None and value not in known:
        raise ValueError(f"{what}: expected one of {', '.join(known)}, found {value!r}")
    return value
