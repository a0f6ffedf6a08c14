"""prune-audit inspect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from prune_audit.cli import inspect, invoke
from prune_audit.core import Expects, Input
from tests.conftest import ROOT


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert invoke(["inspect", *arguments]) == 0
    seen = capsys.readouterr()
    assert seen.err == ""
    return seen.out


@pytest.mark.workers
def test_density_of_every_layer_and_of_the_model(sample_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = sample_models / "pruned-90.onnx"
    graph = onnx.load(file).graph
    weights = [t for t in graph.initializer if len(t.dims) > 1]
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in weights}
    lines = [line.split() for line in told(capsys, str(file)).splitlines()]
    rows = {line[0]: line for line in lines if line and line[0] in arrays}
    assert rows.keys() == arrays.keys()
    for name, array in arrays.items():
        nonzero = int((array != 0).sum())
        assert rows[name][-4:] == [f"{nonzero:,}", f"{array.size:,}", f"{100 * nonzero / array.size:.2f}", "%"]
    nonzero, total = sum(int((a != 0).sum()) for a in arrays.values()), sum(a.size for a in arrays.values())
    assert ["all", "of", "these", f"{nonzero:,}", f"{total:,}", f"{100 * nonzero / total:.2f}", "%"] in lines


def test_no_line_ends_in_blanks(sample_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, str(sample_models / "dense.onnx")).splitlines()
    assert len(lines) > 10
    assert not [line for line in lines if line.endswith(" ")]


def test_what_the_file_is(sample_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import hashlib

    file = sample_models / "dense.onnx"
    text = told(capsys, f"mine={file}")
    assert f"({file.stat().st_size:,} bytes) on disk" in text
    assert hashlib.sha256(file.read_bytes()).hexdigest() in text
    assert "float32, ? x 1 x 8 x 8" in text
    assert text.split()[:2] == ["name", "mine"]
    arrays = [onnx.numpy_helper.to_array(t) for t in onnx.load(file).graph.initializer]
    total = sum(array.size for array in arrays if array.dtype == "float32")  # shapes are constants, not parameters
    assert f"parameters  {total:,}" in text


def test_zeros_compress_and_count_as_work(sample_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow

    dense, pruned = (told(capsys, str(sample_models / f"{name}.onnx")) for name in ("dense", "pruned-90"))
    content = (sample_models / "pruned-90.onnx").read_bytes()
    compressed = len(pyarrow.compress(content, codec="zstd", asbytes=True))
    [line] = [line for line in pruned.splitlines() if line.startswith("compressed")]
    assert line.endswith("by zstd")
    assert int(line.partition("(")[2].partition(" ")[0].replace(",", "")) == pytest.approx(compressed, rel=0.02)
    macs = [next(line for line in text.splitlines() if line.startswith("macs")) for text in (dense, pruned)]
    assert macs[0] == macs[1]


def test_no_macs_where_the_input_has_no_shape(sample_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "macs" not in told(capsys, str(sample_models / "dense.pt"))


def test_torchscript_says_the_same_as_onnx(sample_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def table(name: str) -> list[str]:
        return told(capsys, str(sample_models / name)).partition("layer ")[2].splitlines()[2:]

    assert [row.split()[-4:] for row in table("pruned-90.pt")] == [row.split()[-4:] for row in table("pruned-90.onnx")]


def test_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["inspect", "gone.onnx"]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("error: ")
    assert "gone.onnx" in seen.err
    assert "\nhint: " in seen.err


def test_a_pickle_is_refused_without_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    file = tmp_path / "whole.pt"
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Linear(4, 3)), file)
    assert invoke(["inspect", str(file)]) == 2
    assert "--allow-pickle" in capsys.readouterr().err
    text = told(capsys, str(file), "--allow-pickle")
    assert "2 x 1 x 3 x 3" in text
    assert "3 x 4" in text


def test_which_weights_of_a_checkpoint_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    weights = torch.load("sample_models/dense.pth", weights_only=True)
    halved = {f"module.{name}": value / 2 for name, value in weights.items()}
    torch.save({"net": weights, "net_ema": halved, "mask": {"fc.weight": torch.ones(1, 1)}}, tmp_path / "m.pth")
    model = f"{tmp_path / 'm.pth'}@sample_models.make:network"
    assert invoke(["inspect", model]) == 2
    assert "--state-key m=net or --state-key m=net_ema" in " ".join(capsys.readouterr().err.split())
    text = " ".join(told(capsys, model, "--state-key", "net_ema").split())
    assert "assumes weights net_ema behind 'module.'" in text
    assert "as asked; not used: net (" in text


def test_a_state_dict_needs_no_factory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = torch.ones(4, 6)
    weight[:, ::3] = 0
    state = {"rnn.weight_hh_l0": weight, "fc.weight": torch.ones(2, 4), "fc.bias": torch.ones(2), "table": weight}
    torch.save(state, tmp_path / "weights.pth")
    lines = [line.split() for line in told(capsys, str(tmp_path / "weights.pth")).splitlines()]
    assert ["rnn.weight_hh_l0", "recurrent", "4", "x", "6", "16", "24", "66.67", "%"] in lines
    assert ["all", "of", "these", "24", "32", "75.00", "%"] in lines
    assert ["not", "counted:", "table", "(4", "x", "6)"] in lines
    assert ["parameters", "58"] in lines


def test_zeros_that_rounding_explains_have_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    levels = np.random.default_rng(1).normal(0, 30, (40, 50)).round().clip(-127, 127).astype(np.int8)
    zeros = int((levels == 0).sum())
    assert zeros > 0
    node = onnx.helper.make_node("DequantizeLinear", ["w", "s"], ["d"])
    graph = onnx.helper.make_graph(
        [node, onnx.helper.make_node("MatMul", ["x", "d"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", 1, ["N", 40])],
        [onnx.helper.make_tensor_value_info("y", 1, ["N", 50])],
        [onnx.numpy_helper.from_array(levels, "w"), onnx.numpy_helper.from_array(np.array(0.1, np.float32), "s")],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "q.onnx")
    text = told(capsys, str(tmp_path / "q.onnx"))
    lines = [line.split() for line in text.splitlines()]
    assert ["w", "linear", "40", "x", "50", f"{2000 - zeros:,}", str(zeros), "2,000", "100.00", "%"] in lines
    assert "rounding explains" in text


def test_outputs_with_their_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [onnx.helper.make_node("Tanh", ["x"], ["a"]), onnx.helper.make_node("Exp", ["x"], ["b"])]
    values = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["n", 3]) for n in "xab"]
    graph = onnx.helper.make_graph(nodes, "g", values[:1], values[1:])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "m.onnx")
    text = told(capsys, str(tmp_path / "m.onnx"))
    assert "a (batch, 3), float32" in text
    assert "b (batch, 3), float32" in text
    assert "assumes" not in text
    text = " ".join(told(capsys, str(tmp_path / "m.onnx"), "--model-output", "b").split())
    assert "assumes output b (batch, 3) (as asked; not read: a (batch, 3); --model-output OUTPUT)" in text


def test_no_macs_of_a_sample_that_would_fill_the_memory() -> None:
    class Huge:
        expects = Expects(inputs=(Input(name="x", dtype="float32", shape=(None, 2**40, 2**20)),))

        def macs(self, inputs: object) -> int:
            raise AssertionError(inputs)

    assert inspect._macs(Huge()) is None  # type: ignore[arg-type]  # the rest of a model is not asked for
