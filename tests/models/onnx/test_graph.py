"""How dense an ONNX graph is, however its weights are stored: by numpy's counts of the arrays it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static

from prune_audit.core import Array
from prune_audit.models.onnx.graph import Graph

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def normal(seed: int, *shape: int, kept: float = 1.0) -> Array:
    """Weights of which the share ``kept`` of largest magnitude is left."""
    weights = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    weights[np.abs(weights) < np.quantile(np.abs(weights), 1 - kept)] = 0
    return weights


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, Array],
    x: list[int],
    *,
    domains: tuple[str, ...] = (),
) -> Path:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    inputs = [helper.make_tensor_value_info("x", 1, x)]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", 1, None)], tensors)
    opsets = [helper.make_opsetid("", 21), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def read(path: Path) -> Graph:
    return Graph(onnx.load(path), path)


def counts(graph: Graph) -> dict[str, tuple[str, int, int]]:
    return {layer.name: (layer.kind, layer.kept, layer.total) for layer in graph.layers()}


def recurrent(operator: str, kept: float) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Two directions over five steps of four numbers, from states of zero, and a head."""
    rows = 6 * GATES[operator]
    weights = {
        "w": normal(1, 2, rows, 4, kept=kept),
        "r": normal(2, 2, rows, 6, kept=kept),
        "b": normal(3, 2, 2 * rows),
        "start": np.zeros((2, 3, 6), np.float32),
        "head": normal(4, 6, 5, kept=kept),
    }
    nodes = [
        helper.make_node(
            operator, ["x", "w", "r", "b", "", "start"], ["", "last"], hidden_size=6, direction="bidirectional"
        ),
        helper.make_node("MatMul", ["last", "head"], ["y"]),
    ]
    return nodes, weights


@pytest.mark.parametrize("operator", GATES)
@pytest.mark.parametrize("kept", [1.0, 0.2])
def test_recurrent_layers_count_and_their_states_are_no_parameters(operator: str, kept: float, tmp_path: Path) -> None:
    nodes, weights = recurrent(operator, kept)
    graph = read(save(tmp_path / "m", nodes, weights, [5, 3, 4]))
    kinds = {"w": "recurrent", "r": "recurrent", "head": "linear"}
    assert counts(graph) == {n: (k, int(np.count_nonzero(weights[n])), weights[n].size) for n, k in kinds.items()}
    assert graph.uncounted() == ()
    assert graph.parameters() == sum(weights[name].size for name in ("w", "r", "b", "head"))


@pytest.mark.parametrize("kept", [1.0, 0.2])
def test_a_weight_that_is_joined_of_parts_counts_by_parts(kept: float, tmp_path: Path) -> None:
    weights = {"a": normal(5, 4, 3, kept=kept), "b": normal(6, 4, 5, kept=kept), "p": normal(7, 8, 2, kept=kept)}
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["c"], axis=1),
        helper.make_node("MatMul", ["x", "c"], ["h"]),
        helper.make_node("Einsum", ["h", "p"], ["y"], equation="ij,jk->ik"),
    ]
    graph = read(save(tmp_path / "m", nodes, weights, [2, 4]))
    assert counts(graph) == {n: ("linear", int(np.count_nonzero(w)), w.size) for n, w in weights.items()}


class Samples(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, *shape: int) -> None:
        draw = np.random.default_rng(9)
        self.left = iter([{"x": draw.normal(size=shape).astype(np.float32)} for _ in range(3)])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.left, None)


def network(kept: float) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    weights = {
        "conv": normal(1, 12, 3, 3, 3, kept=kept),
        "conv.bias": normal(2, 12),
        "fc": normal(3, 12 * 36, 40, kept=kept),
        "gemm": normal(4, 5, 40, kept=kept),
        "gemm.bias": normal(5, 5),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv", "conv.bias"], ["c"]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("MatMul", ["f", "fc"], ["h"]),
        helper.make_node("Gemm", ["h", "gemm", "gemm.bias"], ["y"], transB=1),
    ]
    return nodes, weights


@pytest.mark.parametrize("how", ["dynamic", "QDQ", "QOperator"])
@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("kept", [1.0, 0.1])
def test_quantised_weights_keep_their_density_and_parameters(
    how: str, by_channel: bool, kept: float, tmp_path: Path
) -> None:
    nodes, weights = network(kept)
    plain, small = save(tmp_path / "m", nodes, weights, [2, 3, 8, 8]), tmp_path / "q"
    if how == "dynamic":
        quantize_dynamic(plain, small, per_channel=by_channel)
    else:
        quantize_static(plain, small, Samples(2, 3, 8, 8), quant_format=QuantFormat[how], per_channel=by_channel)
    graph = read(small)
    own = [weights[name] for name in ("conv", "fc", "gemm")]
    assert sum(layer.total for layer in graph.layers()) == sum(array.size for array in own)
    stored = sum(layer.nonzero for layer in graph.layers())
    nonzero = sum(int(np.count_nonzero(array)) for array in own)
    assert stored < nonzero if kept == 1 else stored == nonzero
    assert sum(layer.kept for layer in graph.layers()) == nonzero
    assert graph.parameters() == sum(array.size for array in weights.values())
    assert graph.uncounted() == ()


