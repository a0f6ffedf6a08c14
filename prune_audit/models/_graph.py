"""What a graph of torch's operators tells of a model: its weights, its input, and whether it would still train.

TorchScript and torch.export both end in graphs of the same aten operators, and after freezing or lowering nothing is
left of the layers but these. So densities are counted where weights are used, whatever the layers were called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prune_audit.core import Layer
from prune_audit.errors import ModelError
from prune_audit.models._torch import layer, numpy_name

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """What does not depend on the input: a tensor that the file holds, or what is computed from such tensors.

    ``tensor`` is the one that the file holds, of several the one that matters, and ``name`` is its name. ``values``
    are what the graph makes of it: the masked weight, its transpose, or a list of its parts.
    """

    name: str
    tensor: torch.Tensor
    values: Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """One use of an operator (``conv2d``), with those arguments that do not depend on the input, by their names."""

    operator: str
    stored: Mapping[str, Stored] = field(default_factory=dict)
    constants: Mapping[str, object] = field(default_factory=dict)


_VIEWS = re.compile(
    "view|reshape|expand|contiguous|detach|clone|alias|chunk|split|unflatten|select|slice|to|_to_copy|type_as"
)
_CONVOLUTIONS = (
    *("convolution", "_convolution", "_convolution_mode"),
    *(f"conv{transposed}{n}d" for transposed in ("", "_transpose") for n in (1, 2, 3)),
)
# Where the weights are: operator -> kind and argument names.
_USES: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(_CONVOLUTIONS, ("convolution", ("weight",))),
    "linear": ("linear", ("weight",)),
    "bilinear": ("linear", ("weight",)),
    "matmul": ("linear", ("self", "other")),
    **dict.fromkeys(("mm", "bmm"), ("linear", ("self", "mat2"))),
    "addmm": ("linear", ("mat1", "mat2")),
    "_native_multi_head_attention": ("linear", ("qkv_weight", "proj_weight")),
    "_transformer_encoder_layer_fwd": ("linear", ("qkv_weight", "proj_weight", "ffn_weight_1", "ffn_weight_2")),
    "embedding": ("embedding", ("weight",)),
    "embedding_bag": ("embedding", ("weight",)),
    "_embedding_bag": ("embedding", ("weight",)),
    "_embedding_bag_forward_only": ("embedding", ("weight",)),
}


def layers(calls: Sequence[Call]) -> tuple[Layer, ...]:
    """The weights that ``calls`` use in convolutions, linear and embedding layers, each once, in order of use."""
    import torch

    found: dict[int, Layer] = {}
    for call in calls:
        kind, names = _USES.get(call.operator, ("", ()))
        for stored in (call.stored[name] for name in names if name in call.stored):
            place = stored.tensor.data_ptr()
            if place not in found:
                # A transpose or a mask leaves as many numbers as there were; a part of a weight stands for all of it.
                whole = isinstance(stored.values, torch.Tensor) and stored.values.numel() == stored.tensor.numel()
                used = stored.values.reshape(stored.tensor.shape) if whole else stored.tensor
                found[place] = layer(stored.name.removesuffix("_orig"), kind, used)
    return tuple(found.values())


def channels(calls: Sequence[Call]) -> int | None:
    """The input channels of the first convolution; None where there is none."""
    for call in calls:
        weight = call.stored.get("weight")
        if call.operator in _CONVOLUTIONS and weight is not None:
            groups = call.constants.get("groups", 1)
            if "transpose" in call.operator or call.constants.get("transposed"):
                return int(weight.tensor.shape[0])
            return int(weight.tensor.shape[1]) * (groups if isinstance(groups, int) else 1)
    return None


def dtype(calls: Sequence[Call]) -> str | None:
    """The numpy type that the first layer takes: its weight's; None where that is an embedding or there is none."""
    for call in calls:
        kind, names = _USES.get(call.operator, ("", ()))
        for name in names:
            if name in call.stored:
                return None if kind == "embedding" else numpy_name(call.stored[name].tensor.dtype)
    return None


def refuse_training(calls: Sequence[Call], name: str) -> None:
    """Raise `ModelError` where the graph of model ``name`` was recorded in training mode, which nothing can undo.

    Batch norm then normalises by the batch at hand, so that predictions depend on what else is in the batch, and
    dropout drops. Batch norm without running statistics was built so, and is let through.
    """
    for call in calls:
        trains = any(call.constants.get(flag) is True for flag in ("training", "train"))
        statistics = "norm" not in call.operator or "running_mean" in call.stored
        if (trains and statistics and call.constants.get("p") != 0) or "batch_norm_with_update" in call.operator:
            raise ModelError(
                f"{name} was exported in training mode: {call.operator} would still train",
                hint="export it again after model.eval()",
            )


def is_view(operator: str) -> bool:
    """Whether ``operator`` gives its first argument seen otherwise, whatever sizes it is told by the input."""
    return _VIEWS.fullmatch(operator) is not None


def parameters(calls: Sequence[Call]) -> int:
    """The number of floating values that ``calls`` take from the file; constants that were folded count as well."""
    tensors = {stored.tensor.data_ptr(): stored.tensor for call in calls for stored in call.stored.values()}
    return sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point())


def derived(values: object, sources: Sequence[Stored]) -> Stored:
    """``values``, which were computed from ``sources`` alone; they count as made of the largest that is no mask."""
    source = max(sources, key=lambda stored: (not stored.name.endswith("_mask"), stored.tensor.numel()))
    return Stored(name=source.name, tensor=source.tensor, values=values)
