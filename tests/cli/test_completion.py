"""What shells are told, as they ask for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prune_audit import pruning
from prune_audit.cli import _app
from prune_audit.data import PRESETS
from tests.cli._run import here

BASH, ZSH = ({"_PRUNE_AUDIT_COMPLETE": f"complete_{shell}"} for shell in ("bash", "zsh"))


def bash(*words: str, cwd: Path | None = None) -> list[str]:
    """What is offered for the last of ``words``, as bash parts them."""
    asked = {"COMP_WORDS": "\n".join(("prune-audit", *words)), "COMP_CWORD": str(len(words))}
    done = here([], environment=BASH | asked, **({} if cwd is None else {"cwd": cwd}))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def zsh(line: str) -> str:
    done = here([], environment=ZSH | {"_TYPER_COMPLETE_ARGS": f"prune-audit {line}"})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_commands_and_options() -> None:
    assert bash("") == list(_app.commands())
    assert bash("com") == ["compare"]
    assert bash("compare", "--prep") == ["--preprocess"]
    assert bash("compare", "--correction", "b") == ["bonferroni"]
    assert '"compare":"Compare a dense model with' in zsh("comp")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["check", "a.json", "--policy", "st"], ["strict"]),
        (["check", "--rule", "harm"], ["harmed=error", "harmed=warn", "harmed=off"]),
        (["mitigate", "--method", "w"], ["weighted"]),
        (["prune", "--method", "tay"], ["taylor"]),
        (["prune", "--schedule", ""], list(pruning.schedules())),
        (["prune", "--mitigate", "off"], ["offsets"]),
        (["explain", "--lens", "re"], ["recalibrated", "regions", "representation"]),
        (["compare", "--task", "d"], ["detection"]),
        (["compare", "--preprocess", ""], sorted(PRESETS)),
        (["compare", "--runner", ""], ["ray", "threads"]),
        (["compare", "--log", "ml"], ["mlflow"]),
        (["list", "le"], ["lenses"]),
        (["list", "rules", "ha"], ["harmed"]),
        (["report", "a.json", "-o", "out/audit.s"], ["out/audit.sarif", "out/audit.svg"]),
        (["prune", "--report", "audit.j"], ["audit.json"]),
        (["report", "a.json", "-o", "audit.c"], ["audit.card.md", "audit.csv"]),
    ],
)
def test_values(words: list[str], offered: list[str], tmp_path: Path) -> None:
    assert sorted(bash(*words, cwd=tmp_path)) == sorted(offered)


def test_words_that_bash_has_parted() -> None:
    assert bash("check", "--rule", "harmed", "=") == ["error", "warn", "off"]
    assert bash("check", "--rule", "harmed", "=", "e") == ["error"]
    assert bash("check", "--policy", "=", "st") == ["strict"]
    assert bash("check", "--policy", "=", "st", "--rule", "=", "harmed", "=", "w") == ["warn"]


def test_zsh_gets_whole_words() -> None:
    assert zsh("compare --task=cl").startswith('_arguments \'*: :(("--task=classification":"')
    assert zsh("compare --task cl").startswith('_arguments \'*: :(("classification":"')


def test_files_beside_presets(tmp_path: Path) -> None:
    (tmp_path / "strange.toml").touch()
    (tmp_path / "strange.txt").touch()
    (tmp_path / "stories").mkdir()
    assert bash("check", "--policy", "st", cwd=tmp_path) == ["strict", "stories/", "strange.toml"]


def test_names_of_a_study_as_planned_and_as_run(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        'densities = [0.1, 0.05]\nmethods = ["magnitude", {name = "mine", method = "taylor", densities = [0.2]}]\n'
    )
    asked = ("--control", "m")
    assert bash("study", "s.toml", *asked, cwd=tmp_path) == [
        *("magnitude", "magnitude@0.05", "magnitude@0.1", "mine", "mine@0.2")
    ]
    assert bash("study", "s.toml", "--control", "mine", "@", cwd=tmp_path) == ["0.2"]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "runs.csv").write_text("method,density\nmagnitude,0.5\n")
    assert bash("study", "runs", *asked, cwd=tmp_path) == ["magnitude", "magnitude@0.5"]
    (tmp_path / "s.toml").write_text("methods = 7")
    assert bash("study", "s.toml", *asked, cwd=tmp_path) == []


def test_nothing_is_offered_that_a_shell_would_obey(tmp_path: Path) -> None:
    """zsh evaluates what it is told."""
    (tmp_path / "s.toml").write_text(
        """densities = [1]\nmethods = ["a$(touch gone)", 'a\\$(touch gone)', "a;b", "a"]\n"""
    )
    for name in ("st$(touch gone)", "st`touch gone`", "st;x", "st x"):
        (tmp_path / name).mkdir()
    assert bash("study", "s.toml", "--control", "a", cwd=tmp_path) == ["a", "a@1"]
    assert bash("check", "--policy", "st", cwd=tmp_path) == ["strict"]


def test_bash_itself_completes(tmp_path: Path) -> None:
    """The script is shown, read by bash, and its function asks what is called so."""
    command = tmp_path / "prune-audit"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m prune_audit "$@"\n')
    command.chmod(0o755)
    script = """
        eval "$(prune-audit --show-completion)"
        COMP_WORDS=(prune-audit check --rule harmed = e) COMP_CWORD=5
        complete -p prune-audit && _prune_audit_completion prune-audit && echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["complete -o default -F _prune_audit_completion prune-audit", "error"]


def test_installed_where_the_shell_looks(tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m prune_audit --install-completion; echo "left $?"'
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    script = tmp_path / ".bash_completions" / "prune-audit.sh"
    assert done.stdout.splitlines()[0] == f"bash completion installed in {script}"
    assert done.stdout.splitlines()[-1] == "left 0"
    assert str(script) in (tmp_path / ".bashrc").read_text()


def test_a_shell_that_nobody_knows_is_2() -> None:
    done = here([], environment={"_PRUNE_AUDIT_COMPLETE": "source_tcsh"})
    assert done.returncode == 2
    assert "tcsh not supported" in done.stderr


def test_fish_asks_whether_there_is_anything() -> None:
    fish = {"_PRUNE_AUDIT_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    for line, code in (("check --policy st", 0), ("check --policy nothing", 1)):
        done = here([], environment=fish | {"_TYPER_COMPLETE_ARGS": f"prune-audit {line}"})
        assert done.returncode == code
