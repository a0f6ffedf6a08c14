"""What an ONNX graph tells without running: how dense its weights are.

A weight reaches its layer in many ways: as an initializer, a Constant, through a Transpose or a Cast, multiplied by a
mask, or dequantised. So each layer's weight input is followed back to the stored numbers, and what counts is whether
a number differs from zero, or, where it is quantised, from the zero point that stands for zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Layer
from prune_audit.models.onnx.stored import external, graphs
from prune_audit.nets.rounding import rounded
from prune_audit.nets.weights import is_matrix, label

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, SparseTensorProto, TensorProto

    Stored: TypeAlias = TensorProto | SparseTensorProto

Flags: TypeAlias = npt.NDArray[np.bool_]
Levels: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where an operator takes its weights: the first that is stored of the inputs ``weights``, or ``every`` one.

    ``zero_points`` are the inputs that hold their zero points, ``axis`` the one that these run along.
    """

    kind: str
    weights: tuple[int, ...]
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    every: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Weight:
    """Which numbers of the stored weight ``names[0]`` count, and their steps from zero where it is quantised.

    The other names are of what it is multiplied with: its masks.
    """

    names: tuple[str, ...]
    nonzero: Flags
    levels: Levels | None = None


_SLOTS = {
    **dict.fromkeys(("Conv", "ConvTranspose", "DeformConv"), _Slot("convolution", (1,))),
    **dict.fromkeys(("FusedConv", "NhwcConv", "NhwcFusedConv"), _Slot("convolution", (1,))),
    "ConvInteger": _Slot("convolution", (1,), (3,)),
    "QLinearConv": _Slot("convolution", (3,), (5,)),
    **dict.fromkeys(("Gemm", "FusedGemm", "GemmFastGelu"), _Slot("linear", (1, 0))),
    **dict.fromkeys(("MatMul", "FusedMatMul", "FusedMatMulActivation"), _Slot("linear", (1, 0))),
    "MatMulInteger": _Slot("linear", (1,), (3,), -1),
    "MatMulIntegerToFloat": _Slot("linear", (1,), (5,), -1),
    "DynamicQuantizeMatMul": _Slot("linear", (1,), (3,), -1),
    "QLinearMatMul": _Slot("linear", (3,), (5,), -1),
    "QGemm": _Slot("linear", (3,), (5,), -1),
    "Einsum": _Slot("linear", tuple(range(8)), every=True),
    "Attention": _Slot("linear", (1,)),  # of onnxruntime; the standard one has no weights
    "QAttention": _Slot("linear", (1,), (7,), -1),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _Slot("recurrent", (1, 2), every=True)),
    "DynamicQuantizeLSTM": _Slot("recurrent", (1, 2), (9, 11), -1, every=True),
    "Gather": _Slot("embedding", (0,)),
    "EmbedLayerNormalization": _Slot("embedding", (2, 3, 4), every=True),
}
# Nothing but the shape, the type or the part that is taken changes on the way; a part of a weight stands for all of it.
_UNCHANGED = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "QuantizeLinear", "Slice", "Split")
# Where operators take scales and zero points, which are no parameters.
_BOTH_SIDES = (1, 2, 4, 5, 6, 7)
_SCALES = {
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul"), _BOTH_SIDES),
    "QGemm": (1, 2, 4, 5, 7, 8),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulNBits"), (2, 3)),
    "GatherBlockQuantized": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "DynamicQuantizeLSTM": (8, 9, 10, 11),
    "QAttention": (3, 4, 6, 7),
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"), (1, 2, 3, 4)),
    **dict.fromkeys(("QLinearAveragePool", "QLinearGlobalAveragePool"), (1, 2, 3, 4)),
    "QLinearConcat": tuple(at for at in range(100) if at % 3 != 2),
}
# Where they take biases as 32-bit integers, which are parameters.
_BIASES = {"QLinearConv": 8, "QGemm": 6, "DequantizeLinear": 0}
# Recurrent layers take biases, initial states and peepholes as matrices, a row for each direction.
_RECURRENT, _BIAS, _STATES, _PEEPHOLES = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"), 3, (5, 6), 7
# Their weights are attributes, in ways of their own.
_SEALED = ("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor")
_TREES = "TreeEnsemble"
# A sparse weight that is made dense to be counted: numbers that are always few enough, and how many one may stand for.
_SPARSE, _SPARSEST = 2**24, 100_000


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
        # What is no parameter: scales, zero points, and states that recurrent layers start in at zero.
        self._aside = {self._source(name) for name in self._scale_inputs()}
        cells = [node for node in self.nodes if node.op_type in _RECURRENT]
        self._vectors = {self._source(_input(node, at)) for node in cells for at in (_BIAS, *_STATES, _PEEPHOLES)}
        states = {self._source(_input(node, at)) for node in cells for at in _STATES} & self._constants.keys()
        self._aside |= {name for name in states if not np.any(self._read(self._constants[name]))}
        self._found: dict[str, Layer] = {}
        self._masks: set[str] = set()
        for node in self.nodes:
            self._count(node)

    def behind(self, output: str) -> list[NodeProto]:
        """The nodes that the value ``output`` is computed by, in no order."""
        found: dict[int, NodeProto] = {}
        waiting = [output]
        while waiting:
            node = self._makers.get(waiting.pop())
            if node is None or id(node) in found:
                continue
            found[id(node)] = node
            waiting += node.input
            # What branches and loop bodies take from outside is among the inputs of their nodes.
            for graph in (inner for attribute in node.attribute for inner in (attribute.g, *attribute.graphs)):
                waiting += [each.name for each in graph.output]
        return list(found.values())

    def constant(self, name: str) -> Array | None:
        """The stored value called ``name``, None where it is computed."""
        node = self._makers.get(name)
        while name not in self._constants and node is not None and node.op_type in ("Identity", "Cast"):
            name = node.input[0]
            node = self._makers.get(name)
        return self._read(self._constants[name]) if name in self._constants else None

    def layers(self) -> tuple[Layer, ...]:
        """The weights of convolutions, products with stored weights, recurrent layers and embeddings, each once."""
        return tuple(self._found.values())

    def uncounted(self) -> tuple[str, ...]:
        """What else is stored that may be weights: matrices with their shapes, and operators that hold their own."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if node.op_type in _SEALED or node.op_type.startswith(_TREES):
                found[node.output[0]] = f"{node.name or node.output[0]} ({node.op_type})"
            for name in node.input if "Normalization" not in node.op_type else ():
                stored = self._constants.get(name)
                if stored is not None and is_matrix(stored.dims) and _may_weigh(stored):
                    found[name] = label(name, stored.dims)
        told = self._found.keys() | self._masks | self._aside | self._vectors
        return tuple(said for name, said in found.items() if name not in told)

    def parameters(self) -> int:
        """How many floating or quantised numbers are stored, without scales, zero points and masks.

        A packed weight has as many as it was packed from, and single ones do not count.
        """
        biases = {self._source(_input(node, _BIASES.get(node.op_type))) for node in self.nodes}
        count = 0
        for name, stored in self._constants.items():
            weighs = _may_weigh(stored) or name in biases
            if stored.dims and weighs and name not in self._aside and name not in self._masks:
                count += self._found[name].total if name in self._found else math.prod(stored.dims)
        return count

    def _count(self, node: NodeProto) -> None:
        """Add the weights of ``node`` to what was found."""
        packed = self._packed(node) if node.op_type == "MatMulNBits" else None
        if packed is not None:
            self._add("linear", [packed])
        slot = _SLOTS.get(node.op_type)
        if slot is None:
            return
        axis = 0 if integer(node, "transB", 0) else slot.axis
        for at, position in enumerate(slot.weights):
            zero_point = _input(node, slot.zero_points[at] if at < len(slot.zero_points) else None)
            found = [w for w in self._stored(_input(node, position), zero_point, axis) if self._weighs(w)]
            self._add(slot.kind, found)
            if found and not slot.every:
                break

    def _weighs(self, weight: _Weight) -> bool:
        return weight.nonzero.ndim > 1 and _may_weigh(self._constants[weight.names[0]])

    def _add(self, kind: str, weights: Sequence[_Weight]) -> None:
        for weight in weights:
            name, *masks = weight.names
            self._masks.update(masks)
            if name not in self._found:
                self._found[name] = Layer(
                    name=name,
                    kind=kind,
                    shape=weight.nonzero.shape,
                    nonzero=int(np.count_nonzero(weight.nonzero)),
                    total=weight.nonzero.size,
                    rounded=0 if weight.levels is None else rounded(weight.levels),
                )

    def _scale_inputs(self) -> Iterator[str]:
        for node in self.nodes:
            yield from (_input(node, position) for position in _SCALES.get(node.op_type, ()))
            # What a dynamic quantisation scales by is multiplied with the scale of the weight.
            made = [self._makers.get(name) for name in node.input] if node.op_type == "Mul" else []
            if any(maker is not None and maker.op_type == "DynamicQuantizeLinear" for maker in made):
                yield from node.input

    def _source(self, name: str) -> str:
        """The value that ``name`` is a view of."""
        views = (*_UNCHANGED, "Expand")
        while name not in self._constants and name in self._makers and self._makers[name].op_type in views:
            name = self._makers[name].input[0]
        return name

    def _stored(self, name: str, zero_point: str = "", axis: int = 0) -> list[_Weight]:
        """The stored weights behind the value ``name``, of which there are several where parts are joined.

        None where it is computed from the input. A number counts where it differs from ``zero_point``, which is stored
        once or for each slice of ``axis``.
        """
        if name in self._constants:
            found = self._weight(name, zero_point, axis)
            return [] if found is None else [found]
        node = self._makers.get(name)
        if node is None:
            return []
        if node.op_type == "Mul":
            left = self._stored(node.input[0])
            right = self._stored(node.input[1]) if left else []
            if len(left) != 1 or len(right) != 1:
                return []
            # A mask may stand first, and may be of a type that no weight has.
            return [_both(*sorted((left[0], right[0]), key=lambda w: not _may_weigh(self._constants[w.names[0]])))]
        if node.op_type == "DequantizeLinear":
            return self._stored(node.input[0], _input(node, 2), integer(node, "axis", 1))
        if node.op_type == "Concat":
            parts = [self._stored(part) for part in node.input]
            return [weight for part in parts for weight in part] if all(parts) else []
        if node.op_type == "Transpose":
            order = next((tuple(a.ints) for a in node.attribute if a.name == "perm"), None)
            behind = self._stored(node.input[0], zero_point, axis if order is None else order[axis])
            return [_transposed(weight, order) for weight in behind]
        return self._stored(node.input[0], zero_point, axis) if node.op_type in _UNCHANGED else []

    def _weight(self, name: str, zero_point: str, axis: int) -> _Weight | None:
        """The stored numbers called ``name``; None where they are none, or the zero point's shape says nothing."""
        from onnx import TensorProto

        stored = self._constants[name]
        if _type(stored) == TensorProto.STRING:
            return None
        values = self._read(stored)
        zero = self._constants.get(self._source(zero_point))
        if not _quantised(stored):
            # Narrow floats have a zero point, too, which is zero.
            plain = zero is None or not np.any(self._read(zero))
            return _Weight((name,), np.asarray(values != 0)) if plain else None
        levels = _levels(values, np.zeros((), np.int32) if zero is None else self._read(zero), axis)
        return None if levels is None else _Weight((name,), levels != 0, levels)

    def _packed(self, node: NodeProto) -> _Weight | None:
        """The weight (N, K) of a MatMulNBits, of blocks of a few bits a number; None where it is not stored so."""
        name, zero = self._source(node.input[1]), self._constants.get(self._source(_input(node, 3)))
        bits, block = integer(node, "bits", 4), integer(node, "block_size", 0)
        rows, columns = integer(node, "N", 0), integer(node, "K", 0)
        if name not in self._constants or bits not in (2, 4, 8) or not (block and rows and columns):
            return None
        blocks = -(-columns // block)
        packed = self._read(self._constants[name]).astype(np.uint8).reshape(rows, -1)
        levels = _unpacked(packed, bits)[:, : blocks * block].reshape(rows, blocks, block)
        zeros = np.full((rows, blocks), 1 << (bits - 1), np.int32)
        if zero is not None:
            given = self._read(zero)
            whole = given.dtype != np.uint8  # in the type of the scales they are one a block
            zeros = given.reshape(rows, -1) if whole else _unpacked(given.reshape(rows, -1), bits)[:, :blocks]
            zeros = np.rint(zeros.astype(np.float64)).astype(np.int32)
        levels = (levels - zeros[..., None]).reshape(rows, -1)[:, :columns]
        return _Weight((name,), levels != 0, levels)

    def _read(self, stored: Stored) -> Array:
        from onnx import SparseTensorProto, TensorProto, numpy_helper

        if isinstance(stored, SparseTensorProto):
            values, indices = self._read(stored.values), self._read(stored.indices)
            if math.prod(stored.dims) > max(_SPARSE, _SPARSEST * len(values)):
                raise ValueError(f"a sparse weight of {'x'.join(map(str, stored.dims))} stores {len(values)} numbers")
            dense = np.zeros(stored.dims, values.dtype)
            dense[np.unravel_index(indices, dense.shape) if indices.ndim == 1 else tuple(indices.T)] = values
            return dense
        if stored.data_location == TensorProto.EXTERNAL:
            inline = TensorProto(data_type=stored.data_type, dims=stored.dims, raw_data=external(stored, self._path))
            return numpy_helper.to_array(inline)
        return numpy_helper.to_array(stored)


def _both(left: _Weight, right: _Weight) -> _Weight:
    """A product of stored numbers: a weight and its mask, or a weight and a scale."""
    weight, factor = (left, right) if left.nonzero.size >= right.nonzero.size else (right, left)
    if weight.nonzero.shape != factor.nonzero.shape:
        return weight
    names = (*weight.names, *factor.names)
    levels = None if weight.levels is None else np.where(factor.nonzero, weight.levels, np.int32(0))
    return _Weight(names, weight.nonzero & factor.nonzero, levels)


def _transposed(weight: _Weight, order: tuple[int, ...] | None) -> _Weight:
    levels = None if weight.levels is None else weight.levels.transpose(order)
    return _Weight(weight.names, weight.nonzero.transpose(order), levels)


def _levels(values: Array, zero: Array, axis: int) -> Levels | None:
    """The steps of ``values`` from the zero point that is theirs; None where the shapes say nothing of that."""
    zero = zero.astype(np.int32)
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
    return np.asarray(values.astype(np.int32) - zero, np.int32)


def _unpacked(packed: npt.NDArray[np.uint8], bits: int) -> Levels:
    """The numbers of ``bits`` bits in the bytes (N, B), the lowest bits of a byte first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    numbers = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return numbers.reshape(len(packed), -1).astype(np.int32)


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


def _quantised(stored: Stored) -> bool:
    """Whether ``stored`` is of a type that weights are quantised to: integers of 8 bits at most."""
    from onnx import TensorProto

    narrow = ("INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2")
    return _type(stored) in {getattr(TensorProto, name, None) for name in narrow}


def _type(stored: Stored) -> int:
    from onnx import SparseTensorProto

    return stored.values.data_type if isinstance(stored, SparseTensorProto) else stored.data_type
