"""A file that somebody writes to while it is read is seen, whatever is kept of the run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prune_audit import data
from prune_audit.core import Array, DataSource, Expects, Settings
from prune_audit.errors import DataError
from prune_audit.evaluate import watch
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.loop import evaluate
from tests.evaluate._models import ArrayData, FunctionModel

PER_CLASS = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(12)
    for label in ("dark", "light"):
        (tmp_path / "val" / label).mkdir(parents=True)
        for at in range(PER_CLASS):
            pixels = rng.integers(0, 60, (6, 6, 3)) + 180 * (label == "light")
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "val" / label / f"{at:02}.png")
    return tmp_path / "val"


def rewrite(path: Path) -> None:
    Image.new("RGB", (6, 6), (1, 2, 3)).save(path)


CHANGES: list[Callable[[Path], object]] = [rewrite, Path.unlink, lambda path: path.replace(path.with_suffix(".txt"))]


@pytest.mark.parametrize("change", CHANGES)
def test_data_that_change_during_a_run_are_refused_with_and_without_a_store(
    folder: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    samples = data.load(DataSource(path=folder), Expects(), Settings())
    for store in (None, Store(tmp_path / "kept")):
        victim = folder / "light" / ("29.png" if store is None else "28.png")
        done: list[int] = []

        def scores(x: Array, victim: Path = victim, done: list[int] = done) -> Array:
            if not done:
                change(victim)
            done.append(len(x))
            light = x.mean(axis=tuple(range(1, x.ndim)))
            return np.stack([0.5 - light, light - 0.5], axis=1)

        model = FunctionModel("m", scores)
        rows = np.arange(len(samples.labels) - (5 if store is None else 6))  # neither of the two is read
        with pytest.raises(DataError, match="was changed while the audit was under way") as caught:
            evaluate([model], samples, rows, Settings(workers=1), store=store)
        assert (str(victim) in caught.value.message) == (store is None)
        assert not list(tmp_path.rglob("part-*"))
        samples = data.load(DataSource(path=folder), Expects(), Settings()) if store is None else samples


def test_what_stays_is_no_change_whatever_its_time(folder: Path) -> None:
    for path, seconds in zip(sorted(folder.rglob("*.png")), (0, 2**33, 10**9), strict=False):
        os.utime(path, (seconds, seconds))  # long ago, and in a future that no clock here has
    samples = data.load(DataSource(path=folder), Expects(), Settings())
    before = watch.of_data(samples)
    assert len(before) == 2 * PER_CLASS
    assert watch.changed(before) is None
    assert samples.fingerprint(False) == samples.fingerprint(False)


def test_data_in_memory_are_not_watched() -> None:
    assert watch.of_data(ArrayData({"x": np.zeros((2, 1))}, [0, 1])) == {}


def test_of_a_folder_every_file_counts(tmp_path: Path) -> None:
    (tmp_path / "m" / "deep").mkdir(parents=True)
    inner = tmp_path / "m" / "deep" / "config.json"
    inner.write_text("{}")
    before = watch.states([tmp_path / "m", tmp_path / "absent"])
    assert watch.changed(before) is None
    inner.write_text("[1]")
    assert watch.changed(before) == inner
    before = watch.states([tmp_path / "absent"])
    (tmp_path / "absent").touch()
    assert watch.changed(before) == tmp_path / "absent"
