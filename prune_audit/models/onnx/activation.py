"""The function that an ONNX model's scores come out of, read from its graph; see `_activation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prune_audit.core import Activation

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_ENDS: dict[str, Activation] = {
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "QLinearSigmoid"), "sigmoid"),
    **dict.fromkeys(("Softmax", "QLinearSoftmax"), "softmax"),
    "LogSoftmax": "log-softmax",
    **dict.fromkeys(("Gemm", "MatMul", "Conv", "FusedGemm", "FusedMatMul", "FusedConv"), "linear"),
    **dict.fromkeys(
        ("QLinearMatMul", "QLinearConv", "QGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"), "linear"
    ),
    **dict.fromkeys(("MatMulNBits", "LinearRegressor"), "linear"),
}
# What changes the shape, the type or the place of scores, and leaves them what they are.
_PASSES = frozenset(
    {
        *("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Gather", "ZipMap"),
        *("QuantizeLinear", "DequantizeLinear"),
    }
)
_ADDS = frozenset(("Add", "QLinearAdd"))
# What a classifier of ai.onnx.ml does to its scores by itself.
_AFTER: dict[str, Activation] = {"LOGISTIC": "sigmoid", "SOFTMAX": "softmax"}


def seen(model: ModelProto, output: str) -> Activation | None:
    """What ``output`` of ``model`` comes out of, None where it is something else."""
    made = {name: node for node in model.graph.node for name in node.output if name}
    own = {function.name for function in model.functions}  # which may be called like any operator
    return _of(output, made, own)


def _of(name: str, made: dict[str, NodeProto], own: set[str]) -> Activation | None:
    node = _source(name, made, own)
    if node is None:
        return None
    if node.op_type in _ADDS:  # of a bias
        added = [_source(each, made, own) for each in node.input]
        return "linear" if any(each is not None and _ENDS.get(each.op_type) == "linear" for each in added) else None
    for attribute in node.attribute:
        if attribute.name == "post_transform":
            return _AFTER.get(attribute.s.decode(errors="replace"))
        # A fused operator computes another function after its own.
        if attribute.name == "activation" and attribute.s:
            return None
    return _ENDS.get(node.op_type)


def _source(name: str, made: dict[str, NodeProto], own: set[str]) -> NodeProto | None:
    """The operator that computes ``name``, behind those that only pass it on."""
    seen: set[str] = set()  # a damaged graph may go in a circle
    while (node := made.get(name)) is not None and node.op_type in _PASSES and node.op_type not in own:
        if name in seen or not node.input:
            return None
        seen.add(name)
        name = node.input[0]
    return None if node is None or node.op_type in own else node
