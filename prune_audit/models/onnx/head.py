"""Offsets of classes as a step of an ONNX graph: an Add before the scores, or before the softmax that makes them.

To add to logits before a softmax is to add to log-probabilities behind it, up to what makes them sum to 1; so the
output stays what it was. Behind a sigmoid, or where it cannot be told what scores come out of, nothing of the kind
holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core import Floats
from prune_audit.errors import ModelError
from prune_audit.models.onnx import activation

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_SOFTMAX = ("Softmax", "LogSoftmax")
_NEXT = "export the network so that its output is its logits, of shape (batch, classes), or their softmax"


def shift(model: ModelProto, path: Path, output: str, offsets: Floats) -> None:
    """Let ``model``, read from ``path``, add ``offsets`` (C,) to the scores called ``output``, in place.

    Raises:
        ModelError: what makes the scores cannot be seen, or is a sigmoid.
    """
    from onnx import TensorProto, helper, numpy_helper

    comes = activation.seen(model, output)
    if comes in (None, "sigmoid"):
        found = "a sigmoid" if comes == "sigmoid" else "something that cannot be told"
        raise ModelError(f"{path}: the scores {output!r} come out of {found}, to which no offset adds", hint=_NEXT)
    declared = next(each.type.tensor_type for each in model.graph.output if each.name == output)
    floating = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    if declared.elem_type not in floating or len(declared.shape.dim) != 2:
        raise ModelError(f"{path}: the scores {output!r} are no table of floating numbers", hint=_NEXT)
    nodes = list(model.graph.node)
    last = next(at for at, node in enumerate(nodes) if output in node.output)
    taken = {name for node in nodes for name in node.output} | {each.name for each in model.graph.initializer}
    stored, made = _free("offsets_of_classes", taken), _free("scores_before_offsets", taken)
    values = np.ascontiguousarray(offsets, helper.tensor_dtype_to_np_dtype(declared.elem_type))
    model.graph.initializer.append(numpy_helper.from_array(values, stored))
    if comes == "linear":
        names = [made if name == output else name for name in nodes[last].output]
        del model.graph.node[last].output[:]
        model.graph.node[last].output.extend(names)
        model.graph.node.insert(last + 1, helper.make_node("Add", [made, stored], [output], name=made))
        return
    at = _softmax(nodes, last, path, output)
    model.graph.node.insert(at, helper.make_node("Add", [nodes[at].input[0], stored], [made], name=made))
    model.graph.node[at + 1].input[0] = made


def _softmax(nodes: list[NodeProto], at: int, path: Path, output: str) -> int:
    """Where the softmax is whose output the node ``at`` gives, over the last axis. Raises `ModelError`."""
    for _ in nodes:  # a damaged graph may go in a circle
        if nodes[at].op_type in _SOFTMAX:
            axis = next((each.i for each in nodes[at].attribute if each.name == "axis"), -1)
            if axis in (-1, 1):
                return at
            break
        if nodes[at].op_type not in ("Identity", "Cast"):
            break
        at = next((i for i, node in enumerate(nodes) if nodes[at].input[0] in node.output), at)
    raise ModelError(f"{path}: the softmax behind the scores {output!r} is not over the classes alone", hint=_NEXT)


def _free(name: str, taken: set[str]) -> str:
    """``name``, with underscores behind where it is taken."""
    while name in taken:
        name += "_"
    return name
