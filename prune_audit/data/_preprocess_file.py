"""A file to the preprocessing that it asks for: our own fields in JSON or TOML, or a preprocessor_config.json.

A field that we do not know may change every pixel, so an unknown one is an error that names it. The same holds for a
Hugging Face configuration, and for the type of its processor: each type has steps and defaults of its own, so that
only those are accepted whose pixels were compared with those of the library (`TYPES`, and the tests of this module).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from prune_audit.core import Channels, Interpolation, Preprocess
from prune_audit.errors import DataError
from prune_audit.files import parse, regular

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
    *("size", "resample", "do_center_crop", "crop_size", "rescale_factor", "image_std", "do_convert_rgb"),
    *("default_to_square", "processor_class", "_processor_class", "_valid_processor_keys", "model_input_names"),
    *("data_format", "input_data_format"),
)
_MOST = 2**20  # pixels of a side
_LARGE = 1e30  # far above any mean of pixels, and below what float32 holds; NaN is not below it either
_HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
_EDGE = {"size": {"shortest_edge": 224}, "default_to_square": False}
_SQUARE = {"size": {"height": 224, "width": 224}, "default_to_square": True}
_CROP = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
_COMMON = {"do_resize": True, "do_center_crop": False, "do_rescale": True, "do_normalize": True}

# What a field is that is not given, by type: the attributes of the classes in transformers 5.23, whose names
# end in ImageProcessor, and in FeatureExtractor or ImageProcessorFast in other versions.
TYPES: Mapping[str, Mapping[str, Any]] = {
    name: _COMMON | defaults
    for name, defaults in {
        "Beit": {**_HALF, **_SQUARE, "crop_size": {"height": 224, "width": 224}, "resample": 3},
        "Bit": {**_CLIP, **_EDGE, **_CROP, "resample": 3, "do_convert_rgb": True},
        "CLIP": {**_CLIP, **_EDGE, **_CROP, "resample": 3, "do_convert_rgb": True},
        "ConvNext": {**_HALF, "size": {"shortest_edge": 384}, "default_to_square": False, "resample": 3,
                     "crop_pct": 224 / 256},
        "DeiT": {**_HALF, **_CROP, "size": {"height": 256, "width": 256}, "default_to_square": True, "resample": 3},
        "Levit": {**_IMAGENET, **_EDGE, **_CROP, "resample": 3},
        "MobileNetV1": {**_HALF, **_CROP, "size": {"shortest_edge": 256}, "default_to_square": False, "resample": 2},
        "MobileNetV2": {**_HALF, **_CROP, "size": {"shortest_edge": 256}, "default_to_square": False, "resample": 2},
        "MobileViT": {**_HALF, **_EDGE, "do_center_crop": True, "crop_size": {"height": 256, "width": 256},
                      "resample": 3, "do_normalize": None, "do_flip_channel_order": True},
        "PoolFormer": {**_IMAGENET, **_EDGE, **_CROP, "resample": 3, "crop_pct": 0.9},
        "Pvt": {**_IMAGENET, **_SQUARE, "resample": 3},
        "Siglip": {**_HALF, "size": {"height": 224, "width": 224}, "default_to_square": False, "resample": 3,
                   "do_convert_rgb": True},
        "ViT": {**_HALF, **_SQUARE, "resample": 2},
    }.items()
}  # fmt: skip
# The type where the file names none, by the model_type in the config.json beside it.
OF_MODELS: Mapping[str, str] = {
    **dict.fromkeys(("beit", "data2vec-vision"), "Beit"),
    **dict.fromkeys(("bit", "dinov2", "focalnet", "hiera"), "Bit"),
    **dict.fromkeys(("clip",), "CLIP"),
    **dict.fromkeys(("convnext", "convnextv2", "cvt", "regnet", "resnet"), "ConvNext"),
    **dict.fromkeys(("deit",), "DeiT"),
    **dict.fromkeys(("levit",), "Levit"),
    **dict.fromkeys(("mobilenet_v1",), "MobileNetV1"),
    **dict.fromkeys(("mobilenet_v2",), "MobileNetV2"),
    **dict.fromkeys(("mobilevit", "mobilevitv2"), "MobileViT"),
    **dict.fromkeys(("poolformer",), "PoolFormer"),
    **dict.fromkeys(("pvt", "pvt_v2"), "Pvt"),
    **dict.fromkeys(("siglip",), "Siglip"),
    **dict.fromkeys(("vit", "vit_mae", "vit_msn", "swin", "swinv2", "dinat"), "ViT"),
}


def read(path: Path) -> Preprocess:
    """What the file at ``path`` asks for.

    Raises:
        DataError: the file is neither JSON nor TOML, or holds something that we cannot do exactly.
    """
    try:
        text = regular.text(path, "utf-8-sig", pipe=True)
        values = parse.json(text) if text.lstrip().startswith("{") else parse.toml(text)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: no JSON or TOML: {error}", hint="expected is a file with fields such as size, mean and std"
        ) from error
    try:
        return _of_hugging_face(values, path) if any(sign in values for sign in SIGNS) else _ours(values, path.name)
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


_NEEDS = {
    "do_resize": ("size", "resample"),
    "do_center_crop": ("crop_size",),
    "do_rescale": ("rescale_factor",),
    "do_normalize": ("image_mean", "image_std"),
}


def _of_hugging_face(values: Mapping[str, Any], path: Path) -> Preprocess:
    """The steps of an image processor that are resize, centre crop, division by 255, mean and std, in that order.

    That of the library that uses PIL crops from ``(length - crop) // 2`` where torchvision, and the one that uses it,
    round: an odd margin may shift by one pixel.
    """
    kind = _type(values, path)
    known = (*STEPS, *TYPES[kind])
    unknown = [key for key, value in values.items() if key not in known and value is not None and value is not False]
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r} of {kind}ImageProcessor, which may change the pixels")
    values = {**TYPES[kind], **values}  # null is no default: a step that is null is not taken
    if kind == "MobileViT":  # which takes it for granted
        values["do_normalize"] = False
    for step, needed in _NEEDS.items():
        lacking = [field for field in needed if values[step] and values.get(field, field) is None]
        if lacking:
            raise ValueError(f"{step} needs {lacking[0]}, which is null")
    if not values["do_rescale"] or abs(values.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-4:
        raise ValueError("the values are not scaled by 1/255 (do_rescale, rescale_factor), and ours always are")
    if values["do_resize"] and values["resample"] not in FILTERS:
        raise ValueError(f"resample must be one of {', '.join(map(str, FILTERS))}, found {values['resample']!r}")
    resize, crop = _resize(kind, values) if values["do_resize"] else (None, None)
    if values["do_center_crop"]:
        if crop is not None or "crop_size" not in values:
            raise ValueError(f"do_center_crop of {kind}ImageProcessor, which crops otherwise")
        crop = _sides("crop_size", values["crop_size"])
    return Preprocess(
        resize=resize,
        crop=crop,
        mean=_numbers("image_mean", values["image_mean"]) if values["do_normalize"] else None,
        std=_numbers("image_std", values["image_std"]) if values["do_normalize"] else None,
        channels="bgr" if values.get("do_flip_channel_order") else "rgb" if values.get("do_convert_rgb") else None,
        interpolation=FILTERS[values["resample"]] if resize is not None else None,
        name=path.name,
    )


def _type(values: Mapping[str, Any], path: Path) -> str:
    """The type of the processor, one of `TYPES`, which the file names or else the model beside it implies."""
    named = values.get("image_processor_type") or values.get("feature_extractor_type")
    if named is None:
        try:
            model = parse.json(regular.text(path.parent / "config.json"))["model_type"]
        except (OSError, ValueError, KeyError, TypeError):
            raise ValueError(
                "it names no type of processor (image_processor_type), and no config.json beside it a model_type"
            ) from None
        if not isinstance(model, str) or model not in OF_MODELS:
            raise ValueError(f"it names no type of processor, and that of a {model} was not compared with its library")
        return OF_MODELS[model]
    kind = re.sub(r"(ImageProcessor(Fast|Pil)?|FeatureExtractor)$", "", str(named))
    if kind not in TYPES:
        known = ", ".join(f"{each}ImageProcessor" for each in TYPES)
        raise ValueError(f"the processor {named} was not compared with its library; those that were: {known}")
    return kind


def _resize(kind: str, values: Mapping[str, Any]) -> tuple[int | tuple[int, int], tuple[int, int] | None]:
    """(resize, crop) of a processor that resizes; the crop is one that belongs to its resize.

    LeViT's shorter side becomes ``int(256 / 224 * size)``, PoolFormer's ``int(size / crop_pct)``. ConvNeXT's does so
    below 384, where a square is then cropped; from 384 on the image is stretched to a square.
    """
    size, share = values["size"], values.get("crop_pct")
    if share is None:
        share = TYPES[kind]["crop_pct"] if kind == "ConvNext" else 1
    if not 0 < share <= 1:
        raise ValueError(f"crop_pct: expected a share, found {share!r}")
    if _whole(size):
        size = {"height": size, "width": size} if values["default_to_square"] else {"shortest_edge": size}
    if isinstance(size, dict) and set(size) == {"shortest_edge"} and _whole(size["shortest_edge"]):
        edge = int(size["shortest_edge"])
        if kind == "ConvNext":
            return ((edge, edge), None) if edge >= 384 else (int(edge / share), (edge, edge))
        if kind == "Levit":
            return int(256 / 224 * edge), None
        return (int(edge / share) if kind == "PoolFormer" else edge), None
    height, width = _sides("size", size)
    if kind == "ConvNext":
        raise ValueError("size: expected shortest_edge, found height and width")
    if kind == "PoolFormer":
        return (int(height / share) if height == width else (int(height / share), int(width / share))), None
    return (height, width), None


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
    """Whether ``value`` is a positive integer, and one that a picture may have as a side."""
    return type(value) is int and 0 < value <= _MOST


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
    if not numbers or not all(type(number) in (int, float) and abs(number) < _LARGE for number in numbers):
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
