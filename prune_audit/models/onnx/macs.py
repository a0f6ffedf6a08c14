"""Multiply-accumulates of one forward pass of an ONNX graph, from its shapes alone.

Nothing runs and no weights are read. Quantised and fused operators multiply as the plain ones do that they were made
of, so they are first replaced by these, which also gives a shape to operators of onnxruntime's own, of which onnx knows
none. As for torch models, only convolutions and products of matrices count, and where something multiplies that is not
known, or whose shapes are not, there is no number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from prune_audit.core import Array
from prune_audit.models.onnx.graph import integer
from prune_audit.models.onnx.shapes import Shape, shapes
from prune_audit.models.onnx.stored import graphs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_FIRST, _TWO, _QUANTISED = slice(1), slice(2), slice(0, 4, 3)
# Operator -> the plain one that does as much, and which of the inputs that one takes; in between are their scales.
_PLAIN: dict[str, tuple[str, slice]] = {
    **dict.fromkeys(("FusedConv", "ConvInteger"), ("Conv", _TWO)),
    "QLinearConv": ("Conv", _QUANTISED),
    "FusedGemm": ("Gemm", _TWO),
    "QGemm": ("Gemm", _QUANTISED),
    **dict.fromkeys(("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"), ("MatMul", _TWO)),
    "QLinearMatMul": ("MatMul", _QUANTISED),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), ("Add", _QUANTISED)),
    "QLinearConcat": ("Concat", slice(2, None, 3)),
    "QLinearAveragePool": ("AveragePool", _FIRST),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", _FIRST),
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"), ("Identity", _FIRST)),
    **dict.fromkeys(("Gelu", "BiasGelu", "FastGelu", "QuickGelu"), ("Identity", _FIRST)),
    **dict.fromkeys(
        ("LayerNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization"), ("Identity", _FIRST)
    ),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), ("Identity", _FIRST)),
}
_ATTRIBUTES = {"Conv", "Gemm", "Concat", "AveragePool"}
# Other standard operators that multiply; the rest of what is not counted does not.
_UNKNOWN = {"Attention", "DeformConv", "Det", "DFT", "STFT"}


def macs(model: ModelProto, inputs: Mapping[str, Array]) -> int | None:
    """The multiply-accumulates of ``model`` over ``inputs``, by name; None where they cannot be told.

    ``model`` is changed; it may come without its external data.
    """
    from onnx import inliner

    model = inliner.inline_local_functions(model) if model.functions else model
    if not all(_simplify(node, model.graph) for node in model.graph.node):
        return None
    # How often the bodies of loops run, and which branch, only a run can tell.
    inner = [node for graph in graphs(model.graph) if graph is not model.graph for node in graph.node]
    if any(node.op_type in (*_COUNTED, *_PLAIN, *_UNKNOWN) or not _standard(node) for node in inner):
        return None
    found = shapes(model, inputs)
    counts = [_of(node, found) for node in model.graph.node]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _simplify(node: NodeProto, graph: GraphProto) -> bool:
    """Make a plain operator of ``node`` where it stands for one; False where it multiplies in ways unknown."""
    if integer(node, "channels_last", 0):
        return False
    if node.op_type == "MatMulNBits":
        # Its weight is packed; the attributes say what it was.
        weight = graph.initializer.add(name=f"{node.output[0]}.unpacked", data_type=1, data_location=1)
        weight.dims.extend([integer(node, "K", 0), integer(node, "N", 0)])
        _become(node, "MatMul", [node.input[0], weight.name])
    elif node.op_type in _PLAIN:
        name, taken = _PLAIN[node.op_type]
        _become(node, name, node.input[taken])
    return _standard(node) and node.op_type not in _UNKNOWN


def _become(node: NodeProto, name: str, inputs: Sequence[str]) -> None:
    taken, kept = list(inputs), [a for a in node.attribute if name in _ATTRIBUTES and not a.name.startswith("activ")]
    node.op_type, node.domain = name, ""
    del node.input[:], node.output[1:], node.attribute[:]
    node.input.extend(taken)
    node.attribute.extend(kept)


def _standard(node: NodeProto) -> bool:
    return node.domain in ("", "ai.onnx")


def _of(node: NodeProto, found: Mapping[str, Shape]) -> int | None:
    """The multiply-accumulates of ``node``, None where one of its shapes is not known."""
    if node.op_type not in _COUNTED:
        return 0
    count = _COUNTED[node.op_type]
    # A bias, or the state of a recurrent layer, does not matter.
    taken = [found.get(name) for name in (*node.input[: 3 if count is _recurrent else 2], node.output[0])]
    known = [shape for shape in taken if shape is not None]
    return count(node, *known) if len(known) == len(taken) else None


def _convolution(_: NodeProto, __: Shape, weight: Shape, y: Shape) -> int:
    return math.prod(y) * math.prod(weight[1:])  # (B, O, ...) by (C / groups, ...)


def _transposed(_: NodeProto, x: Shape, weight: Shape, __: Shape) -> int:
    return math.prod(x) * math.prod(weight[1:])  # (B, C, ...) by (O / groups, ...)


def _product(node: NodeProto, left: Shape, _: Shape, y: Shape) -> int:
    return math.prod(y) * left[0 if integer(node, "transA", 0) else -1]


def _recurrent(_: NodeProto, x: Shape, of_input: Shape, of_state: Shape, __: Shape) -> int:
    return math.prod(x[:2]) * (math.prod(of_input) + math.prod(of_state))  # (L, B, I), (D, G * H, I), (D, G * H, H)


def _einsum(node: NodeProto, left: Shape, right: Shape, _: Shape) -> int | None:
    terms = next(a.s.decode() for a in node.attribute if a.name == "equation").partition("->")[0].replace(" ", "")
    if len(node.input) != 2 or "." in terms:
        return None
    return math.prod(dict(zip(terms.replace(",", ""), (*left, *right), strict=True)).values())


_COUNTED: dict[str, Callable[..., int | None]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    **dict.fromkeys(("Gemm", "MatMul"), _product),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "Einsum": _einsum,
}
