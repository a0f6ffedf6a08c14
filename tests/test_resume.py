"""A run that is killed goes on where it stopped, and two runs at once do not harm each other: with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.cli._run import here
from tests.conftest import ROOT

# The command as it is, but for rows that are written a few times a second.
COMMAND = """
import sys
from prune_audit.cli import main
from prune_audit.evaluate import cache
cache.FLUSH_SECONDS = 0.05
main()
"""
NETWORK = """
import time
import torch

class Slow(torch.nn.Module):
    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.linear = seconds, torch.nn.Linear(64, 10)

    def forward(self, image):
        time.sleep(self.seconds)
        with open("calls.txt", "a") as calls:
            calls.write(f"{len(image)}\\n")
        return self.linear(image.flatten(1))
"""


@pytest.fixture
def folder(tmp_path: Path, sample_models: Path) -> Path:
    """Weights that read the digits of the sample, and a network that takes its time."""
    (tmp_path / "slow_net_of_test_resume.py").write_text(NETWORK)
    from prune_audit.core import DataSource, Expects, Settings
    from prune_audit.data import load

    digits = load(DataSource(path=sample_models / "val"), Expects(), Settings())
    rows = list(range(len(digits.labels)))
    x = torch.from_numpy(digits.read(rows).inputs["image"]).flatten(1).double() / 255
    y = torch.nn.functional.one_hot(torch.from_numpy(digits.labels), 10).double()
    weight = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), y, driver="gelsd").solution.T.float()
    state = {"linear.weight": weight[:, :-1].contiguous(), "linear.bias": weight[:, -1].contiguous()}
    torch.save(state, tmp_path / "dense.pth")
    state["linear.weight"] = state["linear.weight"] * (state["linear.weight"].abs() > 0.05)
    torch.save(state, tmp_path / "pruned.pth")
    return tmp_path


def command(folder: Path, sample_models: Path, *, seconds: float, cache: str, out: str) -> list[str]:
    models = [f"{folder}/{name}.pth@slow_net_of_test_resume:Slow({seconds})" for name in ("dense", "pruned")]
    options = ["--data", str(sample_models / "val"), "--batch-size", "16", "--cache", cache, "-o", out]
    return [sys.executable, "-c", COMMAND, "compare", *models, *options, "-q", "--reproducible"]


def calls(folder: Path) -> int:
    path = folder / "calls.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_killed_run_goes_on_and_ends_the_same(folder: Path, sample_models: Path) -> None:
    arguments = command(folder, sample_models, seconds=0.05, cache="kept", out="resumed.json")
    process = subprocess.Popen(arguments, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 60
    while len(list(folder.glob("kept/predictions/*/part-*"))) < 4:
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline, "no predictions were kept"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "resumed.json").exists()
    before = calls(folder)
    subprocess.run(arguments, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    resumed = calls(folder) - before
    (folder / "calls.txt").unlink()
    whole = here(command(folder, sample_models, seconds=0.05, cache="other", out="whole.json")[3:], cwd=folder)
    assert whole.returncode == 0, whole.stderr
    # Batches of 16: 300 and 778 samples are 19 + 49 a model. Further calls look at the model itself, on a few samples.
    assert calls(folder) >= 2 * (19 + 49)
    assert resumed < calls(folder) - 4
    assert (folder / "resumed.json").read_bytes() == (folder / "whole.json").read_bytes()


def test_two_runs_at_once_end_the_same_and_leave_a_whole_store(folder: Path, sample_models: Path) -> None:
    both = [command(folder, sample_models, seconds=0.002, cache="kept", out=f"{name}.json") for name in "ab"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(arguments, cwd=folder, env=environment) for arguments in both]
    assert [process.wait() for process in running] == [0, 0]
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()
    (folder / "calls.txt").unlink()
    known = here(command(folder, sample_models, seconds=0.002, cache="kept", out="c.json")[3:], cwd=folder)
    assert known.returncode == 0, known.stderr
    assert calls(folder) == 0
    assert (folder / "c.json").read_bytes() == (folder / "a.json").read_bytes()
    assert json.loads((folder / "a.json").read_text())["comparisons"][0]["flipped"] > 0
