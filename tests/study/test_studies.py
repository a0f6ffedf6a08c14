"""The studies that were run: their tables are what the analysis says of their runs, and their files plan such runs.

``PRUNE_AUDIT_UPDATE=1 pytest tests/study/test_studies.py`` writes the tables anew; read the diff before committing it.
"""

from __future__ import annotations

import csv
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

PLANS = sorted((ROOT / "docs" / "studies").glob("*.toml"))
STUDIES = [path for path in PLANS if path.with_suffix("").is_dir()]  # those that were run
WRITTEN = ("study.md", "runs.csv", "classes.csv")
WHERE_THERE_ARE = ("alpha.svg", "samples.csv", "contrasts.csv")  # an alpha, what was right, contrasts
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
    names = [*tables, *WRITTEN, *(name for name in WHERE_THERE_ARE if (tmp_path / name).exists())]
    if os.environ.get("PRUNE_AUDIT_UPDATE"):
        for name in names:
            shutil.copy(tmp_path / name, folder / name)
    assert sorted(each.name for each in folder.iterdir()) == sorted(names)
    for name in names:
        assert same((folder / name).read_text(), (tmp_path / name).read_text()), name


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_runs_are_those_of_the_file(path: Path) -> None:
    planned = plan.read(path, train=Path("train"), audit=Path("val"))
    title, runs, classes, _ = results.read([path.with_suffix("")])
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
    cut = runs[~runs["method"].isin(["surgery", "bcr", "seqattn"])]  # by thresholds, and in blocks
    one = 1 / runs["parameters"].min()
    assert (cut["achieved"] - cut["density"]).abs().max() <= one
    assert (runs["achieved"] - runs["density"]).abs().max() <= 0.005


