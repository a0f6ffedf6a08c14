"""What preprocessing comes to: presets, single options over them, and what models and images add."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from prune_audit.core import Expects, Preprocess
from prune_audit.data import _preprocess, preprocess
from prune_audit.data._preprocess import PRESETS, combine, named, resolve
from prune_audit.errors import AlignmentError, DataError, UsageError
from tests.data.conftest import Draw

NOTHING = Preprocess()


@pytest.fixture
def files(tmp_path: Path, draw: Draw) -> list[Path]:
    """Three pictures in colour, 30 high and 40 wide."""
    return [draw(tmp_path / f"{i}.png", (30, 40), seed=i) for i in range(3)]


def test_presets() -> None:
    assert named("imagenet").describe() == (
        "imagenet: resize 256 (bilinear), crop 224x224, rgb, /255, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
    )
    assert named("cifar10").describe() == (
        "cifar10: size 32x32, rgb, /255, mean 0.4914 0.4822 0.4465, std 0.247 0.2435 0.2616"
    )
    assert named("mnist").describe() == "mnist: size 28x28, gray, /255, mean 0.1307, std 0.3081"
    assert named("none").describe() == "none: /255"
    assert Preprocess(resize=(4, 5), interpolation="box").describe() == "resize 4x5 (box), /255"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'imagenett'") as raised:
        named("imagenett")
    assert "imagenet, cifar10, mnist, none" in raised.value.hint


def test_a_file_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("size = 9\n")
    assert named(str(path)) == Preprocess(size=(9, 9), name="own.toml")


def test_every_explicit_option_overrides() -> None:
    explicit = Preprocess(
        size=(8, 8),
        resize=10,
        crop=(8, 8),
        mean=(0.5,),
        std=(0.1,),
        channels="gray",
        interpolation="lanczos",
    )
    got = combine(named("imagenet"), explicit)
    assert got == replace(explicit, name="imagenet with changes")
    assert {f.name for f in fields(explicit) if getattr(explicit, f.name) is None} == {"name"}  # none was left out


def test_geometry_is_overridden_as_a_whole() -> None:
    sized = combine(named("imagenet"), Preprocess(size=(64, 64)))
    assert (sized.size, sized.resize, sized.crop, sized.mean) == ((64, 64), None, None, named("imagenet").mean)
    cropped = combine(named("cifar10"), Preprocess(resize=40, crop=(36, 36)))
    assert (cropped.size, cropped.resize, cropped.crop) == (None, 40, (36, 36))
    wider = combine(named("imagenet"), Preprocess(resize=300))
    assert (wider.resize, wider.crop) == (300, (224, 224))


def test_nothing_explicit_changes_nothing() -> None:
    assert preprocess("imagenet", NOTHING) == named("imagenet")
    assert preprocess(None, Preprocess(size=(3, 4))) == Preprocess(size=(3, 4))
    assert preprocess("mnist", Preprocess(channels="rgb")).channels == "rgb"


def test_the_images_decide_where_nothing_else_does(files: list[Path]) -> None:
    got, notes = resolve(NOTHING, Expects(), files)
    assert got == Preprocess(size=(30, 40), channels="rgb", interpolation="bilinear")
    assert notes == ()


def test_gray_images_are_gray(tmp_path: Path, draw: Draw) -> None:
    got, _ = resolve(NOTHING, Expects(), [draw(tmp_path / "a.png", mode="L"), draw(tmp_path / "b.png", mode="LA")])
    assert got.channels == "gray"


def test_images_that_differ_name_two(files: list[Path], draw: Draw, tmp_path: Path) -> None:
    other = draw(tmp_path / "other.png", (40, 30))
    with pytest.raises(AlignmentError, match=r"0\.png is 30x40, .*other\.png is 40x30") as raised:
        resolve(NOTHING, Expects(), [*files, other])
    assert "--size" in raised.value.hint
    gray = draw(tmp_path / "gray.png", (30, 40), mode="L")
    with pytest.raises(AlignmentError, match=r"gray \(.*gray\.png\).*colour \(.*0\.png\)") as raised:
        resolve(NOTHING, Expects(), [*files, gray])
    assert "--channels" in raised.value.hint


def test_unreadable_images_have_no_say(files: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    assert resolve(NOTHING, Expects(), [broken, *files])[0].size == (30, 40)
    with pytest.raises(DataError, match="not one of 1 files"):
        resolve(NOTHING, Expects(), [broken])


def test_the_model_decides_over_the_images(files: list[Path]) -> None:
    got, (note,) = resolve(NOTHING, Expects(size=(16, 16), channels=1), files)
    assert (got.size, got.resize, got.crop, got.channels) == ((16, 16), (16, 16), None, "gray")
    assert "stretched to 16x16" in note
    assert "is 30x40" in note


@pytest.mark.parametrize("size", [(30, 40), (15, 20), (60, 80), (7, 10), (224, 298)])
def test_no_note_where_proportions_are_kept(files: list[Path], size: tuple[int, int]) -> None:
    assert resolve(Preprocess(size=size), Expects(), files)[1] == ()
    assert resolve(Preprocess(resize=size), Expects(), files)[1] == ()


def test_headers_are_not_read_where_the_images_do_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(_preprocess, "header", lambda path, turn: read.append(path))
    paths = [Path(f"{i}.png") for i in range(50_000)]
    got, _ = resolve(Preprocess(crop=(8, 8)), Expects(channels=3), paths)
    assert got.size == (8, 8)
    assert read == []
    resolve(Preprocess(size=(8, 8)), Expects(channels=3), paths)
    assert 0 < len(read) <= _preprocess.GLANCE


def test_a_resize_of_the_shorter_side_needs_a_crop_or_images_alike(
    files: list[Path], draw: Draw, tmp_path: Path
) -> None:
    got, _ = resolve(Preprocess(resize=15), Expects(size=(15, 20)), files)
    assert (got.size, got.resize) == ((15, 20), 15)
    with pytest.raises(AlignmentError, match=r"0\.png is 15x20, .*square\.png is 15x15") as raised:
        resolve(Preprocess(resize=15), Expects(), [*files, draw(tmp_path / "square.png")])
    assert "--crop" in raised.value.hint


@pytest.mark.parametrize(
    ("asked", "expects", "message"),
    [
        (Preprocess(size=(8, 8)), Expects(size=(9, 9)), "8x8 was asked for, the model takes 9x9"),
        (Preprocess(crop=(8, 8)), Expects(size=(9, 9)), "lead to 8x8, and 9x9 is what the model takes"),
        (Preprocess(resize=(8, 8)), Expects(size=(9, 9)), "lead to 8x8, and 9x9 is what the model takes"),
        (Preprocess(resize=8, crop=(4, 4), size=(5, 5)), Expects(), "lead to 4x4, and 5x5 was asked for"),
        (Preprocess(resize=15), Expects(size=(15, 15)), "lead to 15x20, and 15x15 is what the model takes"),
        (Preprocess(channels="rgb"), Expects(channels=1), "rgb was asked for, the model takes 1 channel"),
        (Preprocess(channels="gray"), Expects(channels=3), "gray was asked for, the model takes 3 channels"),
        (NOTHING, Expects(channels=4), "takes 4 channels, images give 1 or 3"),
        (Preprocess(mean=(0.1, 0.2)), Expects(), "mean has 2 values, the input 3 channels"),
        (Preprocess(std=(0.1, 0.2, 0.3)), Expects(channels=1), "std has 3 values, the input 1 channel"),
    ],
)
def test_contradictions_say_both_sides(asked: Preprocess, expects: Expects, message: str, files: list[Path]) -> None:
    with pytest.raises(AlignmentError, match=message):
        resolve(asked, expects, files)


def test_one_mean_serves_all_channels(files: list[Path]) -> None:
    got, _ = resolve(Preprocess(mean=(0.5,), std=(0.1, 0.2, 0.3)), Expects(), files)
    assert (got.mean, got.std) == ((0.5, 0.5, 0.5), (0.1, 0.2, 0.3))


@pytest.mark.parametrize("std", [(0.0,), (-1.0,), (float("nan"),)])
def test_a_std_that_cannot_divide(std: tuple[float, ...], files: list[Path]) -> None:
    with pytest.raises(UsageError, match="std must be positive"):
        resolve(Preprocess(std=std), Expects(), files)


def test_what_is_resolved_stays_as_it_is(files: list[Path]) -> None:
    for asked in (Preprocess(size=(8, 8)), Preprocess(resize=20, crop=(16, 16)), named("imagenet")):
        once, _ = resolve(asked, Expects(), files)
        assert resolve(once, Expects(), files)[0] == once


def test_the_models_own_file_counts_where_no_other_was_asked_for(tmp_path: Path, draw: Draw) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(
        '{"image_processor_type": "ViTImageProcessor", '
        '"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2], "do_resize": true, "resample": 3, '
        '"size": {"height": 16, "width": 16}, "crop_size": null, "do_center_crop": null, "do_pad": null}'
    )
    expects, files = Expects(channels=3, preprocess=path), [draw(tmp_path / "a.png", (8, 30))]
    own = Preprocess(
        size=(16, 16),
        resize=(16, 16),
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.2, 0.2),
        channels="rgb",
        interpolation="bicubic",
        name=path.name,
    )
    assert resolve(NOTHING, expects, files) == (own, ())  # stretched as the model was trained
    got, (note,) = resolve(Preprocess(size=(8, 8), mean=(0.1,)), expects, files)
    assert (got.size, got.resize, got.mean, got.std) == ((8, 8), (8, 8), (0.1, 0.1, 0.1), own.std)
    assert got.name == "preprocessor_config.json with changes"
    assert "stretched" in note
    # A preset or file that was asked for replaces it, even where it cannot be read.
    path.write_text('{"image_processor_type": "ViTImageProcessor", "do_flip_channel_order": true}')
    assert resolve(PRESETS["cifar10"], expects, files)[0].mean == PRESETS["cifar10"].mean
    with pytest.raises(DataError, match="do_flip_channel_order") as caught:
        resolve(NOTHING, expects, files)
    assert "--preprocess none" in caught.value.hint
