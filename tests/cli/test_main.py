"""Exit codes: 1 means that a check failed and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from prune_audit import reports
from prune_audit.cli import _app, invoke
from tests.cli._run import process
from tests.conftest import ROOT
from tests.reports import audits


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    for flag in ("--version", "-V"):
        assert invoke([flag]) == 0
        assert capsys.readouterr().out.strip() == version("prune-audit")


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--help"]) == 0
    top = capsys.readouterr().out
    assert set(_app.commands()) >= {"check", "compare", "inspect", "list", "report"}
    for command in _app.commands():
        assert command in top
        assert invoke([command, "--help"]) == 0
        assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nonsense"], ["compare"], ["compare", "--nonsense"], ["check", "a", "b"]])
def test_wrong_usage_is_2_with_a_hint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "hint: see `prune-audit" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "sample_models/dense.onnx", "LONG", "--data", "sample_models/val"],
        ["compare", "sample_models/dense.onnx", "sample_models/pruned-90.onnx", "--data", "LONG"],
        ["compare", "sample_models/dense.onnx", "sample_models/pruned-90.onnx", "--data", "val", "-o", "LONG.json"],
        ["inspect", "LONG"],
        ["cache", "--cache", "LONG"],
        ["study", "LONG"],
    ],
)
def test_a_name_that_is_too_long_for_the_system_is_no_fault_of_ours(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert invoke([each.replace("LONG", 5000 * "x") for each in arguments]) == 2
    assert capsys.readouterr().err.endswith("File name too long\nhint: check the path\n")


def test_a_working_directory_that_is_gone_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert invoke(["list", "stats"]) == 2
    seen = capsys.readouterr()
    assert seen.err.startswith("error: the working directory is no longer there\nhint: ")
    assert not seen.out


def test_a_variable_that_nothing_reads_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRUNE_AUDIT_MARGIN", "3")
    for name in ("DEBUG", "UPDATE", "NO_SKIP"):
        monkeypatch.setenv(f"PRUNE_AUDIT_{name}", "")
    assert invoke(["list"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("PRUNE_AUDIT_MARGN", "40")
    monkeypatch.setenv("PRUNE_AUDIT_WEATHER", "fine")
    assert invoke(["list"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: PRUNE_AUDIT_MARGN is set, but there is no such setting; did you mean PRUNE_AUDIT_MARGIN?",
        "note: PRUNE_AUDIT_WEATHER is set, but there is no such setting",
    ]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MARGIN", "x", "Invalid value for PRUNE_AUDIT_MARGIN: "),
        ("MARGIN", "0.01", "PRUNE_AUDIT_MARGIN: expected points, 0 or from 0.1 on, found 0.01"),
        ("ASSURE", "200", "PRUNE_AUDIT_ASSURE: expected points"),
        ("CORRECTION", "x", "PRUNE_AUDIT_CORRECTION: expected one of"),
        ("REFERENCE", "x", "PRUNE_AUDIT_REFERENCE: expected one of"),
    ],
)
def test_a_wrong_value_of_a_variable_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"PRUNE_AUDIT_{name}", value)
    assert invoke(["compare", "a.pt", "b.pt", "--data", "."]) == 2
    assert capsys.readouterr().err.startswith(f"error: {told}")
    monkeypatch.delenv(f"PRUNE_AUDIT_{name}")
    assert invoke(["compare", "a.pt", "b.pt", "--data", ".", f"--{name.lower()}", value]) == 2
    assert f"--{name.lower()}" in capsys.readouterr().err.splitlines()[0]


def test_no_argument_shows_the_help() -> None:
    done = process([])
    assert done.returncode == 2
    assert "compare" in done.stdout + done.stderr
    assert "error" not in done.stderr


def test_a_fault_of_ours_is_2_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(asked: str) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(_app, "build", broken)
    assert invoke(["list"]) == 2
    captured = capsys.readouterr()
    assert "RuntimeError: a defect" in captured.err
    assert "Traceback" not in captured.err
    monkeypatch.setenv("PRUNE_AUDIT_DEBUG", "1")
    assert invoke(["list"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1])
def test_code_that_exits_on_its_own_cannot_choose_the_exit_code(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leaves(asked: str) -> None:
        sys.exit(code)

    monkeypatch.setattr(_app, "build", leaves)
    assert invoke(["list"]) == 2
    assert "SystemExit" in capsys.readouterr().err


def test_an_import_that_fails_is_2(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('rich is broken')\n")
    done = process(["list"], environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "rich is broken" in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def interrupts(disposition: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    """Whether processes started meanwhile can be interrupted, however these tests themselves were started.

    A shell ignores interrupts for what it starts in the background, and all that this starts in turn does, too.
    """
    before = signal.signal(signal.SIGINT, disposition)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


INTERRUPTS_ITSELF = """
import os, signal, sys
from prune_audit import plugins
from prune_audit.cli import main

