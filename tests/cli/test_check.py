"""prune-audit check: a saved audit is judged without models or data."""

from __future__ import annotations

import json
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


def test_files_in_a_dialect(saved: Path, tmp_path: Path) -> None:
    kinds = {}
    for name, dialect in (("a.sarif", []), ("b.sarif", ["--dialect", "sarif=whole"])):
        assert invoke(["check", str(saved), "-q", *dialect, "-o", str(tmp_path / name)]) == 1
        results = json.loads((tmp_path / name).read_text())["runs"][0]["results"]
        kinds[name] = {result["kind"] for result in results}
    assert kinds == {"a.sarif": {"fail"}, "b.sarif": {"fail", "open"}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The policy file of a project that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "prune-audit.toml"


WAIVERS = """extends = "default"
[rules.accuracy-drop]
level = "warn"
"""


def waiver(rule: str, stratum: str, expires: str) -> str:
    return f'[[waivers]]\nrule = "{rule}"\nclass = "{stratum}"\nreason = "see #12"\nexpires = {expires}\n'


def test_the_policy_of_the_project_comes_before_that_of_the_audit(
    saved: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write_text('extends = "report-only"\n')
    assert invoke(["check", str(saved)]) == 0
    captured = capsys.readouterr()
    assert captured.err == "policy: prune-audit.toml\n"
    assert "Gate prune-audit.toml" in captured.out
    assert invoke(["check", str(saved), "--policy", "default", "-q"]) == 1


def test_a_waiver_turns_the_gate_and_an_expired_one_does_not(
    saved: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write_text(WAIVERS + waiver("recall-drop", "[89]", "2999-01-01") + waiver("harmed", "8", "2999-01-01"))
    assert invoke(["check", str(saved), "--all"]) == 0
    assert " ".join(capsys.readouterr().out.split()).count("waived until 2999-01-01: see #12") == 3
    project.write_text(WAIVERS + waiver("recall-drop", "[89]", "2999-01-01") + waiver("harmed", "8", "2001-01-01"))
    assert invoke(["check", str(saved), "--all"]) == 1
    assert "the waiver expired on 2001-01-01" in " ".join(capsys.readouterr().out.split())


def test_strict_leaves_3_where_nothing_failed_and_something_is_open(saved: Path) -> None:
    rules = ["--rule", "harmed=off", "--rule", "accuracy-drop=off"]
    assert invoke(["check", str(saved), *rules, "--margin", "45", "--assure", "45.5", "-q"]) == 0
    assert invoke(["check", str(saved), *rules, "--margin", "25", "--strict", "-q"]) == 3
    assert invoke(["check", str(saved), *rules, "--margin", "25", "--strict", "--exit-zero", "-q"]) == 0


def test_flags_and_the_environment_set_every_setting(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNE_AUDIT_CONFIDENCE", "0.9")
    again = tmp_path / "again.json"
    flags = ["--margin", "3", "--assure", "6", "--retention-margin", "0.8", "--correction", "holm"]
    assert invoke(["check", str(saved), *flags, "--reference", "balanced", "-q", "-o", str(again)]) == 1
    judged = read_audit(again)
    settings = judged.provenance.settings
    assert (settings.margin, settings.assure, settings.retention_margin) == (0.03, 0.06, 0.8)
    assert (settings.confidence, settings.correction, settings.reference) == (0.9, "holm", "balanced")
    assert judged.policy is not None
    assert judged.policy.origins["confidence"] == "PRUNE_AUDIT_CONFIDENCE"
    assert judged.policy.origins["margin"] == "--margin"


def test_exit_zero_does_not_hide_what_could_not_be_done(tmp_path: Path) -> None:
    assert invoke(["check", str(tmp_path / "none.json"), "--exit-zero"]) == 2


def test_a_baseline_accepts_what_it_had_and_no_more(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["check", str(saved), "--baseline", str(saved)]) == 0
    assert f"Gate default against {saved}" in " ".join(capsys.readouterr().out.split())
    root = Path(__file__).parents[2] / "sample_models"
    half = tmp_path / "half.json"
    models = [str(root / "dense.onnx"), str(root / "pruned-50.onnx")]
    assert invoke(["compare", *models, "--data", str(root / "val"), "-q", "-o", str(half)]) == 0
    assert invoke(["check", str(saved), "--baseline", str(half), "-q"]) == 1
    assert invoke(["check", str(half), "--baseline", str(saved), "-q"]) == 0


def test_a_baseline_of_other_data_is_2(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.json"
    other.write_text(saved.read_text().replace('"data_digest": "', '"data_digest": "f'))
    assert other.read_text() != saved.read_text()
    assert invoke(["check", str(saved), "--baseline", str(other), "-q"]) == 2
    assert "differs in its data (ids, labels or contents)" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '{"schema": 999}', "not json"])
def test_what_is_no_audit_is_2(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.json"
    path.write_text(content)
    assert invoke(["check", str(path)]) == 2
    captured = capsys.readouterr()
    assert "audit.json" in captured.err
    assert "hint: " in captured.err


def test_what_fails_is_annotated_and_summarised(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert invoke(["check", str(saved), "--github", "-q"]) == 1
    assert "::error title=prune-audit%3A pruned-90%3A 8%3A recall-drop::" in capsys.readouterr().out
    assert (tmp_path / "summary.md").read_text().count("FAILED") == 1
