"""The weights that torch's quantised layers keep packed, in objects of the runtime that are no tensors.

A quantised linear layer, convolution, embedding or recurrent cell has no parameters any more: what it multiplies with
is laid out for the processor and can only be asked for by unpacking it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_INSIDE = ("_packed_params", "_packed_weight", "_all_weight_values", "param")
_KINDS = {"Conv": "convolution", "Linear": "linear", "Embedding": "embedding"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One tensor of a packed object: a weight of a ``kind`` of layer, or a bias where it does not ``weigh``."""

    name: str
    kind: str
    tensor: torch.Tensor
    weighs: bool


def is_packed(value: object) -> bool:
    """Whether ``value`` is an object of torch's runtime."""
    import torch

    return isinstance(value, torch.ScriptObject)


def parts(packed: Any) -> tuple[Part, ...] | None:
    """What ``packed`` holds; None where that cannot be told."""
    import torch

    name = packed._type().name()
    try:
        if name == "CellParamsBase":
            # Of a recurrent cell: the weights of input and state, with their biases, packed themselves.
            of_input, of_state = packed.__getstate__()[0][4]
            return (
                *_layer("weight_ih", "recurrent", of_input.unpack()),
                *_layer("weight_hh", "recurrent", of_state.unpack()),
            )
        kind = next((kind for start, kind in _KINDS.items() if name.startswith(start)), None)
        if kind == "embedding":
            return _layer("weight", kind, (torch.ops.quantized.embedding_bag_unpack(packed), None))
        return None if kind is None else _layer("weight", kind, packed.unpack())
    # Objects of an engine that is not here, or of another layout, fail in whatever part of torch they reach.
    except (RuntimeError, AttributeError, TypeError, ValueError):
        return None


def of_module(module: torch.nn.Module) -> Iterator[tuple[str, Part]]:
    """The parts of all packed objects of an eager ``module``, each with the name of its layer before its own."""
    for place, value in _held(module):
        yield from ((called(place, part), part) for part in parts(value) or ())


def sealed(module: torch.nn.Module) -> tuple[str, ...]:
    """The packed objects of an eager ``module`` that cannot be looked into, by their names and types."""
    return tuple(f"{place} ({value._type().name()})" for place, value in _held(module) if parts(value) is None)


def called(place: str, part: Part) -> str:
    """The name of ``part`` of the packed object at ``place``, without the names that quantised layers are made of."""
    return ".".join([*(step for step in place.split(".") if step not in _INSIDE), part.name])


def _layer(name: str, kind: str, unpacked: tuple[torch.Tensor, torch.Tensor | None]) -> tuple[Part, ...]:
    weight, bias = unpacked
    found = (Part(name=name, kind=kind, tensor=weight, weighs=True),)
    if bias is None:
        return found
    return (*found, Part(name=name.replace("weight", "bias"), kind=kind, tensor=bias, weighs=False))


def _held(module: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    for prefix, child in module.named_modules():
        for name, value in vars(child).items():
            if is_packed(value):
                yield f"{prefix}.{name}".removeprefix("."), value
