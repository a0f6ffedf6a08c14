"""--by, --cluster, --weights and --reference, as a user gives them, on arrays with columns."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prune_audit.cli import invoke
from prune_audit.core import Array
from prune_audit.document import read_audit

PAIR = ["sample_models/dense.onnx", "sample_models/pruned-90.onnx"]


@pytest.fixture
def manifest(sample_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Array]:
    """A manifest of the sample images with two columns more, and the columns' rows."""
    monkeypatch.chdir(sample_models.parent)
    monkeypatch.setenv("COLUMNS", "120")
    files = sorted((sample_models / "val").glob("*/*.png"))
    rows = [(str(f), f.parent.name, f"site {i % 3}", f"film {i // 11}") for i, f in enumerate(files)]
    with (tmp_path / "val.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "site", "film"), *rows])
    return [*PAIR, "--data", str(tmp_path / "val.csv")], np.array(rows)


def test_views_are_those_that_were_asked_for(
    manifest: tuple[list[str], Array], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, rows = manifest
    table, saved = tmp_path / "a.csv", tmp_path / "a.json"
    views = ["--by", "site", "--by", "class, site", "--by", "class", "--by", "site"]
    assert invoke(["compare", *command, *views, "-o", str(table), "-o", str(saved)]) == 0
    told = capsys.readouterr().out
    assert "by site: 3 groups" in told
    assert "by class,site: 30 groups" in told
    assert "10 more" in told  # the cut holds in each view
    assert "recall (within a group: accuracy) in %" in told
    with table.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["by"] for row in found] == ["class"] * 10 + ["site"] * 3 + ["class,site"] * 30
    by_site = {row["stratum"]: int(row["support"]) for row in found if row["by"] == "site"}
    assert by_site == {f"site {i}": int((rows[:, 2] == f"site {i}").sum()) for i in range(3)}
    assert read_audit(saved).provenance.settings.by == ("site", "class,site", "class", "site")
    assert all(row["precision_change"] == "" for row in found if row["by"] != "class")
    assert invoke(["report", str(saved)]) == 0
    assert capsys.readouterr().out == told


def test_rules_judge_every_view(manifest: tuple[list[str], Array], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", *manifest[0], "--by", "site", "--gate"]) == 1
    told = capsys.readouterr().out
    assert "site=site 0" in told


def test_clusters_widen_and_are_said(
    manifest: tuple[list[str], Array], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart, together = tmp_path / "apart.json", tmp_path / "together.json"
    assert invoke(["compare", *manifest[0], "-q", "-o", str(apart)]) == 0
    assert invoke(["compare", *manifest[0], "--cluster", "film", "-o", str(together)]) == 0
    assert "samples of one film belong together" in capsys.readouterr().out
    views = [read_audit(path).comparisons[0].view() for path in (apart, together)]
    first, second = (view.measure("change") for view in views)
    assert first.by_stratum == second.by_stratum
    low = [np.array(measure.low, float) for measure in (first, second)]
    assert (low[1] <= low[0] + 1e-12).all()
    assert (low[1] < low[0]).any()
    assert not any("clusters of film" in note for note in read_audit(together).provenance.notes)  # there are 98


def test_weights_move_accuracy_and_nothing_else(
    manifest: tuple[list[str], Array], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, plain, saved = tmp_path / "w.csv", tmp_path / "p.json", tmp_path / "w.json"
    weights.write_text("class,weight\n" + "".join(f"{c},{int(c == 8) * 9 + 1}\n" for c in range(10)))
    assert invoke(["compare", *manifest[0], "-q", "-o", str(plain)]) == 0
    command = [*manifest[0], "--weights", str(weights), "--reference", "balanced", "-o", str(saved)]
    assert invoke(["compare", *command]) == 0
    told = capsys.readouterr().out
    assert "accuracy is that of the class shares in use (--weights)" in told
    assert "(--reference balanced)" in told
    before, after = (read_audit(path).comparisons[0].view() for path in (plain, saved))
    recalls = after.measure("pruned_recall")
    assert recalls.by_stratum == before.measure("pruned_recall").by_stratum
    shares = np.array([10 if c == 8 else 1 for c in range(10)]) / 19
    assert recalls.overall == pytest.approx(float(shares @ np.array(recalls.by_stratum, float)))
    mean = np.array(recalls.by_stratum, float).mean()
    balance = np.array(after.measure("pruned_balance").by_stratum, float)
    np.testing.assert_allclose(balance, np.array(recalls.by_stratum, float) / mean - 1, atol=1e-12)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--by", "sex"], "known: class, site, film"),
        (["--by", "class,sex"], "known: class, site, film"),
        (["--by", "site,site"], "each once"),
        (["--cluster", "person"], "known: site, film"),
        (["--reference", "median"], "accuracy, balanced"),
        (["--weights", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_is_not_there_is_2_before_the_run(
    option: list[str], told: str, manifest: tuple[list[str], Array], capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["compare", *manifest[0], *option]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.startswith("error: ")


def test_copies_among_images_are_said(
    manifest: tuple[list[str], Array], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in "0123456789":
        (tmp_path / "val" / label).mkdir(parents=True)
        Image.new("L", (8, 8), min(int(label), 8) * 20).save(tmp_path / "val" / label / "a.png")
    assert invoke(["compare", *PAIR, "--data", str(tmp_path / "val")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "1 sample is an exact copy of others (first: 8/a.png, 9/a.png)" in told
    assert "with another label (first: 8/a.png is 8, 9/a.png is 9)" in told


def test_a_weight_of_a_class_that_neither_data_nor_models_know(
    sample_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sample_models.parent)
    np.savez(tmp_path / "d.npz", x=np.zeros((20, 1, 8, 8), np.float32), y=np.arange(20) % 8)
    weights = tmp_path / "w.json"
    weights.write_text("{" + ", ".join(f'"{c}": 1' for c in range(10)) + "}")
    command = ["compare", *PAIR, "--data", str(tmp_path / "d.npz"), "--weights", str(weights)]
    assert invoke([*command, "-q"]) == 0  # classes 8 and 9 are the models'
    weights.write_text("{" + ", ".join(f'"{c}": 1' for c in range(11)) + "}")
    assert invoke(command) == 2
    assert "weights of what is no class: '10'" in capsys.readouterr().err
