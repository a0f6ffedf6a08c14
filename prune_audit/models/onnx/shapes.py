"""The shapes of all tensors of an ONNX graph over given inputs, without running it.

onnx infers shapes operator by operator, and so far does this file; but exporters often compute the shapes that they
reshape to (the batch, the number of heads, the width of each), and onnx's own walk over the graph loses those at the
first division. So what is computed from shapes and constants alone, and is small, is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core import Array

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TypeProto

Shape = tuple[int, ...]

# More numbers than this are no shape.
_LONGEST = 64


def shapes(model: ModelProto, inputs: Mapping[str, Array]) -> dict[str, Shape]:
    """The shapes in the graph of ``model`` over ``inputs``, by name; those that cannot be told are left out.

    ``model`` may come without its external data; what it declares of shapes is passed over, because exporters leave
    some that hold for their example alone.
    """
    from onnx import TensorProto, defs, helper, numpy_helper, shape_inference

    types: dict[str, TypeProto] = {}
    numbers: dict[str, Array] = {}
    for stored in model.graph.initializer:
        types[stored.name] = helper.make_tensor_type_proto(stored.data_type, list(stored.dims))
        if math.prod(stored.dims) <= _LONGEST and stored.data_location != TensorProto.EXTERNAL:
            with suppress(ValueError):  # numbers that do not fit the shape are no shape that anybody could read
                numbers[stored.name] = numpy_helper.to_array(stored)
    for sparse in model.graph.sparse_initializer:
        types[sparse.values.name] = helper.make_tensor_type_proto(sparse.values.data_type, list(sparse.dims))
    for name, array in inputs.items():
        types[name] = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
    opsets = list(model.opset_import)
    versions = {entry.domain: entry.version for entry in opsets}
    for node in model.graph.node:
        given = {name: types[name] for name in node.input if name in types}
        small = {name: numpy_helper.from_array(numbers[name], name) for name in given if name in numbers}
        # Numbers of different types do not go together, though their shapes do, where quantised operators were
        # replaced by plain ones; so what fails is tried again as if all were floats.
        for attempt in (given, {name: _floats(declared) for name, declared in given.items()}):
            # The C++ part of onnx raises errors that share no class but Exception, and so does what evaluates.
            with suppress(Exception):
                schema = defs.get_schema(node.op_type, versions.get("", 1), "")
                types |= shape_inference.infer_node_outputs(schema, node, attempt, small, opset_imports=opsets)
                break
        with suppress(Exception):
            numbers |= _computed(model, node, types, numbers)
    found = {name: _shape(declared) for name, declared in types.items()}
    return {name: shape for name, shape in found.items() if shape is not None}


def _computed(
    model: ModelProto, node: NodeProto, types: Mapping[str, TypeProto], numbers: Mapping[str, Array]
) -> dict[str, Array]:
    """The one output of ``node`` where it is small and computed from ``numbers`` or from a shape; else nothing."""
    from onnx import helper, reference

    name = node.output[0]
    if node.op_type == "Shape":
        shape = _shape(types[node.input[0]])
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        return {} if shape is None else {name: np.array(shape)[ends.get("start", 0) : ends.get("end")]}
    shape = _shape(types[name])
    taken = [each for each in node.input if each]
    if len(node.output) > 1 or shape is None or math.prod(shape) > _LONGEST or not all(i in numbers for i in taken):
        return {}
    inside = [helper.make_value_info(i, types[i]) for i in taken]
    graph = helper.make_graph([node], "one", inside, [helper.make_value_info(name, types[name])])
    one = helper.make_model(graph, opset_imports=model.opset_import)
    [result] = reference.ReferenceEvaluator(one).run(None, {i: numbers[i] for i in taken})
    return {name: np.asarray(result)}


def _floats(declared: TypeProto) -> TypeProto:
    from onnx import TensorProto, TypeProto

    floats = TypeProto()
    floats.CopyFrom(declared)
    floats.tensor_type.elem_type = TensorProto.FLOAT
    return floats


def _shape(declared: TypeProto) -> Shape | None:
    tensor = declared.tensor_type
    if not tensor.HasField("shape") or not all(length.HasField("dim_value") for length in tensor.shape.dim):
        return None
    return tuple(length.dim_value for length in tensor.shape.dim)
