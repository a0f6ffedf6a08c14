"""What an ONNX graph tells without running: its external files, and how dense its weights are.

A weight reaches its layer in many ways: as an initializer, a Constant, through a Transpose or a Cast, multiplied by a
mask, or dequantised. So each layer's weight input is followed back to the stored numbers, and what counts is whether
a number differs from zero, or, where it is quantised, from the zero point that stands for zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Layer
from prune_audit.errors import ModelError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

    Stored: TypeAlias = TensorProto | SparseTensorProto

Nonzero: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where an operator takes its weight, and the zero point of that weight with the axis it runs along."""

    kind: str
    weights: tuple[int, ...]
    zero_point: int | None = None
    axis: int = 0


_SLOTS = {
    "Conv": _Slot("convolution", (1,)),
    "ConvTranspose": _Slot("convolution", (1,)),
    "FusedConv": _Slot("convolution", (1,)),
    "ConvInteger": _Slot("convolution", (1,), 3),
    "QLinearConv": _Slot("convolution", (3,), 5),
    "Gemm": _Slot("linear", (1, 0)),
    "FusedGemm": _Slot("linear", (1, 0)),
    "MatMul": _Slot("linear", (1, 0)),
    "FusedMatMul": _Slot("linear", (1, 0)),
    "MatMulInteger": _Slot("linear", (1,), 3, -1),
    "MatMulIntegerToFloat": _Slot("linear", (1,), 5, -1),
    "DynamicQuantizeMatMul": _Slot("linear", (1,), 3, -1),
    "QLinearMatMul": _Slot("linear", (3,), 5, -1),
    "QGemm": _Slot("linear", (3,), 5, -1),
    "Gather": _Slot("embedding", (0,)),
}
_UNCHANGED = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "QuantizeLinear")


class Graph:
    """The graph of ``model``, functions inlined, and the numbers it stores, which ``path`` may hold or stand beside."""

    def __init__(self, model: ModelProto, path: Path) -> None:
        from onnx import inliner

        model = inliner.inline_local_functions(model) if model.functions else model
        self._path = path
        self.nodes = [node for graph in graphs(model.graph) for node in graph.node]
        self._constants: dict[str, Stored] = {}
        for graph in graphs(model.graph):
            self._constants |= {tensor.name: tensor for tensor in graph.initializer}
            self._constants |= {sparse.values.name: sparse for sparse in graph.sparse_initializer}
        self._makers: dict[str, NodeProto] = {}
        for node in self.nodes:
            self._makers |= dict.fromkeys(node.output, node)
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    self._constants[node.output[0]] = attribute.t
                elif attribute.name == "sparse_value":
                    self._constants[node.output[0]] = attribute.sparse_tensor

    def layers(self) -> tuple[Layer, ...]:
        """The weights of convolutions, matrix products with stored weights and embeddings, shared ones once."""
        found: dict[str, Layer] = {}
        for node in self.nodes:
            slot = _SLOTS.get(node.op_type)
            weight = self._weight(node, slot) if slot is not None else None
            if slot is not None and weight is not None and weight[0] not in found:
                name, nonzero = weight
                count = int(np.count_nonzero(nonzero))
                found[name] = Layer(name=name, kind=slot.kind, shape=nonzero.shape, nonzero=count, total=nonzero.size)
        return tuple(found.values())

    def parameters(self) -> int:
        """How many floating or quantised numbers are stored; single ones are scales, and do not count."""
        return sum(math.prod(t.dims) for t in self._constants.values() if t.dims and _may_weigh(t))

    def _weight(self, node: NodeProto, slot: _Slot) -> tuple[str, Nonzero] | None:
        zero_point = _input(node, slot.zero_point)
        axis = 0 if integer(node, "transB", 0) else slot.axis
        candidates = (self._nonzero(_input(node, position), zero_point, axis) for position in slot.weights)
        weights = (found for found in candidates if found is not None and found[1].ndim > 1)
        return next((found for found in weights if _may_weigh(self._constants[found[0]])), None)

    def _nonzero(self, name: str, zero_point: str = "", axis: int = 0) -> tuple[str, Nonzero] | None:
        """The stored weight behind the value ``name``, and which of its numbers count; None where it is computed.

        A number counts where it differs from ``zero_point``, which is stored once or for each slice of ``axis``.
        """
        from onnx import TensorProto

        if name in self._constants:
            if _type(self._constants[name]) == TensorProto.STRING:
                return None
            values = self._read(self._constants[name])
            zero = self._constants.get(zero_point)
            nonzero = values != 0 if zero is None else _unlike(values, self._read(zero), axis)
            return None if nonzero is None else (name, nonzero)
        node = self._makers.get(name)
        if node is None:
            return None
        if node.op_type == "Mul":
            left = self._nonzero(node.input[0])
            right = self._nonzero(node.input[1]) if left is not None else None
            return None if left is None or right is None else _both(left, right)
        if node.op_type == "DequantizeLinear":
            return self._nonzero(node.input[0], _input(node, 2), integer(node, "axis", 1))
        if node.op_type == "Transpose":
            order = next((tuple(a.ints) for a in node.attribute if a.name == "perm"), None)
            behind = self._nonzero(node.input[0], zero_point, axis if order is None else order[axis])
            return None if behind is None else (behind[0], behind[1].transpose(order))
        return self._nonzero(node.input[0], zero_point, axis) if node.op_type in _UNCHANGED else None

    def _read(self, stored: Stored) -> Array:
        from onnx import SparseTensorProto, TensorProto, numpy_helper

        if isinstance(stored, SparseTensorProto):
            values, indices = self._read(stored.values), self._read(stored.indices)
            dense = np.zeros(stored.dims, values.dtype)
            dense[np.unravel_index(indices, dense.shape) if indices.ndim == 1 else tuple(indices.T)] = values
            return dense
        if stored.data_location == TensorProto.EXTERNAL:
            inline = TensorProto(data_type=stored.data_type, dims=stored.dims, raw_data=_external(stored, self._path))
            return numpy_helper.to_array(inline)
        return numpy_helper.to_array(stored)


