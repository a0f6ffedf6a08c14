"""How many flipped samples are listed, and where it is said that there were more."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from prune_audit.cli import invoke
from tests.conftest import ROOT

PAIR = [str(ROOT / "sample_models" / name) for name in ("dense.onnx", "pruned-90.onnx")]
COMPARE = ["compare", *PAIR, "--data", str(ROOT / "sample_models" / "val")]


def rows(path: Path) -> int:
    with path.open(newline="") as file:
        return len([*csv.DictReader(file)])


def test_a_list_that_is_asked_for_has_all_and_one_from_an_audit_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prune_audit.audit.FLIPS_KEPT", 5)
    saved, listed, again = tmp_path / "a.json", tmp_path / "flips.csv", tmp_path / "later.flips.csv"
    assert invoke([*COMPARE, "-q", "-o", str(listed)]) == 0
    assert "lists" not in capsys.readouterr().err
    assert invoke([*COMPARE, "-q", "-o", str(saved)]) == 0
    [comparison] = json.loads(saved.read_text())["comparisons"]
    assert (len(comparison["flips"]), rows(listed)) == (5, comparison["flipped"])
    assert comparison["flipped"] > 20
    assert invoke(["report", str(saved), "-q", "-o", str(again)]) == 0
    told = f"of the {comparison['flipped']} flipped samples of pruned-90, {again} lists 5: the audit holds no more"
    assert told in " ".join(capsys.readouterr().err.split())
    assert rows(again) == 5


def test_the_number_may_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "flips.csv"
    assert invoke([*COMPARE, "-q", "--flips", "7", "-o", str(listed)]) == 0
    assert rows(listed) == 7
    assert "lists 7" in capsys.readouterr().err
