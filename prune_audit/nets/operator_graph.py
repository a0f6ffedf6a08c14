"""What a graph of torch's operators tells of a model: its weights, its input, and whether it would still train.

TorchScript and torch.export both end in graphs of the same aten operators, and after freezing or lowering nothing is
left of the layers but these. So densities are counted where weights are used, whatever the layers were called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prune_audit.core import Layer
from prune_audit.errors import ModelError
from prune_audit.nets.module import layer, numpy_name
from prune_audit.nets.packed_weights import Part
from prune_audit.nets.weights import is_matrix, label

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
    """One use of an operator (``conv2d``), with those arguments that do not depend on the input, by their names.

    Of a list of tensors these are the ones that do not. ``packed`` are tensors that the file's packed objects hold, by
    their full names, and ``sealed`` the names of those that cannot be looked into.
    """

    operator: str
    stored: Mapping[str, Stored | Sequence[Stored]] = field(default_factory=dict)
    constants: Mapping[str, object] = field(default_factory=dict)
    packed: Mapping[str, Part] = field(default_factory=dict)
    sealed: tuple[str, ...] = ()


_VIEWS = re.compile(
    "view|reshape|expand|contiguous|detach|clone|alias|chunk|split|unflatten|select|slice|to|_to_copy|type_as"
)
_CONVOLUTIONS = (
    *("convolution", "_convolution", "_convolution_mode"),
    *(f"conv{transposed}{n}d" for transposed in ("", "_transpose") for n in (1, 2, 3)),
)
_CELLS = ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
# Where the weights are: operator -> kind and argument names.
_USES: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(_CONVOLUTIONS, ("convolution", ("weight",))),
    "linear": ("linear", ("weight",)),
    "bilinear": ("linear", ("weight",)),
    "matmul": ("linear", ("self", "other")),
    **dict.fromkeys(("mm", "bmm"), ("linear", ("self", "mat2"))),
    "baddbmm": ("linear", ("batch1", "batch2")),
    "addmm": ("linear", ("mat1", "mat2")),
    **dict.fromkeys(("einsum", "tensordot"), ("linear", ("tensors", "self", "other"))),
    "_native_multi_head_attention": ("linear", ("qkv_weight", "proj_weight")),
    "_transformer_encoder_layer_fwd": ("linear", ("qkv_weight", "proj_weight", "ffn_weight_1", "ffn_weight_2")),
    # Their weights and biases are one list.
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), ("recurrent", ("params",))),
    **dict.fromkeys(_CELLS, ("recurrent", ("w_ih", "w_hh"))),
    "mkldnn_rnn_layer": ("recurrent", ("weight0", "weight1")),
    "embedding": ("embedding", ("weight",)),
    "embedding_bag": ("embedding", ("weight",)),
    "_embedding_bag": ("embedding", ("weight",)),
    "_embedding_bag_forward_only": ("embedding", ("weight",)),
}


# They scale by what they take, or read a scale.
_SCALES = re.compile(r".*norm.*|Float|Int|item|(de)?quantize_.*")


def layers(calls: Sequence[Call]) -> tuple[Layer, ...]:
    """The weights that ``calls`` use in convolutions, linear, recurrent and embedding layers, each once, in order."""
    return tuple(found for found, _ in _layers(calls).values())


def uncounted(calls: Sequence[Call]) -> tuple[str, ...]:
    """What else of the file's matrices ``calls`` use, each once: it may be weights or not."""
    counted = _layers(calls)
    found: dict[int, str] = {}
    for call in calls:
        for stored in _of(call):
            tensor, place = stored.tensor, stored.tensor.data_ptr()
            told = place in counted or stored.name.endswith("_mask") or _SCALES.fullmatch(call.operator)
            if tensor.is_floating_point() and is_matrix(tensor.shape) and not told:
                found.setdefault(place, label(stored.name, tensor.shape))
    return (*found.values(), *dict.fromkeys(f"{name} (packed)" for call in calls for name in call.sealed))


def _layers(calls: Sequence[Call]) -> dict[int | str, tuple[Layer, bool]]:
    """Each weight, and whether it is stored as integers, by where the file's tensor lies in memory or by its name."""
    found: dict[int | str, tuple[Layer, bool]] = {}
    for call in calls:
        kind, names = _USES.get(call.operator, ("", ()))
        for stored in _of(call, names):
            place = stored.tensor.data_ptr()
            # Among the weights of recurrent layers are biases.
            if place not in found and (kind != "recurrent" or is_matrix(stored.tensor.shape)):
                integers = not stored.tensor.is_floating_point()
                found[place] = layer(stored.name.removesuffix("_orig"), kind, *_used(stored)), integers
        for name, part in call.packed.items():
            if part.weighs and name not in found:
                found[name] = layer(name, part.kind, part.tensor), part.tensor.is_quantized
    return found


