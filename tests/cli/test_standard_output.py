"""One report on standard output, and all else on standard error."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from prune_audit import plugins, reports
from tests.cli._run import here, process
from tests.conftest import ROOT
from tests.reports import audits

COMPARED = ["compare", "sample_models/dense.onnx", "sample_models/pruned-90.onnx", "--data", "sample_models/val"]
TEXTS = ("json", "csv", "markdown", "junit", "sarif", "html", "github")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    reports.write(audits.judged(), tmp_path / "a.json")
    return tmp_path / "a.json"


@pytest.mark.parametrize("form", TEXTS)
def test_what_a_file_of_that_format_would_hold(saved: Path, form: str) -> None:
    done = here(["report", saved, "-o", "-", "--format", form])
    assert (done.returncode, done.stderr) == (0, "")
    [suffix] = plugins.load("reports", form).SUFFIXES or [None]
    if suffix is None:
        assert done.stdout.startswith("::error ")
        return
    reports.write(audits.judged(), saved.with_name(f"b{suffix}"))
    expected = saved.with_name(f"b{suffix}").read_bytes().decode().replace("\r\n", "\n")
    if form == "csv":
        assert [*csv.reader(io.StringIO(done.stdout))] == [*csv.reader(io.StringIO(expected))]
    elif form == "json":
        assert json.loads(done.stdout) == json.loads(expected)
    assert done.stdout.rstrip("\n") == expected.rstrip("\n")


def test_a_dialect_and_files_beside(saved: Path) -> None:
    to = saved.with_name("b.md")
    done = here(["report", saved, "-o", "-", "--format", "sarif", "--dialect", "sarif=whole", "-o", to])
    assert len(json.loads(done.stdout)["runs"][0]["results"]) > len(
        json.loads(here(["report", saved, "-o", "-", "--format", "sarif"]).stdout)["runs"][0]["results"]
    )
    assert done.stderr == f"wrote {to}\n"
    assert to.is_file()


def test_annotations_make_way(saved: Path) -> None:
    done = here(["report", saved, "-o", "-", "--format", "json", "--github"])
    json.loads(done.stdout)
    assert done.stderr.startswith("::error ")
    assert here(["report", saved, "--github", "-q"]).stdout.startswith("::error ")


def test_the_exit_code_is_the_gates() -> None:
    done = here([*COMPARED, "--gate", "-o", "-", "--format", "json", "-q"])
    assert json.loads(done.stdout)["outcome"] == "failed"
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "-"], "-o - has no suffix that chooses a format"),
        (["--format", "json"], "--format says what -o - writes, and nothing goes there"),
        (["-o", "-", "-o", "-", "--format", "json"], "-o -: standard output takes one report of one audit"),
        (["-o", "-", "--format", "png"], "png is no text"),
        (["-o", "-", "--format", "parquet"], "parquet is no text"),
        (["-o", "-", "--format", "jsn"], "no plugin 'jsn' in reports"),
    ],
)
def test_refused_before_anything_is_read(arguments: list[str], message: str) -> None:
    done = here(["report", "absent.json", *arguments])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}\nhint: ")


def test_a_pair_of_audits_is_refused(sample_models: Path) -> None:
    data = sample_models / "val"
    done = here(["compare", "a.onnx", "b.onnx", "--data", data, "--confirm", data, "-o", "-", "--format", "json"])
    assert done.returncode == 2
    assert "one report of one audit" in done.stderr


def test_every_file_is_said_unless_quiet(saved: Path) -> None:
    to = saved.with_name("b.csv")
    assert here(["report", saved, "-o", to]).stderr == f"wrote {to}\n"
    assert here(["report", saved, "-o", to, "-q"]).stderr == ""


@pytest.mark.parametrize("how", ["auto", "never", "plain"])
def test_progress_where_there_is_no_terminal(how: str) -> None:
    done = process([*COMPARED, "--no-cache", "--progress", how], environment={"FORCE_COLOR": "1"})
    assert done.returncode == 0
    assert "\x1b[?25l" not in done.stderr, "no cursor is hidden where nobody looks"
    lines = done.stderr.splitlines()
    if how != "plain":
        assert lines == []
        return
    assert 2 <= len(lines) <= 10
    assert all(line.startswith("evaluating: ") for line in lines)
    assert lines[-1] == "evaluating: 100 %, 1,078 of 1,078"


@pytest.mark.parametrize(("how", "drawn"), [("auto", True), ("never", False)])
def test_progress_on_a_terminal(how: str, drawn: bool) -> None:
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "prune_audit", *COMPARED, "--no-cache", "--progress", how]
    environment = {**os.environ, "TERM": "xterm"}
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=terminal, env=environment)
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert running.wait() == 0
    assert (b"evaluating" in shown) == drawn
