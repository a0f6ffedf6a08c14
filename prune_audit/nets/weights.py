"""Which tensors of a torch module are weights: what a density counts, and what pruning may cut.

Both ask the same question, so that what is cut is what is counted. Weights are told by the layer that they belong to:
the tensors of convolutions, linear, attention, embedding and recurrent layers by their names in torch, and of a layer
that torch does not know the parameter called ``weight``, as people call it. Any other matrix among the parameters (the
positions of a transformer, the experts of a mixture) may be a weight or not, so it is listed and not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_OF_ATTENTION = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
# What torch's pruning, weight norm and spectral norm store in place of a weight.
_STORED = ("", "_orig", "_v", "_g")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """One weight. ``values`` are those in use, detached: the masked ones where a mask lies beside them.

    ``parameter`` tells whether two layers share it, None where the values are computed from several. ``cuttable`` says
    that it is a floating parameter called ``name``, which can be set to zero as it is.
    """

    name: str
    kind: str
    parameter: torch.nn.Parameter | None
    values: torch.Tensor
    cuttable: bool


def weights(module: torch.nn.Module) -> Iterator[Weight]:
    """The weights of ``module`` in the order of its layers, each once."""
    import torch

    seen: set[torch.nn.Parameter] = set()
    for prefix, child in module.named_modules():
        kind, names = _slots(child)
        for name in names:
            found = _in_use(child, name)
            if found is None or (found[0] is not None and found[0] in seen):
                continue
            parameter, values = found
            seen |= set() if parameter is None else {parameter}
            own = dict(child.named_parameters(recurse=False)).get(name)
            cuttable = isinstance(own, torch.nn.Parameter) and own.is_floating_point()
            full = f"{prefix}.{name}".removeprefix(".")
            yield Weight(name=full, kind=kind, parameter=parameter, values=values, cuttable=cuttable)


def uncounted(module: torch.nn.Module) -> tuple[str, ...]:
    """The other matrices among the parameters of ``module``, as `label` has them, each once."""
    from torch.nn.utils.parametrize import ParametrizationList

    counted: set[torch.nn.Parameter] = set()
    others: dict[torch.nn.Parameter, str] = {}
    for prefix, child in module.named_modules():
        own = dict(child.named_parameters(recurse=False))
        counted |= {own[key] for name in _slots(child)[1] for key in (name + end for end in _STORED) if key in own}
        # What the values of a weight are computed from; the weight itself is seen at the layer.
        if not isinstance(child, (ParametrizationList, *_norms())):
            for name, parameter in own.items():
                if parameter.is_floating_point() and is_matrix(parameter.shape):
                    others.setdefault(parameter, label(f"{prefix}.{name}".removeprefix("."), parameter.shape))
    return tuple(name for parameter, name in others.items() if parameter not in counted)


def label(name: str, shape: Sequence[int]) -> str:
    """A tensor that is not counted, as reports have it: its name and its shape."""
    return f"{name} ({' x '.join(map(str, shape))})"


def is_matrix(shape: Sequence[int]) -> bool:
    """Whether a tensor has more than one axis along which it varies: biases and scales are vectors, however shaped."""
    return sum(length > 1 for length in shape) > 1


def _slots(module: torch.nn.Module) -> tuple[str, tuple[str, ...]]:
    """What kind of layer ``module`` is, and how its weights are called; '' for none."""
    import torch
    from torch.nn.modules.conv import _ConvNd

    if isinstance(module, _ConvNd):
        return "convolution", ("weight",)
    if isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag):
        return "embedding", ("weight",)
    if isinstance(module, torch.nn.Linear | torch.nn.Bilinear):
        return "linear", ("weight",)
    if isinstance(module, torch.nn.MultiheadAttention):
        return "linear", _OF_ATTENTION
    if isinstance(module, torch.nn.RNNBase):
        return "recurrent", tuple(n for names in module._all_weights for n in names if n.startswith("weight"))
    if isinstance(module, torch.nn.RNNCellBase):
        return "recurrent", ("weight_ih", "weight_hh")
    own = dict(module.named_parameters(recurse=False))
    stored = next((own[key] for key in ("weight", "weight_orig", "weight_v") if key in own), None)
    if stored is None or isinstance(module, _norms()) or not (stored.is_floating_point() and is_matrix(stored.shape)):
        return "", ()
    return "other", ("weight",)


def _norms() -> tuple[type[torch.nn.Module], ...]:
    """Layers whose parameters scale, whatever their shape."""
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase

    return (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.PReLU)


def _in_use(module: torch.nn.Module, name: str) -> tuple[torch.nn.Parameter | None, torch.Tensor] | None:
    """The parameter behind the weight ``name``, and the values in use; None where there is none."""
    import torch

    own = dict(module.named_parameters(recurse=False))
    mask, direction, length = (getattr(module, f"{name}_{end}", None) for end in ("mask", "v", "g"))
    # The attribute that pruning and both norms compute is rewritten only by the next forward pass.
    if f"{name}_orig" in own:
        stored = own[f"{name}_orig"]
        return stored, stored.detach() if mask is None else stored.detach() * mask
    if f"{name}_v" in own and isinstance(direction, torch.nn.Parameter) and isinstance(length, torch.Tensor):
        return direction, direction.detach() * length.detach()
    values = getattr(module, name, None)
    if not isinstance(values, torch.Tensor):
        return None
    return values if isinstance(values, torch.nn.Parameter) else None, values.detach()
