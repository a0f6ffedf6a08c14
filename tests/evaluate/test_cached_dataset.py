"""Samples that are decoded once: which are, what is the same as without, and what is read anew."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from prune_audit import data
from prune_audit.core import Array, Batch, Counts, DataSource, Expects, Settings
from prune_audit.evaluate import cached_dataset
from prune_audit.evaluate.cached_dataset import Remembered
from tests.conftest import ROOT
from tests.evaluate._models import ArrayData

LABELS = [0, 1, 0, 1, 1, 0]


def arrays(bad: Sequence[int] = ()) -> ArrayData:
    return ArrayData({"x": np.arange(12, dtype=np.float32).reshape(6, 2)}, LABELS, bad=bad)


def test_each_sample_is_read_once() -> None:
    dataset = arrays()
    kept = Remembered(dataset)
    for rows in ([3, 1, 3], [1], [0, 3, 5], [5, 1]):
        batch, own = kept.read(rows), arrays().read(rows)
        assert batch.rows.tolist() == rows
        np.testing.assert_array_equal(batch.inputs["x"], own.inputs["x"])
        np.testing.assert_array_equal(batch.labels, own.labels)
        np.testing.assert_array_equal(batch.digests, own.digests)
    assert dataset.reads.tolist() == [1, 1, 0, 1, 0, 1]


def test_what_it_gives_can_be_changed_without_harm() -> None:
    kept = Remembered(arrays())
    first = kept.read([0, 1]).inputs["x"]
    first[:] = -1
    assert kept.read([0, 1]).inputs["x"].min() == 0


def test_some_rows_alone_are_a_data_set() -> None:
    dataset = arrays()
    kept = Remembered(dataset, np.array([1, 4, 5]))
    assert kept.labels.tolist() == [1, 1, 0]
    assert kept.ids == tuple(dataset.ids[i] for i in (1, 4, 5))
    np.testing.assert_array_equal(kept.read([2, 0]).inputs["x"], [[10, 11], [2, 3]])
    assert kept.read([2, 0]).rows.tolist() == [2, 0]
    whole, other = Remembered(dataset), Remembered(dataset, np.array([1, 4]))
    prints = {each.fingerprint(False) for each in (kept, whole, other)}
    assert len(prints) == 3
    assert whole.fingerprint(False) == dataset.fingerprint(False)


@pytest.mark.parametrize("most", [cached_dataset.KEPT, 0])
def test_which_images_are_turned_is_known(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Kept or read anew, and by their numbers among the rows that it has."""

    class Photographs(ArrayData):
        def read(self, rows: Counts | Sequence[int]) -> Batch:
            batch = super().read(rows)
            return replace(batch, turned=np.intersect1d(batch.rows, [1, 4]))

    monkeypatch.setattr(cached_dataset, "KEPT", most)
    kept = Remembered(Photographs({"x": np.arange(12).reshape(6, 2)}, LABELS), np.array([5, 4, 0, 1]))
    for _ in range(2):
        assert kept.read([0, 1, 2, 3]).turned.tolist() == [1, 3]
        assert kept.read([2, 3]).turned.tolist() == [3]
        assert kept.read([0, 2]).turned.tolist() == []


def test_too_large_a_set_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached_dataset, "KEPT", 6 * 8 - 1)
    dataset = arrays()
    kept = Remembered(dataset)
    kept.read([0, 1])
    for _ in range(2):
        np.testing.assert_array_equal(kept.read([1, 0]).inputs["x"], [[2, 3], [0, 1]])
    assert dataset.reads[0] >= 3


def test_batches_of_other_shapes_are_read_anew() -> None:
    class Ragged(ArrayData):
        def read(self, rows: object) -> object:  # type: ignore[override]
            batch = super().read(rows)  # type: ignore[arg-type]
            return type(batch)(
                rows=batch.rows,
                inputs={"x": batch.inputs["x"][:, : 1 + (3 in batch.rows)]},
                labels=batch.labels,
                digests=batch.digests,
            )

    kept = Remembered(Ragged({"x": np.arange(12).reshape(6, 2)}, LABELS))  # type: ignore[arg-type]
    assert kept.read([0, 1]).inputs["x"].shape == (2, 1)
    assert kept.read([2, 3]).inputs["x"].shape == (2, 2)
    assert kept.read([0, 1]).inputs["x"].shape == (2, 1)


def test_a_sample_that_cannot_be_read_is_told_each_time() -> None:
    kept = Remembered(arrays(bad=[4]), np.array([3, 4, 5]))
    for _ in range(2):
        batch = kept.read([0, 1, 2])
        assert [reason for _, reason in batch.bad] == ["broken"]
        assert batch.rows.tolist() == [0, 2]
        assert len(batch.inputs["x"]) == 2
    assert kept.read([0, 2]).rows.tolist() == [0, 2]


def test_threads_see_whole_samples() -> None:
    source = DataSource(path=ROOT / "sample_models" / "val")
    dataset = data.load(source, Expects(), Settings())
    kept = Remembered(dataset)
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, len(dataset.labels), 50) for _ in range(24)]

    def read(rows: Array) -> Array:
        return kept.read(rows).inputs["image"]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, batches))
    for rows, images in zip(batches, found, strict=True):
        np.testing.assert_array_equal(images, dataset.read(rows).inputs["image"])
