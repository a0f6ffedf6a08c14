"""The stored weights of an ONNX graph as parameters of a torch module, and back into the graph.

The module only holds them: it has a linear layer for every weight, whatever its shape, so that what cuts the layers of
a network cuts these. On the way back numbers that have become zero are zeroed in the graph, and nothing else of it
changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.errors import ModelError
from prune_audit.models.onnx.graph import Graph, integer
from prune_audit.models.onnx.stored import external_files, graphs
from prune_audit.nets.pattern import STORED, Sides

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto, TensorProto

    from prune_audit.core import Layer


def network(model: ModelProto, path: Path) -> tuple[torch.nn.Module, Mapping[str, str]]:
    """The weights of ``model``, whose external data are read into it, and stored name by name of parameter.

    Raises:
        ModelError: there are none, or one is quantised or stored where it cannot be changed.
    """
    import torch
    from onnx import external_data_helper, numpy_helper

    graph = Graph(model, path)
    layers = graph.layers()
    # Which also checks that the files lie beside the model.
    if external_files(model, path):
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    stored = _stored(model)
    root, names = torch.nn.Module(), {}
    for layer in layers:
        if layer.name not in stored:
            raise ModelError(
                f"{path}: the weight {layer.name!r} is stored sparse or within a function, where it cannot be changed",
                hint="prune the network that the model was exported from",
            )
        values = numpy_helper.to_array(stored[layer.name])
        if values.dtype.kind in "iu" or values.dtype.itemsize < 2:
            raise ModelError(
                f"{path}: the weight {layer.name!r} is quantised ({values.dtype}), which is not pruned",
                hint="prune the model before it is quantised",
            )
        tensor = torch.from_numpy(values.astype(np.float64 if values.dtype == np.float64 else np.float32))
        names[placed := _place(root, layer.name, tensor)] = layer.name
        if (sides := _sides(graph, layer)) is not None:
            setattr(root.get_submodule(placed.rpartition(".")[0]), STORED, sides)
    if not names:
        raise ModelError(f"{path} stores no weights of layers", hint="see them with `prune-audit inspect`")
    return root, names


def write(model: ModelProto, module: torch.nn.Module, names: Mapping[str, str], path: Path, *, external: bool) -> None:
    """Write ``model`` to ``path`` with zeros where the weights of ``module`` are zero.

    ``external`` data go into one file beside it, ``path`` with ``.data`` behind.
    """
    import onnx
    from onnx import ModelProto, numpy_helper

    made = ModelProto()
    made.CopyFrom(model)
    stored = _stored(made)
    for parameter, name in names.items():
        tensor = stored[name]
        values = numpy_helper.to_array(tensor).copy()
        values[module.get_parameter(parameter).detach().numpy() == 0] = 0
        tensor.CopyFrom(numpy_helper.from_array(values, name))
    onnx.save_model(made, path, save_as_external_data=external, location=f"{path.name}.data" if external else None)


def _sides(graph: Graph, layer: Layer) -> Sides | None:
    """The axes of a weight along which outputs and inputs lie, None where its operators do not say it."""
    found: set[Sides | None] = set()
    for node in graph.nodes:
        if layer.name in node.input:
            turned = node.op_type == "MatMul" or (node.op_type == "Gemm" and not integer(node, "transB", 0))
            known = node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul") and node.input[1] == layer.name
            if not known or (node.op_type == "MatMul" and len(layer.shape) != 2):
                found.add(None)
            else:
                found.add((1, 0) if turned or node.op_type == "ConvTranspose" else (0, 1))
    return found.pop() if len(found) == 1 else None


def _stored(model: ModelProto) -> dict[str, TensorProto]:
    found: dict[str, TensorProto] = {}
    for graph in graphs(model.graph):
        found |= {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    found[node.output[0]] = attribute.t
    return found


def _place(root: torch.nn.Module, name: str, tensor: torch.Tensor) -> str:
    """Put ``tensor`` into ``root`` as the weight of a layer called as much as ``name`` as modules can be."""
    import torch

    at = root
    # Nothing that a module has already: forward, training.
    reserved = [*dir(torch.nn.Module()), "", "weight"]
    *outer, last = [f"{part}_" if part in reserved else part for part in name.removesuffix(".weight").split(".")]
    for part in outer:
        if not isinstance(getattr(at, part, None), torch.nn.Module):
            at.add_module(part, torch.nn.Module())
        at = at.get_submodule(part)
    while hasattr(at, last):
        last += "_"
    # Without a shape of its own, as the weight's may have any number of dimensions.
    layer = torch.nn.Linear(1, 1, bias=False, device="meta")
    layer.weight = torch.nn.Parameter(tensor)
    at.add_module(last, layer)
    return ".".join([*outer, last, "weight"])
