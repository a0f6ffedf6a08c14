import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_library
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from torch import nn

from prune_audit.core import Array, Expects, ModelCard, ModelSource, Settings
from prune_audit.models import onnx
from prune_audit.models.onnx.macs import macs
from prune_audit.nets.module import TorchClassifier
from tests.benchmarks import mobilenet


def floats(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def model(nodes: Sequence[NodeProto], shape: Sequence[int | str], **weights: Array) -> ModelProto:
    """A model of ``nodes`` from ``x`` to ``y``, whose declared shape is wrong."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 17])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize(
    ("operator", "attributes", "x", "weights", "by_hand"),
    [
        # Every place of the output times the weights that meet there.
        ("Conv", {"strides": [2, 2], "pads": [1] * 4, "group": 2}, (2, 4, 8, 8), [(8, 2, 3, 3)], 2 * 8 * 16 * 18),
        ("Conv", {"auto_pad": "SAME_UPPER"}, (3, 4, 9), [(2, 4, 5)], 3 * 2 * 9 * 20),
        ("FusedConv", {"activation": "Relu"}, (1, 3, 8, 8), [(4, 3, 3, 3)], 4 * 36 * 27),
        # Every place of the input times the weights that spread it.
        ("ConvTranspose", {"strides": [2, 2], "group": 2}, (2, 4, 5, 5), [(4, 3, 3, 3)], 2 * 4 * 25 * 27),
        ("Gemm", {"transB": 1}, (5, 8), [(3, 8)], 5 * 8 * 3),
        ("Gemm", {"transA": 1}, (8, 5), [(8, 3)], 5 * 8 * 3),
        ("FusedGemm", {"activation": "Relu"}, (5, 8), [(8, 3)], 5 * 8 * 3),
        ("MatMul", {}, (2, 5, 8), [(8, 3)], 2 * 5 * 8 * 3),
        ("MatMul", {}, (2, 5, 8), [(8,)], 2 * 5 * 8),
        ("MatMul", {}, (4, 2, 5, 8), [(2, 8, 3)], 4 * 2 * 5 * 8 * 3),
        ("MatMulNBits", {"K": 64, "N": 3, "bits": 4, "block_size": 32}, (2, 5, 64), [(3, 2, 16)], 2 * 5 * 64 * 3),
        ("Einsum", {"equation": "bik, ko -> bio"}, (2, 5, 8), [(8, 3)], 2 * 5 * 8 * 3),
        ("LSTM", {"hidden_size": 6}, (5, 2, 4), [(1, 24, 4), (1, 24, 6)], 5 * 2 * 4 * (4 * 6 + 6 * 6)),
        ("Mul", {}, (2, 5, 8), [(8,)], 0),
    ],
)
def test_counts_by_hand(
    operator: str, attributes: dict[str, Any], x: tuple[int, ...], weights: list[tuple[int, ...]], by_hand: int
) -> None:
    own = operator.startswith("Fused") or operator == "MatMulNBits"
    named = {f"w{k}": floats(*shape) for k, shape in enumerate(weights)}
    node = helper.make_node(operator, ["x", *named], ["y"], domain="com.microsoft" if own else "", **attributes)
    assert macs(model([node], ["N", *x[1:]], **named), {"x": floats(*x)}) == by_hand


def test_a_shape_that_the_graph_computes() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], start=0, end=1),
        helper.make_node("Div", ["s", "three"], ["heads"]),
        helper.make_node("Mul", ["heads", "three"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    made = model(nodes, ["N", 4, "H", "W"], rest=np.array([-1]), three=np.array([3]), w=floats(100, 7))
    assert macs(made, {"x": floats(3, 4, 5, 5)}) == 3 * 100 * 7


BRANCH = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["b"])],
    "branch",
    [],
    [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
)


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("If", ["yes"], ["y"], then_branch=BRANCH, else_branch=BRANCH)],
        [helper.make_node("Attention", ["h", "w"], ["y"], domain="com.microsoft", num_heads=2)],
        [helper.make_node("Anything", ["h"], ["y"], domain="mine")],
        [helper.make_node("FusedMatMul", ["h", "w"], ["y"], domain="com.microsoft", transB=1)],
        [helper.make_node("Einsum", ["h", "w"], ["y"], equation="...k,ko->...o")],
        [helper.make_node("Einsum", ["h", "w", "w"], ["y"], equation="ik,ko,op->ip")],
        # How many are left only a run can tell.
        [helper.make_node("Compress", ["h", "which"], ["c"], axis=0), helper.make_node("MatMul", ["c", "w"], ["y"])],
        [helper.make_node("MatMul", ["h", "v"], ["y"])],  # does not fit
    ],
)
def test_what_cannot_be_counted_has_no_number(nodes: list[NodeProto]) -> None:
    first = helper.make_node("MatMul", ["x", "w"], ["h"])
    more = {"yes": np.array(True), "which": np.array([True, False]), "v": floats(5, 4)}
    assert macs(model([first, *nodes], ["N", 4], w=floats(4, 4), **more), {"x": floats(2, 4)}) is None


def export(module: nn.Module, shape: tuple[int, ...], path: Path, *, dynamo: bool) -> Path:
    dynamic: dict[str, Any] = (
        {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamo else {"dynamic_axes": {"x": {0: "batch"}}}
    )
    with warnings.catch_warnings():
        # Of the exporter that torch deprecates, whose files people keep, and of torch's own use of old functions.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(shape),), str(path), input_names=["x"], dynamo=dynamo, verbose=False, **dynamic
        )
    return path


def counted(path: Path, x: Array) -> int | None:
    return onnx.load(ModelSource(name="m", path=path), Settings()).macs({"anything": x})


def of_torch(module: nn.Module, x: Array) -> int | None:
    card = ModelCard(name="m", path="", format="", digest="", size=0)
    return TorchClassifier(module, card, Expects()).macs({"x": x})


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.layer(x).mean(1))
        return scores


@pytest.mark.parametrize(
    ("make", "shape", "dynamo"),
    [
        (lambda: mobilenet.network(10), (3, 3, 64, 64), True),
        (lambda: mobilenet.network(10), (3, 3, 64, 64), False),
        (Attending, (3, 5, 8), True),
        (Attending, (3, 5, 8), False),
    ],
)
def test_an_export_counts_as_its_network(
    tmp_path: Path, make: type[nn.Module], shape: tuple[int, ...], dynamo: bool
) -> None:
    module = make().eval()
    path = export(module, (2, *shape[1:]), tmp_path / "m.onnx", dynamo=dynamo)
    assert counted(path, floats(*shape)) == of_torch(module, floats(*shape)) != 0


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5)),
    ).eval()


class Samples(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self) -> None:
        self.left = iter([{"x": floats(2, 3, 8, 8)}])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.left, None)


@pytest.mark.parametrize("how", ["dynamic", QuantFormat.QDQ, QuantFormat.QOperator])
def test_a_quantised_network_counts_as_before(tmp_path: Path, how: Any) -> None:
    plain = export(small(), (2, 3, 8, 8), tmp_path / "plain.onnx", dynamo=False)
    quantised = tmp_path / "quantised.onnx"
    if how == "dynamic":
        quantize_dynamic(plain, quantised)
    else:
        quantize_static(plain, quantised, Samples(), quant_format=how)
    assert {n.op_type for n in onnx_library.load(quantised).graph.node} & {
        "ConvInteger",
        "QLinearConv",
        "QuantizeLinear",
    }
    by_hand = 3 * (4 * 36 * 27 + 4 * 16 * 18 + 4 * 6 + 6 * 5)
    assert counted(plain, floats(3, 3, 8, 8)) == by_hand
    assert counted(quantised, floats(3, 3, 8, 8)) == by_hand


def test_external_data_are_not_read(tmp_path: Path) -> None:
    made = model([helper.make_node("MatMul", ["x", "w"], ["y"])], ["N", 40], w=floats(40, 17))
    path = tmp_path / "m.onnx"
    onnx_library.save(made, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    loaded = onnx.load(ModelSource(name="m", path=path), Settings())
    (tmp_path / "w.bin").unlink()
    assert loaded.macs({"x": floats(2, 40)}) == 2 * 40 * 17
