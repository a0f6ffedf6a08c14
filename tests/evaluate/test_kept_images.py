"""Decoded images on disk: what is read back is what is decoded, and nothing else is believed."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from prune_audit import data
from prune_audit.core import Batch, Counts, Dataset, DataSource, Expects, Preprocess, Settings
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.kept_images import KeptImages
from prune_audit.evaluate.loop import evaluate
from tests.evaluate._models import FunctionModel

MANY = 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight images of two classes: one that EXIF turns, and one that is none."""
    rng = np.random.default_rng(0)
    for at in range(8):
        path = tmp_path / "val" / str(at % 2) / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8).astype(np.uint8))
        exif = Image.Exif()
        if at == 5:
            exif[0x0112] = 6
        picture.save(path, exif=exif)
    (tmp_path / "val" / "0" / "6.png").write_bytes(b"no image")
    return tmp_path / "val"


@pytest.fixture
def said() -> list[str]:
    return []


Opened = Callable[..., KeptImages]


@pytest.fixture
def opened(folder: Path, tmp_path: Path, said: list[str], reads: list[int]) -> Opened:
    def make(name: str = "a", key: str = "k", most: int = MANY) -> KeptImages:
        return KeptImages(tmp_path / "kept" / f"{name}.images", key, of(folder, reads), most, said.append)

    return make


@pytest.fixture
def reads() -> list[int]:
    """The rows that were decoded."""
    return []


class Counting:
    """A data set that says which rows were decoded."""

    def __init__(self, dataset: Dataset, reads: list[int]) -> None:
        self._dataset, self._reads = dataset, reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def read(self, rows: Counts) -> Batch:
        self._reads.extend(np.asarray(rows).tolist())
        return self._dataset.read(rows)


def of(folder: Path, reads: list[int] | None = None) -> Dataset:
    dataset = data.load(DataSource(path=folder, preprocess=Preprocess(size=(6, 6))), Expects(), Settings())
    return dataset if reads is None else cast(Dataset, Counting(dataset, reads))


def same(one: Batch, other: Batch) -> None:
    assert one.bad == other.bad
    assert one.inputs.keys() == other.inputs.keys() == {"image"}
    pairs = [(one.inputs["image"], other.inputs["image"])]
    pairs += [(getattr(one, name), getattr(other, name)) for name in ("rows", "labels", "digests", "turned")]
    for mine, wanted in pairs:
        assert mine.dtype == wanted.dtype
        np.testing.assert_array_equal(mine, wanted)


def test_what_is_kept_is_what_is_decoded_and_only_what_cannot_be_read_is_tried_again(
    folder: Path, opened: Opened, reads: list[int]
) -> None:
    plain = of(folder)
    [none] = [at for at, sample in enumerate(plain.ids) if sample.endswith("6.png")]
    for rows in ([2, 0, 7], [0, 1, 2, 3], list(range(8)), list(range(8)), [7]):
        same(opened().read(np.array(rows)), plain.read(np.array(rows)))
    assert sorted(set(reads)) == list(range(8))
    assert {row for row in reads if reads.count(row) > 1} == {none}


def test_it_may_be_read_by_many_threads(folder: Path, opened: Opened) -> None:
    rows = [row for row in range(8) if not of(folder).read(np.array([row])).bad]
    images, wanted = opened(), of(folder).read(np.array(rows)).inputs["image"]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for at, batch in enumerate(pool.map(lambda row: images.read(np.array([row])), rows)):
                np.testing.assert_array_equal(batch.inputs["image"][0], wanted[at])


