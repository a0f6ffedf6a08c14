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
    comment = tmp_path / "comment.md"
    assert invoke(["check", str(saved), "--baseline", str(half), "-q", "-o", str(comment)]) == 1
    told = comment.read_text()
    assert told.index("2 classes got worse: 8 (-28.8), 9 (-10.2).") < told.index("| variant |")  # before all else
    assert told.count("got worse:") == 1
    capsys.readouterr()
    assert invoke(["check", str(saved), "--baseline", str(half)]) == 1
    printed = capsys.readouterr().out
    at = [
        printed.index(each)
        for each in ("2 classes got worse: 8 (", "\n8 ", "\n9 ", "FAILED", "--all shows every class")
    ]
    assert at == sorted(at)
    assert not [name for name in ("inputs", "alpha", "Since") if f"\n{name}" in printed]
    assert "\n5 " not in printed
    assert invoke(["check", str(saved), "--baseline", str(half), "--all"]) == 1
    everything = capsys.readouterr().out
    assert [name for name in ("inputs", "alpha", "Since", "5 ") if f"\n{name}" not in everything] == []
    assert invoke(["check", str(half), "--baseline", str(saved), "-q", "-o", str(comment)]) == 0
    assert "2 classes got better: 8 (+28.8), 9 (+10.2)." in comment.read_text()


def test_a_baseline_of_other_data_is_2(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.json"
    other.write_text(saved.read_text().replace('"data_digest": "', '"data_digest": "f'))
    assert other.read_text() != saved.read_text()
    assert invoke(["check", str(saved), "--baseline", str(other), "-q"]) == 2
    assert "differs in its data (ids, labels or contents)" in capsys.readouterr().err


def test_a_history_counts_what_the_same_data_judged(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "releases"
    monkeypatch.setenv("PRUNE_AUDIT_HISTORY", str(folder))
    for _ in range(2):
        assert invoke(["check", str(saved), "-o", str(tmp_path / "a.html"), "-o", str(tmp_path / "a.json")]) == 1
    assert "these data have judged 1 release in" in " ".join(capsys.readouterr().out.split())
    assert len(list(folder.iterdir())) == 1
    assert "these data have judged 1 release in" in (tmp_path / "a.html").read_text()
    assert sum("have judged" in note for note in read_audit(tmp_path / "a.json").provenance.notes) == 1


def test_a_budget_is_told_beside_the_verdict_and_fails_what_it_shows(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = [tmp_path / name for name in ("a.xml", "a.sarif", "a.md", "a.csv")]
    asked = ["check", str(saved), "--history", str(tmp_path / "rel"), "--alpha-budget", ".1"]
    assert invoke([*asked, *(part for path in reports for part in ("-o", str(path)))]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "under a budget of 0.1 (e-LOND) release 1 has regressed: its level is 0.0608, so that e must reach 16.4" in out
    )
    assert "by itself 2 classes or groups regressed; 0.0608 of the budget are spent, 0.0392 left" in out
    assert all("stream of releases" in path.read_text() for path in reports[:3])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--alpha-budget", ".1"], "there is none"),
        (["--alpha-budget", "5", "--history", "rel"], "a share between 0 and 1, found 5"),
        (["--alpha-budget", ".1", "--history", "rel", "--baseline", "none.json"], "judges changes since"),
    ],
)
def test_a_budget_that_makes_no_sense_is_2(
    options: list[str], said: str, saved: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["check", str(saved), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (project.parent / "rel").exists()


def test_a_damaged_release_is_2_and_is_left_alone(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["check", str(saved), "--history", str(tmp_path / "rel"), "-q"]) == 1
    [path] = (tmp_path / "rel").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert invoke(["check", str(saved), "--history", str(tmp_path / "rel"), "-q", "-o", str(tmp_path / "a.md")]) == 2
    err = capsys.readouterr().err
    assert f"{path.name} is damaged" in err
    assert "hint: put a copy in its place" in err
    assert not (tmp_path / "a.md").exists()


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
