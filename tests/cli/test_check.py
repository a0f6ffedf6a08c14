"""prune-audit check: a saved audit is judged without models or data."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit.cli import invoke
from prune_audit.document import read_audit


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(__file__).parents[2] / "sample_models"
    path = tmp_path_factory.mktemp("audit") / "audit.json"
    models = [str(root / "dense.onnx"), str(root / "pruned-90.onnx")]
    assert invoke(["compare", *models, "--data", str(root / "val"), "-q", "-o", str(path)]) == 0
    return path


def test_judges_by_the_default_policy_where_there_is_none(saved: Path) -> None:
    assert invoke(["check", str(saved), "-q"]) == 1


def test_a_policy_of_its_own_margin_measures_again(saved: Path, tmp_path: Path) -> None:
    lenient = tmp_path / "lenient.toml"
    lenient.write_text('[rules.recall-drop]\nlevel = "error"\nlimit = 60\n')
    again = tmp_path / "again.json"
    assert invoke(["check", str(saved), "--policy", str(lenient), "-q", "-o", str(again)]) == 0
    assert read_audit(again).provenance.settings.margin == 0.6


def test_the_policy_in_the_audit_is_used_again(saved: Path, tmp_path: Path) -> None:
    warn = tmp_path / "warn.toml"
    warn.write_text('[rules.recall-drop]\nlevel = "warn"\n')
    judged = tmp_path / "judged.json"
    assert invoke(["check", str(saved), "--policy", str(warn), "-q", "-o", str(judged)]) == 0
    assert invoke(["check", str(judged), "-q"]) == 0


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '{"schema": 999}', "not json"])
def test_what_is_no_audit_is_2(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.json"
    path.write_text(content)
    assert invoke(["check", str(path)]) == 2
    captured = capsys.readouterr()
    assert "audit.json" in captured.err
    assert "hint: " in captured.err