def _used(stored: Stored) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What counts of a weight, and its steps from zero where it is dequantised from integers."""
    import torch

    tensor, values = stored.tensor, stored.values
    # A transpose or a mask leaves as many numbers as there were; a part of a weight stands for all of it.
    if tensor.is_quantized or not isinstance(values, torch.Tensor) or values.numel() != tensor.numel():
        return tensor, None
    values = values.reshape(tensor.shape)
    if tensor.is_floating_point():
        return values, None
    zeros = tensor[values == 0].unique()
    # Where zero is not the same everywhere, a step from it is not known, and all may be rounding.
    return values, tensor.int() - int(zeros[0]) if len(zeros) == 1 else (values != 0).int()


def _of(call: Call, names: Sequence[str] | None = None) -> Iterator[Stored]:
    """The tensors of the file among the arguments of ``call`` called ``names``, or all; a list's one by one."""
    for name, value in call.stored.items():
        if names is None or name in names:
            yield from (value,) if isinstance(value, Stored) else value


def channels(calls: Sequence[Call]) -> int | None:
    """The input channels of the first convolution; None where there is none."""
    for call in calls:
        weight = call.stored.get("weight")
        if call.operator in _CONVOLUTIONS and isinstance(weight, Stored):
            groups = call.constants.get("groups", 1)
            if "transpose" in call.operator or call.constants.get("transposed"):
                return int(weight.tensor.shape[0])
            return int(weight.tensor.shape[1]) * (groups if isinstance(groups, int) else 1)
    return None


def dtype(calls: Sequence[Call]) -> str | None:
    """The numpy type that the first layer takes: its weight's; None where that is an embedding or there is none."""
    for call in calls:
        kind, names = _USES.get(call.operator, ("", ()))
        for stored in _of(call, names):
            floats = stored.tensor.is_floating_point()
            return None if kind == "embedding" else numpy_name(stored.tensor.dtype) if floats else "float32"
        if call.packed:
            return "float32"
    return None


def refuse_training(calls: Sequence[Call], name: str) -> None:
    """Raise `ModelError` where the graph of model ``name`` was recorded in training mode, which nothing can undo.

    Batch norm then normalises by the batch at hand, so that predictions depend on what else is in the batch, and
    dropout drops. Batch norm without running statistics was built so, and is let through, and so is what drops a share
    of 0, such as a recurrent layer without dropout.
    """
    for call in calls:
        trains = any(call.constants.get(flag) is True for flag in ("training", "train"))
        statistics = "norm" not in call.operator or "running_mean" in call.stored
        never = any(call.constants.get(share) == 0 for share in ("p", "dropout", "dropout_p"))
        if (trains and statistics and not never) or "batch_norm_with_update" in call.operator:
            raise ModelError(
                f"{name} was exported in training mode: {call.operator} would still train",
                hint="export it again after model.eval()",
            )


def is_view(operator: str) -> bool:
    """Whether ``operator`` gives its first argument seen otherwise, whatever sizes it is told by the input."""
    return _VIEWS.fullmatch(operator) is not None


def parameters(calls: Sequence[Call]) -> int:
    """The number of floating values that ``calls`` take from the file, folded constants among them, and of `integers`.

    Scales and zero points do not count.
    """
    weighing = (call for call in calls if _SCALES.fullmatch(call.operator) is None or "norm" in call.operator)
    tensors = {stored.tensor.data_ptr(): stored.tensor for call in weighing for stored in _of(call)}
    return sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point()) + integers(calls)


def integers(calls: Sequence[Call]) -> int:
    """The number of weights that ``calls`` store as integers, and of the numbers in packed objects."""
    stored = sum(found.total for place, (found, whole) in _layers(calls).items() if whole and isinstance(place, int))
    packed = {name: part.tensor.numel() for call in calls for name, part in call.packed.items()}
    return stored + sum(packed.values())


def derived(values: object, sources: Sequence[Stored]) -> Stored:
    """``values``, which were computed from ``sources`` alone; they count as made of the largest that is no mask."""
    source = max(sources, key=lambda stored: (not stored.name.endswith("_mask"), stored.tensor.numel()))
    return Stored(name=source.name, tensor=source.tensor, values=values)
