"""prune-audit policy: the effective policy, where each value came from, and that it is a policy file itself."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from prune_audit import rules
from prune_audit.cli import invoke


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """Key -> what stands behind it; keys of a rule with its name."""
    assert invoke(["policy", *arguments]) == 0
    table, origins = "", {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("["):
            table = f"{line.partition(']')[0].strip('[]').removeprefix('rules.')}."
        elif "=" in line and not line.startswith("#"):
            value, _, comment = line.partition("#")
            origins[table + value.partition("=")[0].strip()] = f"{value.partition('=')[2].strip()} {comment.strip()}"
    return origins


def test_every_value_says_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prune-audit.toml").write_text(
        'extends = "strict"\nmargin = 3\nconfidence = 0.9\n'
        "[rules.accuracy-drop]\nlimit = 4\n[rules.harmed]\nlimit = 0.9\n"
    )
    monkeypatch.setenv("PRUNE_AUDIT_CONFIDENCE", "0.8")
    monkeypatch.setenv("PRUNE_AUDIT_CORRECTION", "holm")
    monkeypatch.setenv("PRUNE_AUDIT_RULE", "alpha=warn:1.5 density=warn:10")
    origins = shown(capsys, "--correction", "none", "--rule", "group-gap=error")
    path = "prune-audit.toml"
    assert origins["inconclusive"] == '"forbid" preset strict'
    assert origins["margin"] == f"3 {path}:2"
    assert origins["assure"] == "5 default"
    assert origins["confidence"] == "0.8 PRUNE_AUDIT_CONFIDENCE"
    assert origins["correction"] == '"none" --correction'
    assert origins["retention-margin"] == f"0.9 {path}:7"
    assert origins["accuracy-drop.limit"] == f"4 points; {path}:5"
    assert origins["min-support.limit"] == "1 samples; preset strict"
    assert origins["group-gap.level"] == '"error" --rule'
    assert origins["alpha.level"] == '"off" preset strict'  # a flag that repeats replaces its variable


def test_a_variable_sets_rules(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PRUNE_AUDIT_RULE", "alpha=warn:1.5 density=warn:10")
    monkeypatch.setenv("PRUNE_AUDIT_POLICY", "screen")
    monkeypatch.setenv("PRUNE_AUDIT_STRICT", "1")
    origins = shown(capsys)
    assert origins["alpha.limit"] == "1.5 ratio; PRUNE_AUDIT_RULE"
    assert origins["density.level"] == '"warn" PRUNE_AUDIT_RULE'
    assert origins["harmed.level"] == '"warn" preset screen'
    assert origins["inconclusive"] == '"forbid" PRUNE_AUDIT_STRICT'


def test_a_wide_margin_takes_the_assurance_limit_along(capsys: pytest.CaptureFixture[str]) -> None:
    origins = shown(capsys, "--margin", "7")
    assert (origins["margin"], origins["assure"]) == ("7 --margin", "7 default")


@pytest.mark.parametrize("name", ["report-only", "screen", "default", "strict"])
def test_what_is_printed_is_a_policy_that_says_the_same(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["policy", "--policy", name, "--rule", "worst-class-recall=warn:60"]) == 0
    printed = capsys.readouterr().out
    tomllib.loads(printed)
    (tmp_path / "again.toml").write_text(printed)
    again = rules.read_policy(tmp_path / "again.toml")
    expected = rules.overlaid(rules.preset(name), rules.of_rule("worst-class-recall=warn:60", "x"))
    assert dict(again.rules) == dict(expected.rules)
    assert again.inconclusive == expected.inconclusive
    assert again.settings == {
        "margin": 0.02,
        "assure": 0.05,
        "retention_margin": 0.95,
        "confidence": 0.95,
        "correction": "fdr_bh",
        "reference": "accuracy",
        "expect_tolerance": 0.02,
    }


def test_waivers_come_back_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '[[waivers]]\nrule = "harmed"\nclass = "a \\"b\\""\nreason = "ü"\nexpires = 2027-01-31\n'
    (tmp_path / "prune-audit.toml").write_text(f'extends = "default"\n{text}', encoding="utf-8")
    assert invoke(["policy"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "again.toml").write_text(printed, encoding="utf-8")
    (first,) = rules.read_policy(tmp_path / "prune-audit.toml").waivers
    (second,) = rules.read_policy(tmp_path / "again.toml").waivers
    assert replace(second, origin=first.origin) == first
    assert "# prune-audit.toml:2" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--margin", "0.02"], "--margin: margin: 0.02 is less than a tenth of a point"),
        (["--correction", "bh"], "--correction: expected one of fdr_bh"),
        (["--policy", "none.toml"], "none.toml: cannot be read"),
        (["--rule", "harmed"], "--rule: expected NAME=LEVEL"),
        (["--margin", "4", "--assure", "3"], "--assure: assure: 3 points are less than the margin of 4"),
    ],
)
def test_what_is_impossible_is_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["policy", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {message}")
    assert captured.out == ""
