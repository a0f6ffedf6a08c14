"""prune-audit demo: writes into an empty folder or its own, audits, and names commands that work there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from prune_audit import shipped
from prune_audit.cli import _app, demo
from tests.cli._run import here


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An empty folder in which the demo ran, and what it printed."""
    folder = tmp_path_factory.mktemp("empty")
    done = here(["demo"], cwd=folder)
    assert (done.returncode, done.stderr) == (0, "wrote audit.json\n")
    return folder, done.stdout


def test_it_writes_models_and_data_and_audits_them(shown: tuple[Path, str]) -> None:
    folder, out = shown
    written = {path.relative_to(folder / "prune-audit-demo").as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {demo.MARK, "audit.json", *(name for name, _ in shipped.demo())}
    assert "prune-audit-demo: two models and 1,078 labelled images" in out
    assert re.search(r"^8 +104 .* regressed +yes: intensified$", out, re.M)


def test_the_next_three_commands_work_there_and_leave_what_is_said(shown: tuple[Path, str]) -> None:
    folder, out = shown
    said = out.partition("What to type next:\n")[2].splitlines()
    assert said[0].split() == ["cd", "prune-audit-demo"]
    commands = [shlex.split(line, comments=True) for line in said[1:]]
    assert [command[0] for command in commands] == 3 * ["prune-audit"]
    codes = [here(command[1:], cwd=folder / "prune-audit-demo").returncode for command in commands]
    assert codes == [0, 1, 0]
    assert "exit code 1" in said[2]
    assert (folder / "prune-audit-demo" / "audit.html").stat().st_size > 0
    assert {command[1] for command in commands} <= set(_app.commands())


def test_the_command_that_it_shows_is_the_one_that_it_runs(shown: tuple[Path, str]) -> None:
    folder, out = shown
    (command,) = re.findall(r"^\$ prune-audit (.*)$", out, re.M)
    again = here(shlex.split(command), cwd=folder / "prune-audit-demo")
    assert again.stdout in out


def test_its_own_folder_is_written_anew_and_the_rest_left(shown: tuple[Path, str]) -> None:
    folder = shown[0] / "prune-audit-demo"
    (folder / "dense.pt").write_bytes(b"spoilt")
    (folder / "notes.txt").write_text("mine")
    other = shown[0] / "other"
    other.write_text("not of the demo")
    (folder / "pruned-90.pt").unlink()
    (folder / "pruned-90.pt").symlink_to(other)
    done = here(["demo", "."], cwd=folder)
    assert done.returncode == 0
    assert "cd " not in done.stdout
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "dense.pt").read_bytes() == dict(shipped.demo())["dense.pt"]
    assert other.read_text() == "not of the demo"


def test_a_folder_of_somebody_elses_is_refused_whole(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = here(["demo", tmp_path])
    assert done.returncode == 2
    assert "expected an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert here(["demo", tmp_path / "thesis.txt"]).returncode == 2
    assert here(["demo", tmp_path / "thesis.txt" / "below"]).returncode == 2
