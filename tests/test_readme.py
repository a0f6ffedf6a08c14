"""The README and the page on use tell the truth: their commands exist, and what is shown is what is printed."""

from __future__ import annotations

import re
import shlex

import pytest

from prune_audit.cli import _app, invoke
from tests.conftest import ROOT

README, USE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/use.md"))


@pytest.mark.workers
def test_the_audit_that_is_shown_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = re.search(r"```console\n\$ prune-audit (.*)\n([\s\S]*?)```", USE)
    assert shown is not None
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "100")
    assert invoke(shlex.split(shown[1])) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "\n".join(printed).strip() == shown[2].strip()


def test_every_command_it_names_exists() -> None:
    for text, least in ((README, {"compare", "check", "plan", "explain", "mitigate"}), (USE, {"report", "inspect"})):
        named = set(re.findall(r"prune-audit ([a-z]+)[ `]", text))
        assert least <= named <= set(_app.commands())


def test_every_flag_it_names_exists(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    helps = ""
    for command in _app.commands():
        invoke([command, "--help"])
        helps += capsys.readouterr().out
    ours = set(re.findall(r"--[a-z][a-z-]+", README + USE))
    assert ours <= set(re.findall(r"--[a-z][a-z-]+", helps))


def test_its_policy_is_a_policy(tmp_path_factory: pytest.TempPathFactory) -> None:
    from prune_audit.rules import read_policy

    block = re.search(r"```toml\n([\s\S]*?)```", README)
    assert block is not None
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.write_text(block[1], encoding="utf-8")
    policy = read_policy(path)
    assert policy.inconclusive == "forbid"
    assert policy.rules["recall-drop"].limit == 0.03
