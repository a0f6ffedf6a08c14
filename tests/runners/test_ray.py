"""Tasks on a Ray cluster: the report of one machine, though one of two workers is killed on the way; and a study.

Ray stays imported in a process and warns of itself, so all that runs it is a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from prune_audit import runners
from prune_audit.cli import invoke
from prune_audit.core import Settings
from prune_audit.errors import MissingExtra, UsageError
from prune_audit.runners import ray
from prune_audit.study.results import read
from tests.conftest import ROOT
from tests.study.studies import planned

SAMPLES = ROOT / "sample_models"
PAIR = [str(SAMPLES / f"{name}.onnx") for name in ("dense", "pruned-90")]
COMPARE = ["compare", *PAIR, "--data", str(SAMPLES / "val"), "-q", "--reproducible", "--no-cache"]

# Run with: the pin, the report, where to write which processes worked, and which was killed, the command, and another
# that is given afterwards, whose code is written beside.
AUDIT = """
import json, os, signal, sys, threading, time
from pathlib import Path
import ray
from prune_audit.cli import invoke

pin, report, told = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
command, after = map(json.loads, sys.argv[4:])
seen, killed = set(), []

def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

def ours(pid):
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = parent(pid)
    return False

def watch():
    while True:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if b"ray::_do" in (process / "cmdline").read_bytes() and ours(int(process.name)):
                    seen.add(int(process.name))
                    if len(seen) == 2 and not killed:
                        killed.append(int(process.name))
                        os.kill(killed[0], signal.SIGKILL)
            except (OSError, ValueError):  # it has just ended
                pass
        time.sleep(0.02)

ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
threading.Thread(target=watch, daemon=True).start()
code = invoke([*command, "--runner", "ray", "--pin", str(pin), "-o", report])
told.write_text(json.dumps({"code": code, "workers": len(seen), "killed": len(killed), "after": invoke(after)}))
"""


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: prune-audit[ray]")
def test_a_worker_that_is_killed_costs_what_it_was_at_and_the_report_is_that_of_one_machine(tmp_path: Path) -> None:
    pin, alone, together, told = (tmp_path / name for name in ("pin.json", "alone.json", "ray.json", "told.json"))
    asked = [*COMPARE, "--threads", "1", "--batch-size", "16"]
    assert invoke([*asked, "--pin", str(pin), "-o", str(alone)]) == 0
    # Two models of one thread make a part of two processors, and there are four: two workers at once.
    study = [str(planned(tmp_path)), "--threads", "1", "-q"]
    assert invoke(["study", *study, "-o", str(tmp_path / "one")]) == 0
    after = ["study", *study, "-o", str(tmp_path / "both"), "--runner", "ray"]
    script = [sys.executable, "-c", AUDIT, str(pin), str(together), str(told), json.dumps(asked), json.dumps(after)]
    quiet = {"RAY_worker_niceness": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(script, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=580, check=False)
    assert told.exists(), done.stderr
    found = json.loads(told.read_text())
    assert (found["code"], found["killed"], found["after"]) == (0, 1, 0), done.stderr
    assert found["workers"] > 2
    assert together.read_bytes() == alone.read_bytes()
    frames = [
        [each.drop(columns="seconds", errors="ignore") for each in read([tmp_path / of])[1:]] for of in ("one", "both")
    ]
    for one, other in zip(*frames, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_without_ray_the_extra_is_named_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match="needs Ray") as caught:
        runners.check("ray")
    assert "prune-audit[ray]" in caught.value.hint


@pytest.mark.parametrize("more", [["--device", "cuda"], ["--until-settled"]])
def test_what_no_cluster_does_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    monkeypatch.setattr(ray, "ready", lambda: None)
    assert invoke([*COMPARE, "--runner", "ray", *more]) == 2
    assert "hint: " in capsys.readouterr().err


def test_the_address_is_of_this_runner_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([*COMPARE, "--ray-address", "auto"]) == 2
    assert "--ray-address is an option of ray, and threads was chosen" in capsys.readouterr().err


def test_errors_come_back_from_elsewhere_as_they_were() -> None:
    import pickle

    fault = pickle.loads(pickle.dumps(UsageError("what", hint="how")))
    assert (type(fault), fault.message, fault.hint) == (UsageError, "what", "how")
    assert "hint: how" in fault.__notes__


def test_a_runner_that_is_here_does_what_one_elsewhere_cannot() -> None:
    assert runners.elsewhere("ray")
    assert runners.here("ray") == runners.here("threads") == Settings().runner
