"""What a file of weights alone tells without the network that they belong to: names, shapes, and how many are zero.

A state dict says nothing of its layers, but its authors called them as torch does, and so a tensor's name and shape
say what it is: ``weight`` of two axes multiplies, of more it convolves, ``weight_hh_l0`` is recurrent. A matrix of any
other name may be a weight or not, and is listed. Biases, normalisation and statistics are vectors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from prune_audit.core import Layer, ModelCard, ModelSource
from prune_audit.errors import ModelError, UsageError
from prune_audit.files import on_disk
from prune_audit.models import _masks, _tree, _weights
from prune_audit.nets.module import layer
from prune_audit.nets.weights import is_matrix, label

if TYPE_CHECKING:
    import torch

_OPTIMISER = re.compile(r"(^|_)optim|schedul")
# Weight norm and its like keep what a weight is computed from in place of it.
_HALVES = re.compile(r"parametrizations\.(\w+)\.original1?$|(weight)_v$")
_RECURRENT = re.compile(r"weight_(ih|hh|hr)(_l\d+)?(_reverse)?$")
_ATTENTION = re.compile(r"(in|q|k|v)_proj_weight$")
_EMBEDDING = re.compile(r"emb|(^|\.)w[tp]e\.", re.IGNORECASE)
_STATISTICS = ("running_mean", "running_var")
_PAIR = "_packed_params"
_STEPS = ("scale", "zero_point")


def card(content: object, source: ModelSource, *, form: str, key: str | None) -> ModelCard:
    """The card of the file at ``source``, of a ``form``, which holds ``content`` and no network.

    ``key`` says which entry are the weights, None where nobody said.

    Raises:
        ModelError: it holds no weights, or several sets that differ.
        UsageError: there is no entry ``key``.
    """
    content = _unpacked(content)
    sets = _sets(content, source)
    names = {place: place.rstrip(".") or _tree.ROOT for place in sets}
    if not sets:
        raise ModelError(
            f"{source.path} holds no weights of layers", hint="save them with torch.save(model.state_dict(), path)"
        )
    asked = [place for place in sets if key in (None, names[place])]
    if not asked:
        raise UsageError(f"{source.path} has no weights {key!r}", hint=f"--state-key {' or '.join(names.values())}")
    first = asked[0]
    if any(not _equal(sets[first], sets[place]) for place in asked[1:]):
        shown = " or ".join(f"--state-key {name}" for name in names.values())
        raise ModelError(
            f"{source.path} holds {len(sets)} sets of weights that differ: {', '.join(names.values())}",
            hint=f"say which to show: {shown}",
        )
    weights = _weights.alone(_only(content, "", first), source)
    return _card(weights | _quantised(sets[first], weights), source, form)


def _card(weights: Mapping[str, object], source: ModelSource, form: str) -> ModelCard:
    import torch

    tensors = {name: value for name, value in weights.items() if isinstance(value, torch.Tensor)}
    layers: list[Layer] = []
    uncounted: list[str] = []
    numbers = 0
    for name, tensor in tensors.items():
        floats = tensor.is_floating_point() or tensor.is_quantized
        if floats and not name.endswith(_STATISTICS):
            numbers += tensor.numel()
        if not is_matrix(tensor.shape):
            continue
        kind = _kind(name, tensor.ndim)
        if floats and kind is not None:
            layers.append(layer(name, kind, tensor))
        elif floats or "weight" in name.rpartition(".")[2]:  # packed into integers by who knows whom
            uncounted.append(label(name, tensor.shape))
    return on_disk.card(
        source, source.path, form=form, layers=tuple(layers), parameters=numbers, uncounted=tuple(uncounted)
    )


def _unpacked(content: object) -> object:
    """``content`` with what quantised layers keep together, and steps of quantisation, as if nothing was quantised.

    torch writes a quantised linear layer as a pair of weight and bias, which no tensor's name tells of, and one number
    each beside every layer for its outputs' scale and zero point.
    """
    import torch

    if not isinstance(content, Mapping):
        return content
    made: dict[object, object] = {}
    for name, value in content.items():
        place, _, last = name.rpartition(".") if isinstance(name, str) else ("", "", name)
        pair = value if isinstance(value, tuple) and last == _PAIR else ()
        layer = place.removesuffix(_PAIR)  # ends with a dot, or is empty
        if pair and isinstance(pair[0], torch.Tensor):
            halves = zip(("weight", "bias"), pair, strict=False)
            made |= {f"{layer}{half}": tensor for half, tensor in halves if isinstance(tensor, torch.Tensor)}
        elif not (last in _STEPS and all(".".join(filter(None, (place, step))) in content for step in _STEPS)):
            made[name] = _unpacked(value)
    return made


def _quantised(saved: Mapping[str, torch.Tensor], weights: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """The ``weights`` that were ``saved`` quantised, so: of the zeros of these, rounding explains some."""
    import torch

    found = {name.removeprefix("module."): value for name, value in saved.items() if value.is_quantized}
    return {
        name: value
        for name, value in found.items()
        if isinstance(plain := weights.get(name), torch.Tensor)
        and torch.equal(plain, value.dequantize())  # no mask cut it
    }


def _kind(name: str, axes: int) -> str | None:
    """The kind of layer whose weight is called ``name``; None where the name is no weight's."""
    found = _HALVES.search(name)
    name = name[: found.start()] + (found[1] or found[2]) if found else name
    last = name.rpartition(".")[2]
    if _RECURRENT.fullmatch(last):
        return "recurrent"
    if _ATTENTION.fullmatch(last):
        return "linear"
    if last != "weight":
        return None
    return "convolution" if axes > 2 else "embedding" if _EMBEDDING.search(name) else "linear"


def _sets(content: object, source: ModelSource) -> dict[str, dict[str, torch.Tensor]]:
    """The dicts of ``content`` that hold matrices and are no optimiser's and no masks, by their places."""
    import torch

    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, leaf in _tree.leaves(content, source).items():
        if isinstance(leaf.value, torch.Tensor) and not _aside(leaf.place):
            found.setdefault(leaf.place, {})[name.removeprefix(leaf.place)] = leaf.value
    return {place: own for place, own in found.items() if any(is_matrix(t.shape) for t in own.values())}


def _aside(place: str) -> bool:
    return any(_OPTIMISER.search(part) or _tree.is_mask(part) for part in _tree.parts(place))


def _only(content: object, place: str, chosen: str) -> object:
    """``content``, at ``place``, without the dicts that are neither ``chosen`` nor around it nor masks."""
    if not isinstance(content, Mapping):
        return content
    kept = {}
    for key, value in content.items():
        inner = f"{place}{key}."
        masks = any(_tree.is_mask(part) for part in _tree.parts(inner))
        if chosen.startswith(inner) or (isinstance(value, Mapping) and masks) or place == chosen:
            kept[key] = _only(value, inner, chosen) if place != chosen else value
    return kept


def _equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(_masks.alike(one[name], other[name]) for name in one)
