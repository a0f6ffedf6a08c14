"""The numbers that an ONNX model stores, in its file or beside it, held to what it claims of them.

onnxruntime looks at those that it computes with, and in a way of its own: of two offsets it takes the last. What we
count would then be other numbers than those that run, or numbers that nobody wrote. So every tensor must hold as many
bytes as its shape and type take, in one place, inside the folder of the model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prune_audit.errors import ModelError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

# Bits of a number by its type in onnx.proto; types that are newer are left to onnxruntime.
_BITS = {
    **dict.fromkeys((25, 26), 2),
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
}
_STRING = 8
# Where they are listed one by one: the field, and how many of its entries make a number; in int32_data otherwise.
_FIELDS = {
    1: ("float_data", 1),
    14: ("float_data", 2),
    11: ("double_data", 1),
    15: ("double_data", 2),
    7: ("int64_data", 1),
    12: ("uint64_data", 1),
    13: ("uint64_data", 1),
    _STRING: ("string_data", 1),
}
_DAMAGED = "the file was damaged, or written by a faulty tool; copy or export it again"


def check(model: ModelProto, path: Path) -> None:
    """Hold every tensor of ``model`` to its claims, without reading what lies beside ``path``.

    Raises:
        ModelError: one has other than as many bytes as its shape and type take, or a negative length; two of a graph
            have one name; or external data are missing, cut off, outside the model's folder, or told in two ways.
    """
    for graph in graphs(model.graph):
        names = Counter(tensor.name for tensor in graph.initializer)
        names.update(sparse.values.name for sparse in graph.sparse_initializer)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ModelError(f"{path} stores {twice[0]!r} {names[twice[0]]} times", hint=_DAMAGED)
    for sparse in _sparse(model):
        _check_shape(sparse, sparse.values.name, path)
    for tensor in _tensors(model):
        _check_shape(tensor, tensor.name, path)
        _check_size(tensor, path)


def _check_shape(stored: TensorProto | SparseTensorProto, name: str, path: Path) -> None:
    if any(length < 0 for length in stored.dims):
        shape = "x".join(map(str, stored.dims))
        raise ModelError(
            f"{path}: expected lengths of 0 or more in the shape of {name!r}, found {shape}", hint=_DAMAGED
        )


def _check_size(tensor: TensorProto, path: Path) -> None:
    from onnx import TensorProto

    kind, count = tensor.data_type, math.prod(tensor.dims)
    if tensor.data_location == TensorProto.EXTERNAL:
        _span(tensor, path)
        return
    if kind not in _BITS and kind != _STRING:
        return
    if tensor.HasField("raw_data"):
        unit, expected, found = "bytes", _bytes(tensor), len(tensor.raw_data)
    else:
        field, each = _FIELDS.get(kind, ("int32_data", 1))
        packed = _BITS.get(kind, 8) < 8
        unit, expected, found = "entries", _bytes(tensor) if packed else each * count, len(getattr(tensor, field))
    if expected != found:
        raise ModelError(
            f"{path}: expected {expected:,} {unit} for {tensor.name!r} of shape {list(tensor.dims)}, found {found:,}",
            hint=_DAMAGED,
        )


def _bytes(tensor: TensorProto) -> int:
    bits: int = math.prod(tensor.dims) * _BITS.get(tensor.data_type, 0)
    return -(-bits // 8)


def external_files(model: ModelProto, path: Path) -> tuple[Path, ...]:
    """The files beside ``path`` that hold the model's numbers, sorted, each once.

    Raises:
        ModelError: one is missing, or lies outside the model's folder.
    """
    from onnx import TensorProto

    tensors = (t for t in _tensors(model) if t.data_location == TensorProto.EXTERNAL)
    return tuple(sorted({_beside(tensor, path) for tensor in tensors}))


def _beside(tensor: TensorProto, path: Path) -> Path:
    location = _entries(tensor, path).get("location", "")
    if not location or "\0" in location:
        raise ModelError(f"{path} names no file for the data of {tensor.name!r}: {location!r}", hint=_DAMAGED)
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


def external(tensor: TensorProto, path: Path) -> bytes:
    """The bytes of ``tensor``, which lie beside ``path``. Raises as `check`."""
    target, start, end = _span(tensor, path)
    with target.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def _span(tensor: TensorProto, path: Path) -> tuple[Path, int, int]:
    """The file that holds ``tensor``, its first byte there and the one behind its last."""
    target = _beside(tensor, path)
    entries = _entries(tensor, path)
    numbers = {key: entries.get(key, "") for key in ("offset", "length")}
    for key, text in numbers.items():
        # Of 2**63 and more there is no file.
        if text and not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise ModelError(
                f"{path}: expected the {key} of {tensor.name!r} in bytes, found {text[:40]!r}", hint=_DAMAGED
            )
    start, size = int(numbers["offset"] or 0), target.stat().st_size
    known = tensor.data_type in _BITS
    length = _bytes(tensor) if known else int(numbers["length"] or max(0, size - start))
    if numbers["length"] and int(numbers["length"]) != length:
        raise ModelError(
            f"{path}: expected {length:,} bytes for {tensor.name!r} of shape {list(tensor.dims)}, "
            f"found {int(numbers['length']):,}",
            hint=_DAMAGED,
        )
    if start + length > size:
        raise ModelError(
            f"{target}: expected at least {start + length:,} bytes for {tensor.name} of {path}, found {size:,}",
            hint="the file was cut off or belongs to another model; copy it again",
        )
    return target, start, start + length


def _entries(tensor: TensorProto, path: Path) -> dict[str, str]:
    """What is said of where ``tensor`` lies."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if len(entries) < len(tensor.external_data):
        keys = ", ".join(entry.key for entry in tensor.external_data)
        raise ModelError(f"{path} says twice where the data of {tensor.name!r} lie: {keys}", hint=_DAMAGED)
    return entries


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """``graph`` and the branches and loop bodies within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from graphs(inner)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    for graph in graphs(model.graph):
        yield from graph.initializer
    for sparse in _sparse(model):
        yield from (sparse.values, sparse.indices)
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from ([attribute.t] if attribute.HasField("t") else [])
            yield from attribute.tensors


def _sparse(model: ModelProto) -> Iterator[SparseTensorProto]:
    for graph in graphs(model.graph):
        yield from graph.sparse_initializer
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from ([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else [])
            yield from attribute.sparse_tensors


def _nodes(model: ModelProto) -> Iterator[NodeProto]:
    for graph in graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node
