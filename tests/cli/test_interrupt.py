"""Ctrl-C ends a run whatever it is in, with 130, in bounded time and without a traceback; what is done is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from prune_audit.cli import _interrupt
from prune_audit.evaluate.loop import FIRST
from prune_audit.evaluate.sampling import stratified
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems have no SIGINT to send")

CLASSES, COUNT = 3, 3000
NEVER = 77.0  # a value in a sample from which the models below never return
SOON = 20  # seconds within which everything must have come to its end, also on a busy machine


@pytest.fixture(autouse=True)
def _can_be_interrupted() -> Iterator[None]:
    """However these tests themselves were started: a shell ignores interrupts for what is in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def endless_onnx(path: Path, *, always: bool) -> None:
    """The input as scores, after a loop that ends at once unless a sample holds `NEVER`, or never."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["n", "one"], ["more"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("n", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, []),
        ],
        [numpy_helper.from_array(np.array(1, np.float32), "one")],
    )
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
            helper.make_node("GreaterOrEqual", ["most", "never"], ["endless"]),
            helper.make_node("Loop", ["", "endless", "zero"], ["n"], body=body),
            helper.make_node("Mul", ["n", "zero"], ["nothing"]),
            helper.make_node("Add", ["x", "nothing"], ["scores"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", CLASSES])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", CLASSES])],
        [
            numpy_helper.from_array(np.array(-1e9 if always else NEVER, np.float32), "never"),
            numpy_helper.from_array(np.array(0, np.float32), "zero"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


class Endless(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        most = float(x.max())
        while most > -1e9:
            most = most + 0.0
        return x


def data(path: Path) -> None:
    """One sample holds `NEVER`, and is none of those that are looked at first."""
    rng = np.random.default_rng(31)
    y = np.arange(COUNT) % CLASSES
    x = rng.normal(size=(COUNT, CLASSES)).astype(np.float32)
    x[np.arange(COUNT), y] += 3
    later = np.setdiff1d(np.arange(COUNT), stratified(y, FIRST, 0))
    x[later[-1]] = NEVER
    np.savez(path, x=x, y=y)


def start(folder: Path, *arguments: str | Path, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "prune_audit", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
    )


def until(true: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def family(process: subprocess.Popen[str]) -> dict[int, float]:
    """The process and all that come from it, its workers: number -> seconds that it has computed for."""
    parents, seconds = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
            seconds[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    found = {process.pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {each: seconds[each] for each in found if each in seconds}


def ended(process: subprocess.Popen[str], *, within: float = SOON) -> str:
    began = time.monotonic()
    out, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert time.monotonic() - began < within
    assert told == _interrupt.TOLD
    assert not out
    return told


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not say what a process computes")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("kind", "isolate"), [("onnx", "never"), ("torchscript", "never"), ("onnx", "auto")])
def test_a_model_that_never_returns_is_ended(tmp_path: Path, kind: str, isolate: str) -> None:
    data(tmp_path / "data.npz")
    name = {"onnx": "m.onnx", "torchscript": "m.pt"}[kind]
    if kind == "onnx":
        endless_onnx(tmp_path / name, always=True)
    else:
        torch.jit.save(torch.jit.script(Endless()), tmp_path / name)
    how = {"PRUNE_AUDIT_ISOLATE": isolate}
    running = start(tmp_path, "compare", name, f"b={name}", "--data", "data.npz", "--cache", "kept", environment=how)
    started = 6 if isolate == "auto" else 4  # seconds after which a model is surely asked; the rest is its loop
    until(lambda: running.poll() is not None or sum(family(running).values()) > started)
    workers = [Path(f"/proc/{each}") for each in family(running) if each != running.pid]
    assert bool(workers) == (isolate == "auto")
    running.send_signal(signal.SIGINT)
    ended(running)
    until(lambda: not any(each.exists() for each in workers), seconds=10)


def test_what_is_done_is_kept_where_a_model_hangs_on_one_sample(tmp_path: Path) -> None:
    data(tmp_path / "data.npz")
    endless_onnx(tmp_path / "m.onnx", always=False)
    options = ("--data", "data.npz", "--batch-size", "50", "--cache", "kept")
    running = start(tmp_path, "predict", "m.onnx", *options, "-o", "p.csv")
    until(lambda: running.poll() is not None or any((tmp_path / "kept").rglob("*.json")))
    time.sleep(3)
    running.send_signal(signal.SIGINT)
    ended(running)
    listed = subprocess.run(
        [sys.executable, "-m", "prune_audit", "cache", "--cache", "kept"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    ).stdout
    assert f"of {COUNT:,}" in listed
    assert int(listed.partition(f" of {COUNT:,}")[0].split()[-1].replace(",", "")) >= FIRST


HANGS = """
import sys, time
from prune_audit.cli import _app, main

class Hangs:
    def __init__(self, asked): ...

    def __call__(self, args, prog_name, standalone_mode):
        try:
            print("ready", flush=True)
            time.sleep(1000)
        finally:
            print("unwinding", flush=True)
            time.sleep(1000)

_app.build = Hangs
sys.argv = ["prune-audit", "list"]
main()
"""


def test_a_second_interrupt_ends_at_once() -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    assert running.stdout.readline() == "unwinding\n"
    time.sleep(_interrupt.ONCE + 0.2)
    running.send_signal(signal.SIGINT)
    ended(running, within=_interrupt.UNWOUND / 2)


def test_a_run_that_does_not_unwind_is_ended() -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGINT)  # which is the same one, as `timeout` sends it
    assert running.stdout.readline() == "unwinding\n"
    ended(running)


def test_interrupts_that_somebody_else_sees_to_stay_theirs() -> None:
    def theirs(_which: int, _frame: object) -> None:
        raise AssertionError

    before, threads = signal.getsignal(signal.SIGTERM), threading.active_count()
    try:
        for interrupts, ends in ((theirs, signal.SIG_DFL), (signal.SIG_IGN, signal.SIG_IGN)):
            signal.signal(signal.SIGINT, interrupts)
            signal.signal(signal.SIGTERM, ends)
            _interrupt.listen()
            assert signal.getsignal(signal.SIGINT) is interrupts
            assert signal.getsignal(signal.SIGTERM) is ends
    finally:
        signal.signal(signal.SIGTERM, before)
    assert threading.active_count() == threads
