"""What in an ONNX graph makes a prediction depend on chance, or on the other samples of its batch.

Read from operators and attributes, of those nodes alone that the scores are computed by. Whether it shows in the scores
is measured elsewhere (`prune_audit.evaluate.sample_checks`): a normalisation by the statistics of the batch is one of
the sample, where an exporter has written instance normalisation so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prune_audit.core import Suspect
from prune_audit.models.onnx.graph import Graph, integer

if TYPE_CHECKING:
    from onnx import NodeProto

_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
_DYNAMIC = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
_SOFTMAX = ("Softmax", "LogSoftmax", "Hardmax")


def suspects(graph: Graph, output: str) -> tuple[Suspect, ...]:
    """The suspect nodes of ``graph`` that the value ``output`` is computed by, in the order of the file."""
    behind = {id(node) for node in graph.behind(output)}
    found = ((node, _kind(graph, node)) for node in graph.nodes if id(node) in behind)
    return tuple(Suspect(kind=kind, where=_where(node)) for node, kind in found if kind is not None)


def _kind(graph: Graph, node: NodeProto) -> Literal["dropout", "random", "batch", "dynamic", "axis"] | None:
    if node.op_type == "Dropout":
        return "dropout" if _drops(graph, node) else None
    if node.op_type == "BatchNormalization":
        # Before opset 14 the further outputs, statistics of the batch, are what says so.
        return "batch" if integer(node, "training_mode", 0) or any(node.output[1:]) else None
    if node.op_type in _SOFTMAX:
        return "axis" if integer(node, "axis", -1) == 0 else None
    return "random" if node.op_type in _RANDOM else "dynamic" if node.op_type in _DYNAMIC else None


def _drops(graph: Graph, node: NodeProto) -> bool:
    """Whether a Dropout is stored as one for training; a switch that is computed says nothing."""
    ratio, training = (graph.constant(name) if name else None for name in [*node.input[1:3], "", ""][:2])
    return training is not None and bool(training.any()) and (ratio is None or bool(ratio.any()))


def _where(node: NodeProto) -> str:
    return f"node {node.name!r} ({node.op_type})" if node.name else f"the {node.op_type} that makes {node.output[0]!r}"
