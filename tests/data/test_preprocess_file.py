"""Preprocessing files: our own fields, and Hugging Face configurations as they are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prune_audit.core import Preprocess
from prune_audit.data._preprocess_file import read
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
        ({"channels": "bgr"}, "channels: expected one of rgb, gray"),
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
                **{"crop_pct": 0.9, "crop_size": {"height": 224, "width": 224}},
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
        ({**VIT, "do_pad": True}, "unknown field 'do_pad'"),
        ({**VIT, "do_rescale": False}, "not scaled by 1/255"),
        ({**VIT, "rescale_factor": 0.00784313725490196}, "not scaled by 1/255"),
        ({**VIT, "resample": 9}, "resample must be one of 0, 1, 2, 3, 4, 5, found 9"),
        ({key: value for key, value in VIT.items() if key != "resample"}, "found None"),
        ({key: value for key, value in VIT.items() if key != "image_std"}, "needs image_mean and image_std"),
        ({**VIT, "size": {"longest_edge": 224}}, "expected height and width, found longest_edge"),
        ({**VIT, "size": {"shortest_edge": 224, "longest_edge": 300}}, "found shortest_edge, longest_edge"),
        ({**VIT, "size": 224, "image_processor_type": "LevitImageProcessor"}, "size 224 of LevitImageProcessor"),
        ({**VIT, "do_center_crop": True}, "do_center_crop needs crop_size"),
        ({**CONVNEXT, "crop_pct": -1}, "crop_pct: expected a share, found -1"),
        ({**CONVNEXT, "crop_pct": "0.9"}, "preprocessor_config.json"),
        ({**VIT, "rescale_factor": "1/255"}, "preprocessor_config.json"),
        ({**VIT, "resample": [2]}, "preprocessor_config.json"),
    ],
)
def test_what_we_cannot_do_exactly_is_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(saved(tmp_path, values))
