"""Memory that ran out is told from everything else, and ends a run with an error and a hint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from prune_audit import memory
from prune_audit.errors import DataError, ModelError
from tests.conftest import ROOT

RAN_OUT = (
    MemoryError(),
    MemoryError("Unable to allocate 8 GiB"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    RuntimeError("The following operation failed in the TorchScript interpreter.\nRuntimeError: CUDA out of memory."),
    RuntimeError(
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 9"
    ),
    RuntimeError("std::bad_alloc"),
    RuntimeError("can't start new thread"),
    OSError(12, "Cannot allocate memory"),
    ImportError("libx.so: failed to map segment from shared object"),
)


@pytest.mark.parametrize("fault", RAN_OUT, ids=lambda fault: f"{type(fault).__name__} {fault}"[:40])
def test_every_library_says_it_in_its_own_way(fault: BaseException) -> None:
    assert memory.exhausted(fault)
    outer = ModelError("m failed", hint="look")
    outer.__cause__ = fault
    assert memory.exhausted(outer)


def test_whatever_else_is_wrong_is_no_shortage() -> None:
    for fault in (ValueError("shape (1, 3)"), OSError(28, "No space left on device"), KeyboardInterrupt(), None):
        assert not memory.exhausted(fault)
    # A length in a damaged file may be larger than any memory, which its reader knows.
    damaged = DataError("m.npz is damaged", hint="copy it again")
    damaged.__context__, damaged.__suppress_context__ = MemoryError(), True
    assert not memory.exhausted(damaged)
    endless = ValueError("a")
    endless.__cause__ = endless
    assert not memory.exhausted(endless)


LIMITED = """
import resource, sys
import numpy, onnxruntime, pandas, pyarrow.parquet, torch, rich.progress, PIL.Image
from prune_audit.cli import main

taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv.pop(1)) * 2**20, resource.RLIM_INFINITY))
sys.argv[0] = "prune-audit"
main()
"""
limited = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system bounds no address space")


def run(folder: Path, megabytes: int, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(megabytes), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    assert "a fault in prune-audit" not in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


def wide(path: Path, *, most: int) -> None:
    """Scores that go by way of ``most`` numbers a sample."""
    graph = helper.make_graph(
        [
            helper.make_node("Expand", ["three", "shape"], ["large"]),
            helper.make_node("ReduceMean", ["large"], ["mean"], keepdims=0),
            helper.make_node("Add", ["x", "mean"], ["scores"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [
            numpy_helper.from_array(np.array([most], np.int64), "shape"),
            numpy_helper.from_array(np.array([0.0], np.float32), "three"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(8)
    y = np.arange(600) % 3
    np.savez(tmp_path / "data.npz", x=(rng.normal(size=(600, 3)) + 4 * np.eye(3)[y]).astype(np.float32), y=y)
    return tmp_path


@limited
@pytest.mark.parametrize("isolate", ["auto", "never"])
def test_a_run_that_takes_more_memory_than_there_is_ends_with_a_hint(folder: Path, isolate: str) -> None:
    """In this process, or in a worker that was started by one with this limit."""
    wide(folder / "m.onnx", most=2**31)
    options = ("--data", "data.npz", "--isolate", isolate, "--no-cache", "-q", "-o", "p.csv")
    error, hint = run(folder, 2000, "predict", "m.onnx", *options)
    assert error.startswith("error: m failed on input x ")
    assert hint.startswith(f"hint: {memory.HINT}")
    assert not (folder / "p.csv").exists()


@limited
def test_data_that_do_not_fit_end_with_a_hint(folder: Path) -> None:
    """Small on disk, for they are zeros."""
    np.savez_compressed(folder / "large.npz", x=np.zeros((2**18, 3, 16, 16), np.uint8), y=np.arange(2**18) % 3)
    wide(folder / "m.onnx", most=4)
    lines = run(folder, 150, "predict", "m.onnx", "--data", "large.npz", "--no-cache", "-q", "-o", "p.csv")
    assert len(lines) == 2
    assert memory.HINT in lines[1]


@limited
def test_a_factory_that_takes_too_much_ends_with_a_hint(folder: Path) -> None:
    torch.save(torch.nn.Linear(3, 3).state_dict(), folder / "m.pth")
    (folder / "nets_of_memory.py").write_text("import torch\ndef net(): return torch.nn.Linear(2**17, 2**16)\n")
    options = ("--data", "data.npz", "--no-cache", "-q", "-o", "p.csv")
    error, hint = run(folder, 2000, "predict", "m.pth@nets_of_memory:net", *options)
    assert error.startswith("error: the factory nets_of_memory:net raised ")
    assert hint.endswith(memory.HINT)


def test_a_shortage_anywhere_else_is_no_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from prune_audit.cli import _app, invoke

    def short(asked: str) -> None:
        raise MemoryError("Unable to allocate 8 GiB\nfor an array")

    monkeypatch.setattr(_app, "build", short)
    assert invoke(["list"]) == 2
    told = "error: memory ran out: MemoryError: Unable to allocate 8 GiB for an array"
    assert capsys.readouterr().err == f"{told}\nhint: {memory.HINT}\n"


@pytest.mark.parametrize("module", ["_pixels", "_sound"])
def test_a_sample_for_which_there_was_no_memory_is_not_an_unreadable_one(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else --skip-bad would leave it out."""
    import importlib

    reader = importlib.import_module(f"prune_audit.data.{module}")

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    if module == "_pixels":
        from prune_audit.core import Preprocess

        monkeypatch.setattr("PIL.Image.open", short)
        with pytest.raises(MemoryError):
            reader.decode(b"x", Preprocess(size=(4, 4)))
    else:
        soundfile = pytest.importorskip("soundfile")
        monkeypatch.setattr(soundfile, "SoundFile", short)
        with pytest.raises(MemoryError):
            reader.decode(b"x", 16000)
