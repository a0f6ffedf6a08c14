"""What a model is fed is what it declares, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from prune_audit.core import Array, Expects, Input, Preprocess
from prune_audit.errors import AlignmentError
from prune_audit.evaluate.inputs import Feeder

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
STANDARD = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def expects(dtype: str | None = "float32", layout: str = "NCHW") -> Expects:
    return Expects(inputs=(Input(name="image", dtype=dtype),), layout="NHWC" if layout == "NHWC" else "NCHW")


def test_normalises_as_torch_does_to_the_bit() -> None:
    torch = pytest.importorskip("torch")
    image = torch.from_numpy(PIXELS).to(torch.float32).div(255)
    mean = torch.tensor(STANDARD.mean)[:, None, None]
    std = torch.tensor(STANDARD.std)[:, None, None]
    wanted = image.sub(mean).div(std).numpy()
    np.testing.assert_array_equal(Feeder({"image": PIXELS}, STANDARD).feed("m", expects())["image"], wanted)


def test_bytes_stay_bytes_for_a_uint8_input() -> None:
    fed = Feeder({"image": PIXELS}, STANDARD).feed("m", expects("uint8"))["image"]
    np.testing.assert_array_equal(fed, PIXELS)
    assert fed.dtype == np.uint8


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_are_cast_from_float32(dtype: str) -> None:
    feeder = Feeder({"image": PIXELS}, STANDARD)
    single = feeder.feed("a", expects())["image"]
    np.testing.assert_array_equal(feeder.feed("b", expects(dtype))["image"], single.astype(dtype))


def test_channels_last() -> None:
    feeder = Feeder({"image": PIXELS}, Preprocess())
    first, last = feeder.feed("a", expects())["image"], feeder.feed("b", expects(layout="NHWC"))["image"]
    np.testing.assert_array_equal(last, np.moveaxis(first, 1, -1))


@pytest.mark.parametrize(("shape", "wanted"), [((None, 20), (2, 20)), ((None, 4, 5), (2, 4, 5))])
def test_images_without_an_axis_of_channels(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> None:
    flat = Expects(inputs=(Input(name="x", dtype="float32", shape=shape),))
    gray = PIXELS[:, :1]
    feeder = Feeder({"image": gray}, Preprocess())
    whole = feeder.feed("a", expects())["image"]
    fed = feeder.feed("b", flat)["x"]
    assert fed.shape == wanted
    np.testing.assert_array_equal(fed.ravel(), whole.ravel())
    with pytest.raises(AlignmentError, match="the images have 3 channels"):
        Feeder({"image": PIXELS}, Preprocess()).feed("b", flat)


def test_two_models_alike_share_one_array() -> None:
    feeder = Feeder({"image": PIXELS}, STANDARD)
    assert feeder.feed("a", expects())["image"] is feeder.feed("b", expects())["image"]


def test_images_alone_do_not_feed_two_inputs() -> None:
    two = Expects(inputs=(Input(name="image"), Input(name="mask")))
    with pytest.raises(AlignmentError, match="image, mask"):
        Feeder({"image": PIXELS}, Preprocess()).feed("m", two)


def test_arrays_go_by_name_and_are_cast() -> None:
    wanted = Expects(inputs=(Input(name="ids", dtype="int64"), Input(name="mask", dtype="float32")))
    arrays: dict[str, Array] = {"mask": np.ones((2, 3)), "ids": np.ones((2, 3), np.int32), "unused": np.zeros(2)}
    fed = Feeder(arrays, None).feed("m", wanted)
    assert {name: values.dtype for name, values in fed.items()} == {"ids": np.int64, "mask": np.float32}


def test_a_single_array_feeds_a_single_input_of_any_name() -> None:
    fed = Feeder({"x": np.ones((2, 3))}, None).feed("m", Expects(inputs=(Input(name="features", dtype="float32"),)))
    assert list(fed) == ["features"]


def test_a_missing_array_is_named() -> None:
    wanted = Expects(inputs=(Input(name="ids"), Input(name="mask")))
    with pytest.raises(AlignmentError, match="'mask'"):
        Feeder({"ids": np.ones((2, 3))}, None).feed("m", wanted)


def test_a_fraction_is_not_cut_to_an_integer() -> None:
    with pytest.raises(AlignmentError, match="takes int64, the data hold float64 values that it cannot hold"):
        Feeder({"x": np.full((2, 3), 0.5)}, None).feed("m", Expects(inputs=(Input(name="x", dtype="int64"),)))


@pytest.mark.parametrize(
    ("value", "dtype"), [(1e39, "float32"), (1e5, "float16"), (np.nan, "int64"), (300.0, "uint8"), (-1.0, "uint8")]
)
def test_no_value_is_lost_in_a_cast(value: float, dtype: str) -> None:
    with pytest.raises(AlignmentError, match=f"takes {dtype}"):
        Feeder({"x": np.full((2, 3), value)}, None).feed("m", Expects(inputs=(Input(name="x", dtype=dtype),)))


def test_infinities_and_tiny_numbers_may_be_cast() -> None:
    values = np.array([[np.inf, -np.inf, np.nan, 1e-300, 1 / 3]])
    fed = Feeder({"x": values}, None).feed("m", Expects(inputs=(Input(name="x", dtype="float32"),)))["x"]
    np.testing.assert_array_equal(fed, np.array([[np.inf, -np.inf, np.nan, 0, np.float32(1 / 3)]], np.float32))
