"""Preprocessing files: our own fields, and Hugging Face configurations as they are published."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prune_audit.core import Preprocess
from prune_audit.data._pixels import resized, transform
from prune_audit.data._preprocess_file import OF_MODELS, TYPES, read
from prune_audit.errors import DataError

HALF = [0.5, 0.5, 0.5]
VIT = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": HALF,
    "image_processor_type": "ViTImageProcessor",
    "image_std": HALF,
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 224, "width": 224},
}
CLIP = {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": HALF,
    "image_std": HALF,
    "resample": 3,
    "size": {"shortest_edge": 224},
}
CONVNEXT = {
    "crop_pct": 0.875,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": HALF,
    "image_processor_type": "ConvNextImageProcessor",
    "image_std": HALF,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": 224},
}


def saved(folder: Path, values: dict[str, Any] | str, name: str = "preprocessor_config.json") -> Path:
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


TOML = """
size = [20, 30]
resize = 40
crop = 20
mean = [0.1, 0.2, 0.3]
std = 1
channels = "rgb"
interpolation = "bicubic"
name = "own"
"""


def test_our_own_fields_in_toml_and_json(tmp_path: Path) -> None:
    expected = Preprocess(
        size=(20, 30),
        resize=40,
        crop=(20, 20),
        mean=(0.1, 0.2, 0.3),
        std=(1.0,),
        channels="rgb",
        interpolation="bicubic",
        name="own",
    )
    assert read(saved(tmp_path, TOML, "own.toml")) == expected
    as_json = {
        **{"size": [20, 30], "resize": 40, "crop": 20, "mean": [0.1, 0.2, 0.3], "std": 1},
        **{"channels": "rgb", "interpolation": "bicubic", "name": "own"},
    }
    assert read(saved(tmp_path, as_json)) == expected
    assert read(saved(tmp_path, {"resize": [3, 4]}, "p.json")) == Preprocess(resize=(3, 4), name="p.json")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"siez": 3}, "unknown field 'siez'"),
        ({"size": 0}, "size: expected one positive integer"),
        ({"size": [1, 2, 3]}, "size: expected one positive integer"),
        ({"crop": 2.5}, "crop: expected one positive integer"),
        ({"resize": True}, "resize: expected one positive integer"),
        ({"mean": "0.5"}, "mean: expected a number"),
        ({"std": []}, "std: expected a number"),
        ({"channels": "brg"}, "channels: expected one of rgb, bgr, gray"),
        ({"interpolation": "cubic"}, "interpolation: expected one of nearest"),
        ({"name": 3}, "name: expected text"),
        ("size 3", "no JSON or TOML"),
        ('{"size": 3', "no JSON or TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, values: dict[str, Any] | str, message: str) -> None:
    path = saved(tmp_path, values)
    with pytest.raises(DataError, match=message) as raised:
        read(path)
    assert str(path) in raised.value.message


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (VIT, "resize 224x224 (bilinear), /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"),
        (CLIP, "resize 224 (bicubic), crop 224x224, rgb, /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"),
        (CONVNEXT, "resize 256 (bicubic), crop 224x224, /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"),
        ({**CONVNEXT, "crop_pct": None}, "resize 256 (bicubic), crop 224x224, /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"),
        (
            {**CONVNEXT, "size": {"shortest_edge": 384}},
            "resize 384x384 (bicubic), /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5",
        ),
        ({**VIT, "size": 224}, "resize 224x224 (bilinear), /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"),
        ({**CLIP, "size": 224}, "resize 224 (bicubic), crop 224x224, rgb, /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"),
        (
            {
                **{"do_resize": True, "size": 256, "resample": 3, "feature_extractor_type": "DeiTFeatureExtractor"},
                **{"do_center_crop": True, "crop_size": 224, "do_normalize": False},
            },
            "resize 256x256 (bicubic), crop 224x224, /255",
        ),
        (
            {
                **{"image_processor_type": "PoolFormerImageProcessor", "size": {"shortest_edge": 224}, "resample": 3},
                **{"crop_pct": 0.9, "crop_size": {"height": 224, "width": 224}, "do_normalize": False},
            },
            "resize 248 (bicubic), crop 224x224, /255",
        ),
        ({**CLIP, "do_center_crop": False, "do_resize": False}, "rgb, /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"),
        (
            {**VIT, "do_pad": False, "device": None},
            "resize 224x224 (bilinear), /255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5",
        ),
    ],
)
def test_a_hugging_face_configuration(tmp_path: Path, values: dict[str, Any], line: str) -> None:
    assert read(saved(tmp_path, values)).describe() == f"preprocessor_config.json: {line}"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**VIT, "do_pad": True}, "unknown field 'do_pad' of ViTImageProcessor"),
        ({**VIT, "crop_pct": 0.9}, "unknown field 'crop_pct'"),
        ({**VIT, "image_processor_type": "PerceiverImageProcessor"}, "PerceiverImageProcessor was not compared"),
        ({key: value for key, value in VIT.items() if "type" not in key}, "it names no type of processor"),
        ({**CONVNEXT, "size": {"height": 8, "width": 8}}, "expected shortest_edge, found height and width"),
        ({**CONVNEXT, "do_center_crop": True}, "do_center_crop of ConvNextImageProcessor"),
        ({**VIT, "do_rescale": False}, "not scaled by 1/255"),
        ({**VIT, "rescale_factor": 0.00784313725490196}, "not scaled by 1/255"),
        ({**VIT, "resample": 9}, "resample must be one of 0, 1, 2, 3, 4, 5, found 9"),
        ({**VIT, "size": {"longest_edge": 224}}, "expected height and width, found longest_edge"),
        ({**VIT, "size": {"shortest_edge": 224, "longest_edge": 300}}, "found shortest_edge, longest_edge"),
        ({**VIT, "resample": None}, "do_resize needs resample, which is null"),
        ({**VIT, "image_std": None}, "do_normalize needs image_std, which is null"),
        ({**VIT, "do_center_crop": True}, "do_center_crop of ViTImageProcessor, which crops otherwise"),
        ({**CONVNEXT, "crop_pct": -1}, "crop_pct: expected a share, found -1"),
        ({**CONVNEXT, "crop_pct": "0.9"}, "preprocessor_config.json"),
        ({**VIT, "rescale_factor": "1/255"}, "preprocessor_config.json"),
        ({**VIT, "resample": [2]}, "preprocessor_config.json"),
    ],
)
def test_what_we_cannot_do_exactly_is_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(saved(tmp_path, values))


def of_the_library(kind: str) -> Any:
    """The library's own processor of a type, the one that uses PIL."""
    module = {"MobileNetV1": "mobilenet_v1", "MobileNetV2": "mobilenet_v2"}.get(kind, kind.lower())
    found = importlib.import_module(f"transformers.models.{module}.image_processing_pil_{module}")
    return getattr(found, f"{kind}ImageProcessorPil")


