"""`prune-audit predict` writes what `compare` takes for a model, and the audit is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prune_audit.cli import invoke
from tests.conftest import ROOT

SAMPLES = ROOT / "sample_models"
VAL = ["--data", str(SAMPLES / "val")]


def audited(*models: str, out: Path, data: str | None = None) -> dict[str, Any]:
    data = data or VAL[1]
    assert invoke(["compare", *models, "--data", data, "-q", "--reproducible", "-o", str(out)]) == 0
    read: dict[str, Any] = json.loads(out.read_text())
    return read


@pytest.mark.workers
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json", ".npz"])
def test_an_audit_of_the_predictions_is_that_of_the_model(tmp_path: Path, suffix: str) -> None:
    files = []
    for name in ("dense", "pruned-90"):
        files.append(str(tmp_path / f"{name}{suffix}"))
        assert invoke(["predict", str(SAMPLES / f"{name}.onnx"), *VAL, "-q", "-o", files[-1]]) == 0
    ran = audited(str(SAMPLES / "dense.onnx"), str(SAMPLES / "pruned-90.onnx"), out=tmp_path / "ran.json")
    read = audited(*files, out=tmp_path / "read.json")
    assert read["comparisons"][0]["views"] == ran["comparisons"][0]["views"]
    assert read["comparisons"][0]["flips"] == ran["comparisons"][0]["flips"]
    one = audited(str(SAMPLES / "dense.onnx"), files[1], out=tmp_path / "one.json")
    assert one["comparisons"][0]["views"] == ran["comparisons"][0]["views"]


def test_labels_alone_are_data_enough(tmp_path: Path) -> None:
    csv = tmp_path / "dense.csv"
    assert invoke(["predict", str(SAMPLES / "dense.onnx"), *VAL, "-q", "-o", str(csv)]) == 0
    pruned = tmp_path / "pruned.json"
    assert invoke(["predict", str(SAMPLES / "pruned-90.onnx"), *VAL, "-q", "-o", str(pruned)]) == 0
    rows = [line.split(",") for line in csv.read_text().splitlines()]
    labels = tmp_path / "labels.csv"
    labels.write_text("".join(",".join(row[:2]).replace('"', "") + "\n" for row in rows))
    ran = audited(str(SAMPLES / "dense.onnx"), str(SAMPLES / "pruned-90.onnx"), out=tmp_path / "ran.json")
    read = audited(str(csv), str(pruned), data=str(labels), out=tmp_path / "read.json")
    assert read["comparisons"][0]["views"] == ran["comparisons"][0]["views"]


def test_a_model_on_labels_alone_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.csv").write_text("id,label\na,0\nb,1\n")
    code = invoke(["compare", *[str(SAMPLES / "dense.onnx")] * 2, "--data", str(tmp_path / "labels.csv")])
    assert code == 2
    assert "hint: " in capsys.readouterr().err


@pytest.mark.parametrize(("name", "said"), [("x.xlsx", ".parquet"), ("no/such/x.csv", "no folder")])
def test_where_it_cannot_be_written_nothing_runs(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert invoke(["predict", str(SAMPLES / "dense.onnx"), *VAL, "-o", str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err
    assert not list(cache.iterdir())
