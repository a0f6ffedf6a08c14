"""prune-audit mitigate: what it prints and writes, its exit codes, and bad input."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prune_audit.cli import _interrupt, invoke
from tests import arrays

DENSE = "sample_models/dense.pth@sample_models.make:network"
VAL = str(arrays.digits())


pytestmark = pytest.mark.usefixtures("in_repository", "few_draws")


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    path = tmp_path / "cut.pth"
    assert invoke(["prune", DENSE, "--method", "magnitude", "--density", ".03", "-o", str(path), "-q"]) == 0
    return path


def test_a_network_is_mended_and_shown_beside_its_controls(
    cut: Path, few_arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("fair.pth", "fair.json", "controls.csv", "multipliers.csv")}
    arguments = ["mitigate", DENSE, str(cut), "--method", "equal-loss", "--data", VAL, "--audit", str(few_arrays)]
    arguments += ["--same-data", "--epochs", "2", "-o", str(files["fair.pth"]), "-r", str(files["fair.json"])]
    arguments += ["--controls", str(files["controls.csv"]), "--multipliers", str(files["multipliers.csv"])]
    code = invoke(arguments)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{files['fair.pth']}: mended by equal-loss" in shown
    assert "cut is taken for weights of sample_models.make:network, as the dense model's are" in shown
    assert "the worst recall of fair is" in shown
    document = json.loads(files["fair.json"].read_text())
    assert code == (1 if "Gate default: FAILED" in shown else 0)
    (look,) = document["comparisons"][0]["looks"]
    assert [table["name"] for table in look["tables"]] == [
        "networks", "harm", "differences", "last-multipliers", "multipliers",
    ]  # fmt: skip
    assert "the classes that counted for most beyond their samples at the end: " in shown
    assert "How much each class counted for beyond its samples, at the end of epoch 2" in shown
    assert "after each epoch" not in shown
    rows = list(csv.DictReader(files["controls.csv"].read_text().splitlines()))
    assert [row["network"] for row in rows] == ["fair", "cut", "tuned", "tuned-balanced"]
    assert all(float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"]) for row in rows)
    multipliers = list(csv.DictReader(files["multipliers.csv"].read_text().splitlines()))
    assert [row["epoch"] for row in multipliers] == ["1"] * 10 + ["2"] * 10
    assert {each.name for each in tmp_path.iterdir()} == {*files, "cut.pth"}


@pytest.mark.skipif(os.name != "posix", reason="other systems have no SIGTERM to send")
def test_one_that_is_terminated_leaves_the_state_of_its_training_alone(
    cut: Path, few_arrays: Path, tmp_path: Path
) -> None:
    """In the background of a shell, which has it ignore what Ctrl-C sends."""
    (tmp_path / "out").mkdir()
    command = ["mitigate", DENSE, str(cut), "--method", "weighted", "--data", VAL, "--audit", str(few_arrays)]
    command += ["--same-data", "--epochs", "500", "--threads", "1", "-o", str(tmp_path / "out" / "fair.pth")]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        running = subprocess.Popen([sys.executable, "-m", "prune_audit", *command], stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/*.resume")):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert list(tmp_path.glob("out/.fair*"))
    running.send_signal(signal.SIGTERM)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 143
    assert told.endswith(_interrupt.TOLD)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["fair.pth.weighted.resume"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--method", "equal-loss", "--epochs", "1"], "400 of the 400 samples"),
        (["--method", "equal-loss", "--same-data"], "no epochs were given"),
        (["--method", "offsets", "--same-data", "--multipliers", "m.csv"], "no multipliers to write"),
        (["--method", "weighted", "--same-data", "--epochs", "1", "--window", "9"], "--window is an option of ceag"),
        (["--method", "weighted", "--same-data", "--epochs", "1", "--tol", "9"], "takes no --tol"),
        (["--method", "equal-loss", "--same-data", "--epochs", "1", "--controls", "c.txt"], "c.txt"),
        (["--method", "equal-loss", "--same-data", "--epochs", "1", "--by", "foot"], "no column 'foot'"),
    ],
)
def test_bad_input(
    more: list[str], said: str, cut: Path, few_arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fair.pth"
    arguments = ["mitigate", DENSE, str(cut), "--data", VAL, "--audit", str(few_arrays), "-o", str(out)]
    assert invoke([*arguments, *more]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert said in shown
    assert "hint:" in shown
    assert not out.exists()