def external_files(model: ModelProto, path: Path) -> tuple[Path, ...]:
    """The files beside ``path`` that hold the model's numbers, sorted, each once.

    Raises:
        ModelError: one is missing, or lies outside the model's folder.
    """
    from onnx import TensorProto

    tensors = (t for t in _tensors(model) if t.data_location == TensorProto.EXTERNAL)
    return tuple(sorted({_beside(_entry(tensor, "location"), path) for tensor in tensors}))


def _beside(location: str, path: Path) -> Path:
    target = path.parent / location
    if Path(location).is_absolute() or ".." in Path(location).parts or not _inside(target, path):
        raise ModelError(
            f"{path} refers to data outside its folder: {location!r}",
            hint="save the model again with its external data beside it",
        )
    if not target.is_file():
        raise ModelError(
            f"{path} keeps its weights in {location!r}, which is not beside it",
            hint=f"copy {location} to {path.parent}, under that name",
        )
    return target


def _inside(target: Path, path: Path) -> bool:
    """Links count by where they lead; a download cache links both files to one folder of its own."""
    folders = (path.parent.resolve(), path.resolve().parent)
    return any(target.resolve().is_relative_to(folder) for folder in folders)


def _external(tensor: TensorProto, path: Path) -> bytes:
    target = _beside(_entry(tensor, "location"), path)
    offset, length = _entry(tensor, "offset"), _entry(tensor, "length")
    start = int(offset) if offset.isdecimal() else 0
    end = start + int(length) if length.isdecimal() else target.stat().st_size
    if end > target.stat().st_size:
        raise ModelError(
            f"{target}: expected at least {end} bytes for {tensor.name} of {path}, found {target.stat().st_size}",
            hint="the file was cut off or belongs to another model; copy it again",
        )
    with target.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def _entry(tensor: TensorProto, key: str) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == key), "")


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """``graph`` and the branches and loop bodies within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from graphs(inner)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    every = list(graphs(model.graph))
    for graph in every:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    nodes = [node for graph in every for node in graph.node]
    nodes += [node for function in model.functions for node in function.node]
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _both(left: tuple[str, Nonzero], right: tuple[str, Nonzero]) -> tuple[str, Nonzero]:
    """A product of stored numbers: a weight and its mask, or a weight and a scale."""
    if left[1].shape == right[1].shape:
        return left[0], left[1] & right[1]
    return max(left, right, key=lambda factor: factor[1].size)


def _unlike(values: Array, zero: Array, axis: int) -> Nonzero | None:
    """Which of ``values`` differ from the zero point that is theirs; None where the shapes say nothing of that."""
    if (zero == zero.flat[0]).all():
        zero = zero.flat[0]
    elif zero.ndim == 1 and values.shape[axis] == zero.size:
        zero = zero.reshape([-1 if d == axis % values.ndim else 1 for d in range(values.ndim)])
    elif zero.ndim == values.ndim:  # one for each block of numbers
        for d in range(zero.ndim):
            zero = np.repeat(zero, -(-values.shape[d] // zero.shape[d]), axis=d)
        zero = zero[tuple(slice(n) for n in values.shape)]
    else:
        return None
    return np.asarray(values != zero)


def _input(node: NodeProto, position: int | None) -> str:
    return node.input[position] if position is not None and position < len(node.input) else ""


def integer(node: NodeProto, name: str, default: int) -> int:
    """The attribute ``name`` of ``node``, or what the operator takes without it."""
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)


def _may_weigh(stored: Stored) -> bool:
    """Whether ``stored`` is of a type that weights have: 32- and 64-bit integers are shapes, indices and biases."""
    from onnx import TensorProto

    others = {TensorProto.INT32, TensorProto.INT64, TensorProto.UINT32, TensorProto.UINT64}
    return _type(stored) not in others | {TensorProto.BOOL, TensorProto.STRING, TensorProto.UNDEFINED}


def _type(stored: Stored) -> int:
    from onnx import SparseTensorProto

    return stored.values.data_type if isinstance(stored, SparseTensorProto) else stored.data_type
