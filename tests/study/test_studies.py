"""The studies that were run: their tables are what the analysis says of their runs, and their files plan such runs.

``PRUNE_AUDIT_UPDATE=1 pytest tests/study/test_studies.py`` writes the tables anew; read the diff before committing it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prune_audit.cli import invoke
from prune_audit.core import Settings
from prune_audit.study import plan, results, running
from tests.conftest import ROOT

STUDIES = sorted((ROOT / "docs" / "studies").glob("*.toml"))
WRITTEN = ("study.md", "alpha.svg")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_there_are_studies() -> None:
    assert len(STUDIES) >= 2


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_tables_are_those_of_the_runs(path: Path, tmp_path: Path) -> None:
    folder = path.with_suffix("")
    assert invoke(["study", str(folder), "-o", str(tmp_path), "-q"]) == 0
    tables = sorted(each.name for each in tmp_path.glob("table-*.csv"))
    assert sorted(each.name for each in folder.iterdir()) == sorted(["runs.csv", "classes.csv", *tables, *WRITTEN])
    for name in (*tables, *WRITTEN, "runs.csv", "classes.csv"):
        if os.environ.get("PRUNE_AUDIT_UPDATE"):
            shutil.copy(tmp_path / name, folder / name)
        assert same((folder / name).read_text(), (tmp_path / name).read_text()), name


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_runs_are_those_of_the_file(path: Path) -> None:
    planned = plan.read(path, train=Path("train"), audit=Path("val"))
    title, runs, classes = results.read([path.with_suffix("")])
    assert title == planned.title
    wanted = {
        (network.name, seed, method.name, density)
        for network in planned.networks
        for seed in planned.seeds
        for method in planned.methods
        for density in method.densities
    }
    found = list(zip(*(runs[name] for name in results.FACTORS[1:]), strict=True))
    assert len(found) == len(wanted)
    assert set(found) == wanted
    assert len(classes) == 10 * runs["failed"].isna().sum()
    cut = runs[runs["method"] != "surgery"]
    one = 1 / runs["parameters"].min()
    assert (cut["achieved"] - cut["density"]).abs().max() <= one
    assert (runs["achieved"] - runs["density"]).abs().max() <= 0.005


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_files_plan_what_runs_on_the_real_data(path: Path, shared: Path, tmp_path: Path) -> None:
    data = shared / "cifar10-train-jpeg" / "val"
    planned = plan.read(path, train=data, audit=data)
    method = planned.methods[1]
    tuning = replace(method.recipe.training, epochs=1)
    short = replace(
        planned,
        seeds=(0,),
        methods=(replace(method, densities=(0.5,), recipe=replace(method.recipe, training=tuning)),),
        # A tail of these few images is too little to learn from.
        long_tail=None,
        training=replace(planned.training, epochs=3, batch_size=32),
    )
    running.run(short, tmp_path, Settings(threads=1))
    _, runs, _ = results.read([tmp_path])
    assert runs["failed"].tolist() == [None]


def same(one: str, other: str) -> bool:
    """Whether two texts say the same, but for what processors round differently."""
    texts, numbers = zip(*((NUMBER.sub("#", each), NUMBER.findall(each)) for each in (one, other)), strict=True)
    return texts[0] == texts[1] and [*map(float, numbers[0])] == pytest.approx([*map(float, numbers[1])], rel=1e-6)