GIVEN: list[dict[str, Any]] = [
    {},
    {"size": 20, "resample": 2, "crop_size": 16, "do_convert_rgb": None},
    {"size": {"shortest_edge": 20}, "crop_size": {"height": 18, "width": 16}, "image_mean": [0.1, 0.2, 0.3]},
    {"size": {"height": 24, "width": 20}, "do_center_crop": False, "do_normalize": False, "resample": 1},
    {"size": {"height": 20, "width": 20}, "do_center_crop": False, "crop_pct": 0.8, "image_std": None},
    {"size": {"shortest_edge": 20}, "do_center_crop": False, "crop_pct": 0.75},
    {"size": {"shortest_edge": 20}, "do_center_crop": None, "crop_pct": None},
    {"do_resize": False, "crop_size": 12},
    {"do_resize": None, "crop_size": 12, "do_normalize": None},
]


@pytest.mark.parametrize("given", GIVEN, ids=map(str, range(len(GIVEN))))
@pytest.mark.parametrize("kind", TYPES)
def test_pixels_are_those_of_the_library(tmp_path: Path, kind: str, given: dict[str, Any]) -> None:
    path = saved(tmp_path, {"image_processor_type": f"{kind}ImageProcessor", **given})
    if kind == "ConvNext" and "crop_pct" in given and given["crop_pct"] is None:
        assert read(path).resize == int(20 / (224 / 256))  # as earlier versions have it: 5.23 fails there
        return
    own = of_the_library(kind)(**given)
    # Square, since a crop of an odd margin may begin one pixel apart, and so small that every size is another.
    compared = 0
    for seed, side in enumerate((20, 28, 60)):
        pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
        image = Image.fromarray(pixels)
        try:
            wanted = own(image, return_tensors="np")["pixel_values"][0]  # (C, H, W)
        except (ValueError, AttributeError, TypeError):  # not what this type takes
            with pytest.raises(DataError):
                read(path)
            return
        try:
            steps = read(path)
        except DataError:
            assert {*given} & {"crop_pct", "size"} or given.get("do_center_crop")  # refused, never otherwise
            return
        if steps.crop is not None and any(
            (a - b) % 2 for a, b in zip(cropped_from(steps, side), steps.crop, strict=True)
        ):
            continue
        found = np.asarray(transform(image, replace(steps, channels="rgb")), np.float32).transpose(2, 0, 1) / 255
        found = found[::-1] if steps.channels == "bgr" else found
        if steps.mean is not None and steps.std is not None:
            mean, std = (np.array(each, np.float32)[:, None, None] for each in (steps.mean, steps.std))
            found = (found - mean) / std
        # A step of one pixel value is 1/255, and more once it is divided by a std below 1.
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        compared += 1
    assert compared or given.get("crop_size") == 12


def cropped_from(steps: Preprocess, side: int) -> tuple[int, int]:
    if steps.resize is None:
        return side, side
    return resized((side, side), steps.resize)


def test_defaults_and_models_are_those_of_the_library() -> None:
    auto = importlib.import_module("transformers.models.auto.image_processing_auto")
    for model, kind in OF_MODELS.items():
        assert auto.IMAGE_PROCESSOR_MAPPING_NAMES[model]["pil"] == f"{kind}ImageProcessorPil"
    for kind, defaults in TYPES.items():
        own = of_the_library(kind)()
        for field, value in defaults.items():
            found: Any = getattr(own, field, None)
            if isinstance(value, dict):
                found = {key: getattr(found, key) for key in value}
            found = list(found) if isinstance(value, list) else found
            assert found == value or (found is None and not value), (kind, field)


def test_the_type_that_the_model_beside_it_implies(tmp_path: Path) -> None:
    path = saved(tmp_path, {"do_resize": True, "size": 224, "image_mean": HALF})
    saved(tmp_path, {"model_type": "levit"}, "config.json")
    assert read(path).resize == 256
    saved(tmp_path, {"model_type": "vit"}, "config.json")
    assert read(path).resize == (224, 224)
    saved(tmp_path, {"model_type": "perceiver"}, "config.json")
    with pytest.raises(DataError, match="that of a perceiver was not compared"):
        read(path)