names = plugins.names
plugins.names = lambda room: (os.kill(os.getpid(), signal.SIGINT), names(room))[1]
sys.argv = ["prune-audit", "list"]
main()
"""


def test_an_interrupt_is_130() -> None:
    with interrupts(signal.default_int_handler):
        command = [sys.executable, "-c", INTERRUPTS_ITSELF]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr.startswith("interrupted: ")


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    with interrupts(signal.SIG_IGN):
        command = [sys.executable, "-c", INTERRUPTS_ITSELF]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_from_outside_is_130(sample_models: Path) -> None:
    """Says that it is ready from within the guard, and is interrupted some way into the import of torch."""
    code = (
        "import sys\n"
        "from prune_audit.cli import _app, main\n"
        "build = _app.build\n"
        "_app.build = lambda asked: (print('ready', flush=True), build(asked))[1]\n"
        "main()"
    )
    arguments = [sample_models / "dense.pt", sample_models / "pruned-90.pt", "--data", sample_models / "val"]
    command = [sys.executable, "-c", code, "compare", *map(str, arguments)]
    with interrupts(signal.default_int_handler):
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    assert errors.startswith(b"interrupted: ")
    assert errors.count(b"\n") == 1


def test_a_closed_pipe_is_never_1(sample_models: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [sample_models / "dense.onnx", sample_models / "pruned-90.onnx", "--data", sample_models / "val"]
    command = [sys.executable, "-m", "prune_audit", "compare", *map(str, arguments)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, text=True, check=False)
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [["list"], ["list", "--long"], ["--help"], ["list", "--help"], ["report", "a"]])
def test_standard_output_that_takes_nothing_is_2_and_no_fault(tmp_path: Path, arguments: list[str]) -> None:
    reports.write(audits.thousand(), tmp_path / "a.json")
    named = [str(tmp_path / "a.json") if a == "a" else a for a in arguments]
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "prune_audit", *named]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=ROOT, text=True, check=False)
    assert done.returncode == 2
    said, hint = done.stderr.splitlines()
    assert said == "error: standard output cannot be written: No space left on device"
    assert hint.startswith("hint: ")


def test_another_file_that_cannot_be_written_is_not_taken_for_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(asked: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_app, "build", full)
    assert invoke(["list"]) == 2
    assert "a fault in prune-audit or its installation: OSError" in capsys.readouterr().err


def test_the_working_directory_is_not_imported_from(tmp_path: Path) -> None:
    """A file beside the data must not stand in for a library: it is not even asked for without a factory."""
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('imported from the working directory')\n")
    arguments = [ROOT / "sample_models" / name for name in ("dense.onnx", "pruned-90.onnx")]
    done = process(["compare", *arguments, "--data", ROOT / "sample_models" / "val", "-q"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_help_breaks_its_lines_where_the_terminal_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert invoke(["compare", "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("Every sample"))
    paragraph = lines[start : lines.index("", start)]
    assert len(paragraph) > 2
    assert all(len(line) > 60 for line in paragraph[:-1])