@pytest.mark.parametrize("what", ["a bit of each", "cut", "another key", "swapped", "head"])
def test_what_does_not_prove_what_it_is_is_decoded_again(
    folder: Path, tmp_path: Path, opened: Opened, reads: list[int], what: str
) -> None:
    wanted = opened().read(np.arange(6))
    path = tmp_path / "kept" / "a.images"
    held = bytearray(path.read_bytes())
    head, length = 48, (path.stat().st_size - 48) // 6
    match what:
        case "a bit of each":
            for at in range(6):
                held[head + at * length + 7 * at] ^= 1
        case "cut":
            del held[head + 20 :]
        case "swapped":
            records = [held[head + at * length : head + (at + 1) * length] for at in range(6)]
            held = held[:head] + b"".join(records[::-1])
        case "head":
            held[30] ^= 1
    path.write_bytes(held)
    reads.clear()
    same(opened(key="other" if what == "another key" else "k").read(np.arange(6)), wanted)
    assert reads == list(range(6))


def test_what_does_not_fit_is_not_kept_and_that_is_said_once(opened: Opened, tmp_path: Path, said: list[str]) -> None:
    need = 48 + 8 * (40 + 108)
    images = opened(most=need - 1)
    for _ in range(2):
        images.read(np.arange(4))
    assert not (tmp_path / "kept").exists()
    assert said == [f"decoded images are not kept: they take {need:,} bytes, and --keep-inputs is {need - 1:,}"]
    opened(most=need).read(np.arange(4))
    assert (tmp_path / "kept" / "a.images").exists()


def test_those_used_least_recently_make_room(opened: Opened, tmp_path: Path) -> None:
    kept, one = tmp_path / "kept", 48 + 8 * (40 + 108)
    for name in ("a", "b", "c"):
        opened(name).read(np.array([7]))  # to the end of the file
        os.utime(kept / f"{name}.images", (1, "abc".index(name) + 2))
    opened("a")  # used again
    (kept / "mine.txt").write_text("not theirs")
    opened("d", most=2 * one).read(np.arange(4))
    assert sorted(each.name for each in kept.iterdir()) == ["a.images", "d.images", "mine.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_nothing_is_written_to_where_a_link_leads_nor_read_from_a_pipe(
    folder: Path, tmp_path: Path, opened: Opened, said: list[str], kind: str
) -> None:
    other, path = tmp_path / "other", tmp_path / "kept" / "a.images"
    other.write_bytes(b"mine")
    path.parent.mkdir()
    match kind:
        case "link":
            path.symlink_to(other)
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    for _ in range(2):
        images = opened()
        same(images.read(np.arange(6)), of(folder).read(np.arange(6)))
    assert other.read_bytes() == b"mine"
    assert "no more decoded images are kept in " in said[0]
    images.forget()
    assert other.read_bytes() == b"mine"


def test_a_full_disk_ends_the_keeping_and_not_the_run(folder: Path, opened: Opened, said: list[str]) -> None:
    images = opened()
    images.read(np.arange(2))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        batch = images.read(np.arange(2, 6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    same(batch, of(folder).read(np.arange(2, 6)))
    assert len(said) == 1
    assert "File too large" in said[0]
    same(opened().read(np.arange(8)), of(folder).read(np.arange(8)))


@pytest.mark.usefixtures("unchecked")
def test_a_pass_decodes_nothing_that_is_kept_and_forgets_what_changed_meanwhile(
    folder: Path, tmp_path: Path, reads: list[int]
) -> None:
    (folder / "0" / "6.png").unlink()

    def run(name: str, function: Callable[..., object] = lambda x: x.mean((2, 3))[:, :2]) -> None:
        store = Store(tmp_path / "store", images=MANY)
        model = FunctionModel(name, function)  # type: ignore[arg-type]
        evaluate([model], of(folder, reads), np.arange(7), Settings(plausibility=False), store=store)

    run("dense")
    assert set(reads) == set(range(7))
    reads.clear()
    run("pruned")
    assert reads == [0]  # the first one, by which it is known how many go together
    kept = list((tmp_path / "store" / "images").iterdir())
    assert len(kept) == 1

    def spoil(x: object) -> object:
        (folder / "1" / "7.png").write_bytes((folder / "1" / "1.png").read_bytes())
        return x.mean((2, 3))[:, :2]  # type: ignore[attr-defined]

    with pytest.raises(Exception, match="changed while the audit"):
        run("other", spoil)
    assert list((tmp_path / "store" / "images").iterdir()) == []
