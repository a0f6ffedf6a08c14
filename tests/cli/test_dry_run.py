"""`compare --dry-run` says whether all fits, and does no more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from prune_audit.cli import invoke
from tests.conftest import ROOT

SAMPLES = ROOT / "sample_models"
VAL = ["--data", str(SAMPLES / "val")]


def test_a_few_hundred_samples_and_no_report(tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [str(SAMPLES / name) for name in ("dense.onnx", "pruned-90.pt")]
    assert invoke(["compare", *models, *VAL, "--dry-run", "-o", str(tmp_path / "a.json")]) == 0
    out, err = capsys.readouterr()
    assert err == f"note: a dry run makes no report: {tmp_path / 'a.json'} not written\n"
    assert "tried   300 of 1,078 samples, 10 classes" in out
    assert "resize 8x8 (bilinear), gray, /255" in out
    assert "fit together" in out
    rows = [line.split() for line in out.splitlines() if line.startswith(("dense", "pruned-90"))]
    assert [row[:3] for row in rows] == [["dense", "ONNX", "logits"], ["pruned-90", "TorchScript", "logits"]]
    assert 90 < float(rows[0][3].rstrip("%")) <= 100
    assert not (tmp_path / "a.json").exists()
    assert not list(cache.iterdir())


def test_the_last_line_is_no_comfort_where_something_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    models = [str(SAMPLES / name) for name in ("dense.onnx", "pruned-90.onnx")]
    assert invoke(["compare", *models, *VAL, "--dry-run", "--mean", ".9", "--std", ".2"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "WARNING: the dense model dense: with no mean and std it is right on" in out
    assert out.endswith("the dense model is not run as it was trained, and all numbers would be of that.")
    assert "fit together" not in out


def test_what_does_not_fit_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "classes.txt").write_text("\n".join("1023456789"))
    models = [str(SAMPLES / name) for name in ("dense.onnx", "pruned-90.onnx")]
    assert invoke(["compare", *models, *VAL, "--dry-run", "--classes", str(tmp_path / "classes.txt")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "'0' as '1'" in captured.err


def test_the_mapping_that_is_printed_repairs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "classes.txt").write_text("\n".join("1203456789"))
    models = [str(SAMPLES / name) for name in ("dense.onnx", "pruned-90.onnx")]
    wrong = ["compare", *models, *VAL, "--classes", str(tmp_path / "classes.txt"), "-q"]
    assert invoke(wrong) == 2
    mapping = re.search(r"--class-map FILE with (\{.*?\})", capsys.readouterr().err)
    assert mapping is not None
    (tmp_path / "map.json").write_text(mapping[1])
    out = [str(tmp_path / name) for name in ("repaired.json", "right.json")]
    assert invoke([*wrong, "--class-map", str(tmp_path / "map.json"), "-o", out[0]]) == 0
    assert invoke(["compare", *models, *VAL, "-q", "-o", out[1]]) == 0
    repaired, right = (json.loads(Path(path).read_text())["comparisons"][0]["views"][0] for path in out)
    assert repaired["strata"] == right["strata"]
    assert repaired["lost"] == right["lost"]