@pytest.mark.parametrize("kept", [1.0, 0.2])
def test_a_quantised_recurrent_layer_counts(kept: float, tmp_path: Path) -> None:
    nodes, weights = recurrent("LSTM", kept)
    plain, small = save(tmp_path / "m", nodes, weights, [5, 3, 4]), tmp_path / "q"
    quantize_dynamic(plain, small)
    assert "DynamicQuantizeLSTM" in {node.op_type for node in onnx.load(small).graph.node}
    graph = read(small)
    own = [weights[name] for name in ("w", "r", "head")]
    assert sum(layer.total for layer in graph.layers()) == sum(array.size for array in own)
    assert sum(layer.kept for layer in graph.layers()) == sum(np.count_nonzero(array) for array in own)
    assert graph.parameters() == sum(weights[name].size for name in ("w", "r", "b", "head"))
    assert graph.uncounted() == ()


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", ["none", "packed", "floats"])
def test_packed_weights_of_a_few_bits_unpack(bits: int, zeros: str, tmp_path: Path) -> None:
    """Packed here by the words of onnxruntime's ContribOperators.md: blocks along K, the lowest bits first."""
    rows, columns, block = 6, 40, 16
    blocks, draw = 3, np.random.default_rng(bits)
    levels = draw.integers(0, 1 << bits, (rows, blocks * block))
    points = np.full((rows, blocks), 1 << (bits - 1))
    if zeros != "none":
        points = draw.integers(0, 1 << bits, (rows, blocks))

    def packed(numbers: Array) -> Array:
        some = 8 // bits
        padded = np.pad(numbers, ((0, 0), (0, -numbers.shape[1] % some))).reshape(rows, -1, some)
        joined: Array = np.bitwise_or.reduce([padded[..., i] << (i * bits) for i in range(some)]).astype(np.uint8)
        return joined

    weights = {
        "q": packed(levels).reshape(rows, blocks, -1),
        "scales": np.ones((rows, blocks), np.float32),
    }
    if zeros != "none":
        weights["points"] = packed(points).reshape(-1) if zeros == "packed" else points.astype(np.float32)
    inputs = ["x", *weights]
    node = helper.make_node(
        "MatMulNBits", inputs, ["y"], domain="com.microsoft", K=columns, N=rows, bits=bits, block_size=block
    )
    graph = read(save(tmp_path / "m", [node], weights, [2, columns], domains=("com.microsoft",)))
    apart = (levels.reshape(rows, blocks, block) - points[..., None]).reshape(rows, -1)[:, :columns]
    [layer] = graph.layers()
    assert (layer.name, layer.shape, layer.nonzero, layer.total) == ("q", (6, 40), int(np.count_nonzero(apart)), 240)
    assert graph.parameters() == 240
    assert graph.uncounted() == ()


def test_what_cannot_be_counted_is_named(tmp_path: Path) -> None:
    weights = {
        "places": normal(1, 1, 7, 4),
        "gain": normal(2, 7, 4),
        "scale": normal(3, 1, 1, 4),
        "w": normal(4, 4, 3),
        "experts": normal(5, 2, 3, 3),
    }
    nodes = [
        helper.make_node("Add", ["x", "places"], ["a"]),
        helper.make_node("LayerNormalization", ["a", "gain"], ["n"], axis=1),
        helper.make_node("Mul", ["n", "scale"], ["s"]),
        helper.make_node("MatMul", ["s", "w"], ["h"]),
        helper.make_node("Mixture", ["h", "experts"], ["m"], domain="com.example"),
        helper.make_node("LinearClassifier", ["m"], ["l", "y"], name="last", domain="ai.onnx.ml", coefficients=[1.0]),
    ]
    graph = read(save(tmp_path / "m", nodes, weights, [2, 7, 4], domains=("ai.onnx.ml", "com.example")))
    assert counts(graph) == {"w": ("linear", 12, 12)}
    assert graph.uncounted() == ("places (1 x 7 x 4)", "experts (2 x 3 x 3)", "last (LinearClassifier)")


def test_a_mask_of_another_type_before_its_weight_is_no_parameter(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random((4, 3)) < 0.5
    nodes = [
        helper.make_node("Cast", ["mask"], ["floats"], to=1),
        helper.make_node("Mul", ["floats", "w"], ["masked"]),
        helper.make_node("MatMul", ["x", "masked"], ["y"]),
    ]
    graph = read(save(tmp_path / "m", nodes, {"mask": mask, "w": normal(2, 4, 3)}, [2, 4]))
    assert counts(graph) == {"w": ("linear", int(mask.sum()), 12)}
    assert graph.parameters() == 12
