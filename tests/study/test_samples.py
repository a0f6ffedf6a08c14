"""Which samples were right: kept with the runs, as files and as a table, and refused where they do not fit."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prune_audit.errors import StudyError
from prune_audit.files import packed
from prune_audit.study import results, samples

SIZES = (3, 0, 5)


def written(folder: Path, *, seeds: int = 2, kept: bool = True, change: dict[str, Any] | None = None) -> Path:
    """Runs of one method on three classes, the second of which has no samples."""
    results.begin(folder, "S")
    for seed in range(seeds):
        dense, pruned = rights(seed)
        bounds = np.cumsum((0, *SIZES))
        recalls = [[float(right[a:b].mean()) if b > a else None for a, b in pairwise(bounds)]
                   for right in (dense, pruned)]  # fmt: skip
        record: dict[str, Any] = {
            "key": f"{seed}", "plan": 20 * "0", "data": 20 * "d", "network": "net", "seed": seed, "method": "m",
            "density": 0.5, "at": [0, seed, 0], "failed": None, "achieved": 0.5, "run": {"accuracy": 0.5},
            "classes": [{"stratum": name, "support": n, "dense_recall": p, "pruned_recall": q}
                        for name, n, p, q in zip("abc", SIZES, *recalls, strict=True)],
        }  # fmt: skip
        if kept:
            record["right"] = {"dense": packed.flags(dense), "pruned": packed.flags(pruned)}
        results.put(folder, results.place(folder, "net", seed, "m", 0.5), record | (change or {}))
    return folder


def rights(seed: int) -> tuple[samples.Bits, samples.Bits]:
    rng = np.random.default_rng(seed)
    return rng.random(sum(SIZES)) < 0.7, rng.random(sum(SIZES)) < 0.4


def tabled(source: Path, folder: Path) -> Path:
    folder.mkdir()
    for name, content in results.tables(*results.read([source])[1:]).items():
        (folder / name).write_bytes(content)
    return folder


def test_files_and_tables_give_the_same_samples(tmp_path: Path) -> None:
    source = written(tmp_path / "files")
    folder = tabled(source, tmp_path / "tables")
    for each in (source, folder):
        _, _, classes, right = results.read([each])
        assert [*right.columns] == [*results.OF_SAMPLES, *samples.PREDICTED]
        sizes, found = samples.read(right, classes)
        assert sizes["net"].tolist() == [*SIZES]
        assert set(found) == {("net", "m", 0.5, 0), ("net", "m", 0.5, 1)}
        for seed in (0, 1):
            dense, pruned = rights(seed)
            np.testing.assert_array_equal(found["net", "m", 0.5, seed].dense, dense)
            np.testing.assert_array_equal(found["net", "m", 0.5, seed].pruned, pruned)
    assert pd.read_parquet(folder / "samples.parquet")["dense"].tolist() == right["dense"].tolist()


def test_shards_join_with_their_samples(tmp_path: Path) -> None:
    whole = tabled(written(tmp_path / "files"), tmp_path / "tables")
    for name in ("runs", "classes", "samples"):  # one table behind the other, headers and all
        table = whole / f"{name}.csv"
        table.write_text(2 * table.read_text())
    assert len(results.read([whole])[3]) == 2
    assert len(results.read([whole, tmp_path / "files"])[3]) == 2


def test_runs_of_earlier_versions_are_read_without_samples(tmp_path: Path) -> None:
    source = written(tmp_path / "files", kept=False)
    assert set(results.tables(*results.read([source])[1:])) == {
        f"{name}.{suffix}" for name in ("runs", "classes") for suffix in ("csv", "parquet")
    }
    for folder in (source, tabled(source, tmp_path / "tables")):
        _, _, classes, right = results.read([folder])
        assert right.empty
        assert samples.read(right, classes) == ({}, {})


@pytest.mark.parametrize(
    ("right", "told"),
    [
        (["x", "y"], "right is not of the dense and the pruned model"),
        ({"dense": "x"}, "right is not of the dense and the pruned model"),
        ({"dense": "x", "pruned": 3}, "right is not of the dense and the pruned model"),
        ({"dense": "x", "pruned": "y"}, "network net, method m, density 0.5, seed 0: expected packed bytes"),
        ({side: packed.flags(np.ones(80, bool)) for side in samples.SIDES}, "expected at most 1 bytes, found more"),
        ({side: packed.flags(np.ones(8, bool)) for side in samples.SIDES}, "do not give the recalls of its classes"),
    ],
)
def test_samples_that_are_none_of_the_run_are_refused(right: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=told) as caught:
        results.read([written(tmp_path, change={"right": right})])
    assert caught.value.hint


def test_a_table_of_other_samples_is_refused(tmp_path: Path) -> None:
    folder = tabled(written(tmp_path / "files"), tmp_path / "tables")
    path = folder / "samples.csv"
    text = path.read_text()
    for changed, told in (
        (text.replace(",0.5,", ",0.25,", 1), "found some that no finished run has"),
        (text + text.splitlines()[1].replace("S,net,0", "S,net,1") + "\n", "found some that one run has twice"),
        (text.replace("S,net,0", "S,net,7").replace("S,net,1", "S,net,0").replace("S,net,7", "S,net,1"), "the recalls"),
        (text.replace(",pruned", ",prune", 1), "samples.csv has no column 'pruned'"),
        (text[:-9], "samples.csv is no whole table"),
    ):
        path.write_text(changed)
        with pytest.raises(StudyError, match=told):
            results.read([folder])
    path.unlink()
    assert results.read([folder])[3].empty


def test_samples_of_other_classes_than_those_of_another_seed_are_refused(tmp_path: Path) -> None:
    folder = tabled(written(tmp_path / "files"), tmp_path / "tables")
    path = folder / "classes.csv"
    lines = path.read_text().splitlines(keepends=True)
    for changed, told in (
        ([line.replace("m,0.5,c,", "m,0.5,other,") if "net,1" in line else line for line in lines], "other ones than"),
        ([line.replace("m,0.5,c,", "m,0.5,b,") for line in lines], "named alike"),
    ):
        assert changed != lines
        path.write_text("".join(changed))
        with pytest.raises(StudyError, match=told):
            results.read([folder])


def test_fields_of_a_million_samples_are_read(tmp_path: Path) -> None:
    text = packed.flags(np.random.default_rng(0).random(1_000_000) < 0.5)
    assert len(text) > 131_072  # what the reader of the standard library stops at
    path = tmp_path / "samples.csv"
    path.write_text(f"{','.join(results.OF_SAMPLES)}\nS,net,0,m,0.5,{text},{text}\n")
    (tmp_path / "runs.csv").write_text(f"{','.join(results.LEADING)}\nS,net,0,m,0.5,p,d,,0.5\n")
    (tmp_path / "classes.csv").write_text(
        f"{','.join((*results.FACTORS, 'class', *results.BY_CLASS))}\n"
        f"S,net,0,m,0.5,a,1000000,,,{','.join(2 * [str(packed.read_flags(text, 1_000_000).mean())])},,,,,\n"
    )
    assert results.read([tmp_path])[3]["dense"].tolist() == [text]


def test_counts_of_classes() -> None:
    right = np.array([1, 0, 1, 1, 0, 0, 1, 1], bool)
    assert samples.by_class(right, np.array(SIZES)).tolist() == [2, 0, 3]


def test_a_record_is_json(tmp_path: Path) -> None:
    path = next((written(tmp_path) / "runs").rglob("*.json"))
    assert set(json.loads(path.read_text())["right"]) == {*samples.SIDES}
