"""What an ONNX model's scores come out of, in graphs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import ModelProto, TensorProto, helper

from prune_audit.core import Activation
from prune_audit.models.onnx.activation import seen


def model(*nodes: tuple[str, list[str], str, dict[str, Any]], functions: Any = ()) -> ModelProto:
    """A graph of ``nodes``, each an operator, its inputs, its output and its attributes; ``y`` comes out of it."""
    made = [helper.make_node(kind, inputs, [output], **more) for kind, inputs, output, more in nodes]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    return helper.make_model(helper.make_graph(made, "g", ends[:1], ends[1:]), functions=functions)


GEMM: tuple[str, list[str], str, dict[str, Any]] = ("Gemm", ["x", "w", "b"], "g", {})


@pytest.mark.parametrize(
    ("nodes", "wanted"),
    [
        ([GEMM, ("Sigmoid", ["g"], "y", {})], "sigmoid"),
        ([GEMM, ("HardSigmoid", ["g"], "s", {}), ("Reshape", ["s", "shape"], "y", {})], "sigmoid"),
        ([GEMM, ("Softmax", ["g"], "s", {}), ("QuantizeLinear", ["s", "by"], "q", {}),
          ("DequantizeLinear", ["q", "by"], "y", {})], "softmax"),
        ([GEMM, ("LogSoftmax", ["g"], "y", {})], "log-softmax"),
        ([("Sigmoid", ["x"], "s", {}), ("Gemm", ["s", "w"], "y", {})], "linear"),
        ([("MatMul", ["x", "w"], "m", {}), ("Add", ["b", "m"], "y", {})], "linear"),
        ([("Tanh", ["x"], "t", {}), ("Add", ["t", "half"], "y", {})], None),
        ([GEMM, ("Sigmoid", ["g"], "s", {}), ("Mul", ["s", "two"], "y", {})], None),
        ([("LinearClassifier", ["x"], "y", {"post_transform": "LOGISTIC"})], "sigmoid"),
        ([("TreeEnsembleClassifier", ["x"], "y", {"post_transform": "NONE"})], None),
        ([("FusedGemm", ["x", "w"], "y", {"activation": "Sigmoid"})], None),
        ([("Identity", ["y"], "y", {})], None),
        ([("Identity", ["x"], "y", {})], None),
    ],
)  # fmt: skip
def test_the_operator_behind_the_output(nodes: Any, wanted: Activation | None) -> None:
    assert seen(model(*nodes), "y") == wanted


def test_a_function_of_the_models_own_is_not_the_operator_that_it_is_called_like() -> None:
    own = helper.make_function("own", "Sigmoid", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], [])
    assert seen(model(GEMM, ("Sigmoid", ["g"], "y", {}), functions=[own]), "y") is None
