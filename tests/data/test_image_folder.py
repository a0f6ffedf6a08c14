"""A folder of images: what is found, in which order, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prune_audit import data
from prune_audit.core import Dataset, DataSource, Expects, Input, Preprocess, Settings
from prune_audit.errors import AlignmentError, DataError, UsageError
from tests.data.conftest import Draw


def load(path: Path, expects: Expects | None = None, classes: Path | None = None) -> Dataset:
    return data.load(DataSource(path=path, classes=classes), expects or Expects(), Settings())


@pytest.fixture
def val(tmp_path: Path, draw: Draw) -> Path:
    """Two classes; suffixes in every case, a deeper folder, and what must be passed over."""
    root = tmp_path / "val"
    for seed, name in enumerate(["dog/b.PNG", "dog/a.png", "cat/deep/er/x.bmp", "cat/z.Tiff", "cat/y.webp"]):
        draw(root / name, seed=seed)
    for name in [".git/x.png", "cat/.hidden.png", "cat/.thumbs/x.png"]:
        draw(root / name)
    (root / "cat/notes.txt").write_text("no image")
    (root / "README.md").write_text("no image")
    return root


def test_what_is_found(val: Path) -> None:
    found = load(val)
    assert found.ids == ("cat/deep/er/x.bmp", "cat/y.webp", "cat/z.Tiff", "dog/a.png", "dog/b.PNG")
    assert found.classes == ("cat", "dog")
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    assert (found.name, found.path, found.indexed, found.groups) == ("val", str(val), False, {})
    assert found.notes == ("files left out of the folder: 3 hidden or of the system, 1 .md, 1 .txt",)
    assert found.preprocess == Preprocess(size=(8, 8), channels="rgb", interpolation="bilinear")


def test_a_column_of_ids_is_one_of_recorded_predictions(val: Path) -> None:
    source = DataSource(path=val, id_column="photo")
    assert data.load(source, Expects(runs=False, id_column="photo"), Settings()).ids == load(val).ids
    with pytest.raises(UsageError, match="--id-column does not apply"):
        data.load(source, Expects(id_column="id"), Settings())


def test_pixels_rows_labels_and_digests(val: Path) -> None:
    found = load(val)
    batch = found.read([4, 0, 3])
    assert batch.rows.tolist() == [4, 0, 3]
    assert batch.labels.tolist() == [1, 0, 1]
    assert batch.bad == ()
    assert batch.inputs["image"].shape == (3, 3, 8, 8)
    assert batch.inputs["image"].dtype == np.uint8
    assert batch.inputs["image"].flags.c_contiguous
    for at, row in enumerate((4, 0, 3)):
        raw = (val / found.ids[row]).read_bytes()
        assert batch.digests[at] == int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")
        with Image.open(val / found.ids[row]) as image:
            np.testing.assert_array_equal(batch.inputs["image"][at], np.asarray(image).transpose(2, 0, 1))


def test_preprocessing_is_applied(val: Path) -> None:
    source = DataSource(path=val, preprocess=Preprocess(resize=16, crop=(12, 10), channels="gray"))
    batch = data.load(source, Expects(), Settings()).read(np.array([3]))
    with Image.open(val / "dog/a.png") as image:
        expected = image.convert("L").resize((16, 16), Image.Resampling.BILINEAR).crop((3, 2, 13, 14))
    np.testing.assert_array_equal(batch.inputs["image"], np.asarray(expected)[None, None])


def test_unreadable_files_are_named_and_the_rest_is_read(val: Path) -> None:
    found = load(val)
    (val / "cat/z.Tiff").write_bytes(b"II*\0 broken")
    (val / "dog/a.png").unlink()
    batch = found.read(range(5))
    assert [name for name, _ in batch.bad] == ["cat/z.Tiff", "dog/a.png"]
    assert all(reason for _, reason in batch.bad)
    assert batch.rows.tolist() == [0, 1, 4]
    assert batch.labels.tolist() == [0, 0, 1]
    assert len(batch.digests) == len(batch.inputs["image"]) == 3
    np.testing.assert_array_equal(batch.inputs["image"][2], found.read([4]).inputs["image"][0])
    nothing = found.read([3])
    assert nothing.inputs["image"].shape == (0, 3, 8, 8)
    assert nothing.rows.shape == (0,)


def test_reading_from_threads_is_reading(val: Path) -> None:
    found = load(val)
    one = found.read(range(5)).inputs["image"]
    barrier = threading.Barrier(4)

    def read(_: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        barrier.wait()
        return found.read(range(5)).inputs["image"]

    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(read, range(4)):
            np.testing.assert_array_equal(other, one)


def test_pillows_warnings_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "val/a").mkdir(parents=True)
    image = Image.fromarray(np.zeros((8, 8), np.uint8)).convert("P")
    image.save(tmp_path / "val/a/x.png", transparency=bytes(range(256)))
    with pytest.warns(UserWarning, match="Transparency"), Image.open(tmp_path / "val/a/x.png") as opened:
        opened.convert("RGB")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load(tmp_path / "val").read([0]).bad == ()
    assert caught == []


def test_numeric_folders_sort_as_numbers(tmp_path: Path, draw: Draw) -> None:
    for number in range(11):
        draw(tmp_path / f"val/{number}/x.png")
    found = load(tmp_path / "val")
    assert found.classes == tuple(map(str, range(11)))
    assert [found.classes[label] for label in found.labels] == [name.split("/")[0] for name in found.ids]
    assert found.notes == ()
    [told] = found.assumptions
    assert "sorted as numbers" in told.value
    assert "they would be 0, 1, 10, 2" in told.why


def test_more_classes_than_folders(val: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("fish\ndog\ncat\n")
    found = load(val, Expects(classes=("cat", "dog")), classes=tmp_path / "classes.txt")
    assert found.classes == ("fish", "dog", "cat")
    assert found.labels.tolist() == [2, 2, 2, 1, 1]
    assert load(val, Expects(classes=("bird", "cat", "dog"))).labels.tolist() == [1, 1, 1, 2, 2]


def test_a_folder_that_is_no_class(val: Path) -> None:
    with pytest.raises(DataError, match=r"val/dog: 'dog' is none of the 2 classes \(cat, dogs\)") as raised:
        load(val, Expects(classes=("cat", "dogs")))
    assert "did you mean 'dogs'?" in raised.value.hint


def test_an_empty_class_folder(val: Path) -> None:
    (val / "fish/deeper").mkdir(parents=True)
    (val / "fish/list.txt").write_text("")
    with pytest.raises(DataError, match="val/fish: this class folder holds no images"):
        load(val)


def test_no_class_folders(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "flat/x.png")
    with pytest.raises(DataError, match=r"flat: images \(1\) but no class folders") as raised:
        load(tmp_path / "flat")
    assert "<class>" in raised.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither class folders nor images"):
        load(tmp_path / "empty")


def test_images_beside_the_folders_are_noted(val: Path, draw: Draw) -> None:
    draw(val / "stray.png")
    found = load(val)
    assert len(found.ids) == 5
    assert found.notes[0] == "images beside the class folders (1) were not used"


def test_what_is_left_out_is_counted(val: Path, draw: Draw) -> None:
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._a.png", "a.RAW", "b.raw", "noext", "x.svg"):
        (val / "dog" / name).write_bytes(b"\0")
    draw(val / "__MACOSX/dog/a.png")
    for suffix in ("ppm", "PGM", "gif", "avif", "jfif"):
        draw(val / f"cat/new.{suffix}")
    found = load(val)
    assert len(found.ids) == 10
    assert found.classes == ("cat", "dog")
    assert found.notes == (
        "files left out of the folder: 8 hidden or of the system, 2 .raw, 1 .md, 1 .svg, 1 .txt, 1 without suffix",
        "files of kinds that earlier versions left out of a folder: 1 .avif, 1 .gif, 1 .jfif, 1 .pgm, 1 .ppm",
    )
    assert found.read(range(10)).bad == ()


def test_names_that_are_no_text_are_escaped(val: Path, draw: Draw) -> None:
    latin = val / os.fsdecode(b"\xe9t\xe9")
    draw(val / "x.png").replace(draw(latin / os.fsdecode(b"\xff.png")))
    found = load(val)
    # Python's own order of such names: behind all others but the few beyond U+DCFF.
    assert found.classes == ("cat", "dog", "\\xe9t\\xe9")
    assert found.ids[-1] == "\\xe9t\\xe9/\\xff.png"
    assert found.labels[-1] == 2
    assert found.read([len(found.ids) - 1]).bad == ()
    draw(val / "\\xe9t\\xe9/y.png")
    with pytest.raises(DataError, match="two folders have names that are not UTF-8 and look alike"):
        load(val)


def taking(*shape: int | None) -> Expects:
    return Expects(inputs=(Input(name="x", dtype="float32", shape=(None, *shape)),))


@pytest.mark.parametrize(
    ("shape", "size", "value"),
    [
        ((64,), (8, 8), "gray, 8x8 pixels as 64 numbers, row by row"),
        ((36,), (6, 6), "gray, 6x6 pixels as 36 numbers, row by row"),
        ((4, 5), (4, 5), "gray, as planes of 4x5, without an axis of channels"),
        ((None, None), (8, 8), "gray, as planes of 8x8, without an axis of channels"),
    ],
)
def test_models_that_take_rows_or_planes(
    val: Path, shape: tuple[int | None, ...], size: tuple[int, int], value: str
) -> None:
    found = load(val, taking(*shape))
    assert found.preprocess is not None
    assert (found.preprocess.size, found.preprocess.channels) == (size, "gray")
    assert value in [told.value for told in found.assumptions if told.what == "shape of images"]


def test_rows_of_colours_are_not_guessed(val: Path) -> None:
    with pytest.raises(AlignmentError, match=r"rows of 192 numbers, as 64 pixels of 3 channels may be") as raised:
        load(val, taking(192))
    assert ".npz" in raised.value.hint
    with pytest.raises(AlignmentError, match="rows of 65 numbers, and the images"):
        load(val, taking(65))
    asked = DataSource(path=val, preprocess=Preprocess(size=(4, 16)))
    found = data.load(asked, taking(64), Settings())
    assert found.preprocess is not None
    assert found.preprocess.size == (4, 16)


def turned(path: Path, way: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = way
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_orientations_are_ignored_here_unless_asked_for(val: Path) -> None:
    for name in ("cat/y.webp", "cat/z.Tiff"):
        (val / name).unlink()
    assert [each.what for each in load(val).assumptions] == ["class order"]
    turned(val / "dog/c.png", 6)
    plain = load(val)
    [_, told] = plain.assumptions
    assert (told.what, told.value, told.why) == ("EXIF orientation", "ignored", "as torchvision's ImageFolder does")
    asked = data.load(DataSource(path=val, exif="apply"), Expects(), Settings())
    assert asked.assumptions[1].value == "applied"
    assert asked.fingerprint(False) != plain.fingerprint(False)
    rows = range(len(plain.ids))
    seen = [each.read(rows) for each in (plain, asked)]
    assert [batch.turned.tolist() for batch in seen] == [[3], [3]]
    images = [batch.inputs["image"] for batch in seen]
    np.testing.assert_array_equal(images[0][:3], images[1][:3])
    np.testing.assert_array_equal(np.rot90(images[0][3], -1, axes=(1, 2)), images[1][3])


def test_links_are_followed_but_not_in_circles(val: Path, tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "elsewhere/x.png")
    (val / "fish").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert load(val).ids[-1] == "fish/x.png"
    (val / "cat/deep/circle").symlink_to(val / "cat", target_is_directory=True)
    with pytest.raises(DataError, match="circle: this link leads back"):
        load(val)


def test_a_link_to_nothing_is_an_unreadable_image(val: Path) -> None:
    (val / "dog/c.png").symlink_to(val / "gone.png")
    found = load(val)
    assert found.read([len(found.ids) - 1]).bad == (("dog/c.png", "No such file or directory"),)


def test_a_folder_has_no_columns(val: Path) -> None:
    with pytest.raises(UsageError, match="a folder of images, to which --label-column does not apply"):
        data.load(DataSource(path=val, label_column="label"), Expects(), Settings())


def test_the_order_does_not_depend_on_the_file_system(val: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    class Backwards:
        def __init__(self, path: Path) -> None:
            with scan(path) as entries:
                self._entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self._entries

        def __exit__(self, *raised: object) -> None: ...

    before = load(val)
    monkeypatch.setattr(os, "scandir", Backwards)
    assert load(val).ids == before.ids


def test_cifar(shared: Path) -> None:
    found = load(shared / "cifar10-train-jpeg/val")
    assert found.preprocess == Preprocess(size=(32, 32), channels="rgb", interpolation="bilinear")
    assert np.bincount(found.labels).tolist() == [200] * 10
    batch = found.read(range(0, 2000, 40))
    assert batch.bad == ()
    assert batch.inputs["image"].shape == (50, 3, 32, 32)


def test_imagenet_samples(shared: Path) -> None:
    path = shared / "imagenet-samples/val"
    with pytest.raises(AlignmentError, match="differ in size") as raised:
        load(path, Expects(channels=3))
    assert "where all models are recorded" in raised.value.hint
    source = DataSource(path=path, preprocess=data.preprocess("imagenet", Preprocess()))
    found = data.load(source, Expects(channels=3, size=(224, 224)), Settings())
    assert len(found.classes) == 300
    assert found.notes == ()
    batch = found.read(range(0, 300, 30))
    assert batch.bad == ()
    assert batch.inputs["image"].shape == (10, 3, 224, 224)
    stretched = data.load(replace(source, preprocess=Preprocess(size=(64, 64))), Expects(channels=3), Settings())
    assert "stretched to 64x64" in stretched.notes[0]


@pytest.mark.parametrize("folder", ["", "dog", "cat/deep"])
def test_a_folder_that_may_not_be_listed_is_named(val: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    scan, closed = os.scandir, val / folder

    def refusing(path: Path) -> object:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=f"{closed} cannot be read: Permission denied"):
        load(val)


def test_a_link_to_a_device_is_no_image_and_is_not_read(val: Path) -> None:
    # /dev/zero and pipes never end; this one does, so that the test would.
    (val / "dog/c.png").symlink_to("/dev/null")
    found = load(val)
    bad = (("dog/c.png", "neither a file nor a link to one"),)
    assert (found.ids[-1], found.read([0, 5]).bad) == ("dog/c.png", bad)
    assert found.fingerprint(True) == load(val).fingerprint(True)