@pytest.fixture(scope="module")
def few_images(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty real images of each class: enough for a ResNet to learn something from, which takes minutes of all."""
    folder = tmp_path_factory.mktemp("few")
    for own in sorted((shared / "cifar10-train-jpeg" / "val").iterdir()):
        (folder / own.name).mkdir()
        for file in sorted(own.iterdir())[:20]:
            (folder / own.name / file.name).symlink_to(file)
    return folder


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_files_plan_what_runs_on_the_real_data(path: Path, shared: Path, few_images: Path, tmp_path: Path) -> None:
    data = few_images if "resnet" in path.stem else shared / "cifar10-train-jpeg" / "val"
    planned = plan.read(path, train=data, audit=data)
    method = planned.methods[1]
    tuning = replace(method.recipe.training, epochs=1)
    short = replace(
        planned,
        seeds=(0,),
        methods=(replace(method, densities=(0.5,), recipe=replace(method.recipe, training=tuning)),),
        # A tail of these few images is too little to learn from.
        long_tail=None,
        contrasts=None,  # whose methods are left out here
        training=replace(planned.training, epochs=3, batch_size=32),
    )
    running.run(short, tmp_path, Settings(threads=1))
    _, runs, _, _ = results.read([tmp_path])
    assert runs["failed"].tolist() == [None]


def same(one: str, other: str) -> bool:
    """Whether two texts say the same, but for what processors round differently."""
    texts, numbers = zip(*((NUMBER.sub("#", each), NUMBER.findall(each)) for each in (one, other)), strict=True)
    return texts[0] == texts[1] and [*map(float, numbers[0])] == pytest.approx([*map(float, numbers[1])], rel=1e-6)


def rows(study: str, name: str) -> list[dict[str, str]]:
    with (ROOT / "docs" / "studies" / study / f"table-{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


FINDINGS = " ".join((ROOT / "docs" / "findings.md").read_text(encoding="utf-8").split())
BALANCED, TAIL, AGAIN = "cifar10-lenet5", "cifar10-lenet5-long-tail", "cifar10-lenet5-new-samples"


@pytest.mark.parametrize(("study", "called"), [(BALANCED, "LeNet-5"), (TAIL, "LeNet-5, long tail")])
@pytest.mark.parametrize("method", ["magnitude", "gradient-full", "undecayed", "undecayed-released"])
def test_the_findings_has_the_slopes_of_the_tables(study: str, called: str, method: str) -> None:
    told = [
        f"{float(row['pooled_alpha']):.3f}" if row["r_squared"] and float(row["r_squared"]) >= 0.5 else "-"
        for row in rows(study, "cells")
        if row["method"] == method
    ]
    assert f"| {called}, `{method}` | {' | '.join(told)} |" in FINDINGS


def test_the_findings_says_what_the_tests_found() -> None:
    tail, balanced = rows(TAIL, "densities"), rows(BALANCED, "densities")
    steps = [between(row) for row in tail if row["method"] == "magnitude"]
    assert f"by {', '.join(steps[:3])} and {steps[3]}." in FINDINGS
    lacking = {(row["method"], row["density"]) for row in tail if row["finding"] == "not shown"}
    assert lacking == set()
    (few,) = (row for row in tail if (row["method"], row["density"]) == ("surgery", "0.05"))
    (left,) = (row for row in rows(TAIL, "cells") if (row["method"], row["density"]) == ("surgery", "0.02"))
    assert (few["finding"], left["finding"], left["gaps"]) == ("", "", "")
    assert (left["seeds"], left["finished"]) == ("2", "8")
    assert "(of surgery at 2 %, two runs of eight are left, which says nothing)" in FINDINGS
    (last,) = (row for row in balanced if row["method"] == "magnitude" and row["finding"] != "not shown")
    assert (last["density"], last["sparser"]) == ("0.05", "0.02")
    assert f"from 5 to 2 %, by {between(last)}" in FINDINGS
    for method in ("undecayed", "undecayed-released", "gradient-full"):
        first = next(row for row in balanced if row["method"] == method and row["finding"] == "more intensification")
        assert (first["density"], f"{float(first['difference']):.2f}") == ("0.25", "0.15")


def test_the_findings_says_how_methods_compare() -> None:
    scores = ("magnitude", "undecayed", "undecayed-released", "gradient-full")
    pairs = {
        (study, row["method"], row["other"], row["density"]): row
        for study in (BALANCED, TAIL)
        for row in rows(study, "methods")
        if {row["method"], row["other"]} <= {*scores}
    }
    at_ten = pairs[TAIL, "magnitude", "undecayed", "0.1"]
    assert at_ten["finding"] == "higher"
    assert f"*above* that of `magnitude`, by {between(at_ten)}" in FINDINGS
    assert not any(row["finding"] == "lower" for row in pairs.values())
    full = pairs[TAIL, "undecayed", "gradient-full", "0.1"]
    low, high = sorted(-float(full[name]) for name in ("low", "high"))
    assert f"(at 10 %: {-float(full['difference']):.2f}, {low:.2f} to {high:.2f}, in favour of" in FINDINGS
    assert all(
        row["finding"] in ("not shown", "")
        for (_, one, other, _), row in pairs.items()
        if "gradient-full" in (one, other) and "undecayed" in (one, other)
    )
    forms = [
        row for (study, *two, _), row in pairs.items() if two == ["undecayed", "undecayed-released"] and study == TAIL
    ]
    assert len(forms) == 5
    assert max(abs(float(row[end])) for row in forms for end in ("low", "high")) < 0.07


def test_the_findings_says_what_the_cells_hold() -> None:
    cells = {(s, row["method"], row["density"]): row for s in (BALANCED, TAIL) for row in rows(s, "cells")}
    moderate = [
        float(row["alpha"])
        for (study, method, density), row in cells.items()
        if study == BALANCED and density in ("0.5", "0.25") and method not in ("random", "tuned-alone")
    ]
    assert f"alpha is {min(moderate):.2f} to {max(moderate):.2f} for every method" in FINDINGS
    for study in (BALANCED, TAIL):
        control = cells[study, "tuned-alone", "1.0"]
        assert between(control, "alpha", "alpha_") in FINDINGS
    alone = float(cells[BALANCED, "tuned-alone", "1.0"]["alpha"])
    assert alone == min(float(row["alpha"]) for key, row in cells.items() if key[0] == BALANCED and row["alpha"])
    assert [key[1:] for key, row in cells.items() if key[0] == TAIL and row["finding"] == "de-intensified"] == [
        ("tuned-alone", "1.0")
    ]
    cut = cells[TAIL, "magnitude", "0.1"]
    accuracies = [100 * float(cut[name]) for name in ("dense_accuracy", "accuracy")]
    assert f"({accuracies[0]:.1f} to {accuracies[1]:.1f} %)" in FINDINGS
    (horse,) = (
        row
        for row in rows(TAIL, "classes")
        if (row["method"], row["density"], row["class"]) == ("magnitude", "0.1", "horse")
    )
    assert f"({100 * float(horse['dense_recall']):.1f} to {100 * float(horse['pruned_recall']):.1f} %)" in FINDINGS


def test_the_findings_says_of_gaps_what_the_ratios_of_spreads_say() -> None:
    cells = {(s, row["method"], row["density"]): row for s in (BALANCED, TAIL) for row in rows(s, "cells")}

    def told(study: str, method: str, density: str) -> str:
        return between(cells[study, method, density], "spread_ratio", "spread_ratio_")

    at = [told(TAIL, "magnitude", density) for density in ("0.1", "0.05", "0.02")]
    assert f"it is {at[0]}, {at[1]} and {at[2]} for `magnitude`" in FINDINGS
    found = [cells[TAIL, "magnitude", density]["gaps"] for density in ("0.5", "0.25", "0.1", "0.05", "0.02")]
    assert found == ["undetermined"] * 2 + ["grew"] * 3
    full = cells[BALANCED, "gradient-full", "0.05"]
    slope, ratio = between(full, "alpha", "alpha_"), told(BALANCED, "gradient-full", "0.05")
    assert f"an alpha of {slope} beside gaps that grew, {ratio}" in FINDINGS
    assert (full["finding"], full["gaps"]) == ("undetermined", "grew")
    moderate = [
        float(row["spread_ratio"])
        for (study, method, density), row in cells.items()
        if study == BALANCED and density in ("0.5", "0.25") and method not in ("random", "tuned-alone")
    ]
    alone = told(BALANCED, "tuned-alone", "1.0")
    assert (
        f"the ratio of spreads is {min(moderate):.2f} to {max(moderate):.2f} there, and {alone} without a cut"
        in FINDINGS
    )
    assert f"a ratio of spreads of {told(TAIL, 'tuned-alone', '1.0')}, which shows no change" in FINDINGS
    assert not any(row["gaps"] == "shrank" for (study, *_), row in cells.items() if study == TAIL)


def test_the_findings_has_both_intervals_of_what_was_run_again() -> None:
    def found(name: str, *of: str) -> dict[str, str]:
        keys = ("method", "density", "class")[: len(of)]
        (row,) = (row for row in rows(AGAIN, name) if tuple(row[key] for key in keys) == of)
        return row

    def told(row: dict[str, str], mean: str, ends: str = "", unit: int = 1) -> str:
        mean, *limits = (
            f"{unit * float(row[name]):.{1 if unit > 1 else 2}f}"
            for name in (mean, *(f"{ends}{end}" for end in ("low", "high", "both_low", "both_high")))
        )
        return f"{mean} | {limits[0]} to {limits[1]} | {limits[2]} to {limits[3]} |"

    for density, at in (("0.1", 10), ("0.05", 5), ("0.02", 2)):
        cell = found("cells", "magnitude", density)
        assert f"| alpha of `magnitude` at {at} % | {told(cell, 'alpha', 'alpha_')}" in FINDINGS
        assert cell["finding"] == cell["finding_both"] == "intensified"
        assert between(found("controls", "magnitude", density)) in FINDINGS
        assert found("controls", "magnitude", density)["finding"] == "higher"
        accuracy = found("accuracy", "magnitude", density)
        assert accuracy["finding"] == accuracy["finding_both"] == "fell"
    alone = found("cells", "tuned-alone", "1.0")
    assert f"| alpha of tuning alone | {told(alone, 'alpha', 'alpha_')}" in FINDINGS
    assert alone["finding"] == alone["finding_both"] == "undetermined"
    for density, at in (("0.1", 10), ("0.05", 5)):
        row = found("accuracy", "magnitude", density)
        assert f"| accuracy at {at} %, points | {told(row, 'change', unit=100)}" in FINDINGS
    for density, at, name in (("0.1", 10, "horse"), ("0.02", 2, "cat")):
        row = found("changes", "magnitude", density, name)
        assert f"| recall of {name}s at {at} %, points | {told(row, 'change', unit=100)}" in FINDINGS
    assert {row["finding"] for row in rows(AGAIN, "densities")} == {"more intensification"}
    assert all(float(row["both_low"]) > 0 for row in rows(AGAIN, "densities"))
    assert {row["finding"] for row in rows(AGAIN, "controls") if row["density"] in ("0.5", "0.25")} == {"not shown"}


def between(row: dict[str, str], name: str = "difference", ends: str = "") -> str:
    """A number with its interval, as docs/findings.md has it."""
    low, high = (float(row[f"{ends}{end}"]) for end in ("low", "high"))
    return f"{float(row[name]):.2f} ({low:.2f} to {high:.2f})"
