"""Channels whose filters were cut taken out of a network, which then computes less.

A filter of zeros still gives its bias, and what normalisation makes of 0, to the layers behind it, so that a network
without it computes something else. Where a channel is to go, all that is added in it is therefore cut with its filters:
biases, and the scales and shifts of batch and instance normalisation; they stay 0 through a training. What comes to the
next layers is then 0 whatever the sample, and a network without the channel answers alike, but for rounding.

Filters of several layers may meet in one channel, as where a shortcut is added. Which do is told by torch-pruning
(DepGraph: Fang et al. 2023, arXiv 2301.12900), which runs the network once; a channel goes where all of them were cut.
The library takes what it does not know for an operation that leaves channels where they are and zeros zeros, which a
padded shortcut or a sigmoid does not. So it is tried first, of each set of layers that meet: half of their channels are
cut, and taken out. Where the answers of the two differ, the layers stay as they are, and it is said why.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prune_audit.core import Array, Floats
from prune_audit.errors import MissingExtra
from prune_audit.nets import onnx_export
from prune_audit.nets.editable import Editable
from prune_audit.nets.gradients import untouched
from prune_audit.nets.module import ROUNDING

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.masking import Masks
    from prune_audit.nets.pattern import Sides

TRACED, TRIED = 2, 16  # samples that the network is run on to see its channels, and to try it without some

OTHERWISE = "without channels of it the network answers otherwise"
FAILS = "without channels of it the network cannot run"
UNSEEN = "it is not seen where its channels go"
MET = "its channels are added to those of a layer that is left whole"
GROUPED = "a convolution of groups needs as many channels in each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The channels (C,) of the layer ``root``, and what lies in them.

    ``filters`` are the layers whose outputs meet in them, and ``added`` the parameters that add something to them, each
    as the positions (N,) along the layer or parameter with the channel (N,) that each is in.
    """

    root: str
    count: int
    filters: Mapping[str, tuple[Array, Array]]
    added: Mapping[str, tuple[Array, Array]]

    def dead(self, cut: Mapping[str, Array]) -> Array:
        """The channels (D,) in which all filters are ``cut``, (F,) booleans of each layer."""
        alive = np.zeros(self.count, bool)
        for layer, (at, channel) in self.filters.items():
            alive[channel[~cut[layer][at]]] = True
        return np.flatnonzero(~alive)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shrinking:
    """What can be taken out of a network: the ``channels`` of its layers, and why filters of others stay (``whole``).

    ``sides`` are the axes of the weights that are cut, and ``traced`` samples by which channels are seen.
    """

    channels: tuple[Channels, ...]
    whole: Mapping[str, str]
    sides: Mapping[str, Sides]
    traced: Mapping[str, Array]

    def along(self, model: torch.nn.Module, masks: Masks) -> Masks:
        """Masks of all that is cut along with the filters that ``masks`` cut, by names of parameters."""
        import torch

        cut = self.cut(masks)
        names = {name for each in self.channels for name in each.added}  # of which one may lie in channels of several
        found = {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in sorted(names)}
        for each in self.channels:
            dead = each.dead(cut)
            for name, (at, channel) in each.added.items():
                found[name][torch.from_numpy(at[np.isin(channel, dead)])] = False
        return found

    def cut(self, masks: Masks) -> dict[str, Array]:
        """Which filters (F,) of each layer ``masks`` cut."""
        return {layer(name): _cut(mask, self.sides[name][0]) for name, mask in masks.items()}

    def removed(self, masks: Masks) -> dict[str, Array]:
        """Which filters (F,) of each layer are taken out, of those that ``masks`` cut."""
        cut = self.cut(masks)
        found = {name: np.zeros(len(filters), bool) for name, filters in cut.items()}
        for each in self.channels:
            dead = each.dead(cut)
            for name, (at, channel) in each.filters.items():
                found[name][at[np.isin(channel, dead)]] = True
        return found

    def told(self, masks: Masks) -> tuple[str, ...]:
        """How many of the filters that ``masks`` cut stay in the network as zeros, and why."""
        cut, removed = self.cut(masks), self.removed(masks)
        stay = {name: int((filters & ~removed[name]).sum()) for name, filters in cut.items()}
        met = sum(count for name, count in stay.items() if name not in self.whole)
        said = [f"{met:,} share their channel with filters that were not cut"] if met else []
        for why in dict.fromkeys(self.whole.values()):
            layers = [name for name, reason in self.whole.items() if reason == why and stay[name]]
            if layers:
                said.append(f"{sum(stay[name] for name in layers):,} of {', '.join(layers)}: {why}")
        return tuple(said)

    def smaller(self, opened: Editable, masks: Masks) -> torch.nn.Module:
        """The network of ``opened``, of which ``masks`` and what goes `along` were cut, without the dead channels."""
        cut = self.cut(masks)
        return _without(opened, opened.module, {each.root: each.dead(cut) for each in self.channels}, self.traced)


def require() -> None:
    """Raise `MissingExtra` where the library that finds channels is not installed."""
    try:
        import torch_pruning  # noqa: F401 - whether it is there
    except ImportError as fault:
        raise MissingExtra(
            "taking filters out of a network needs torch-pruning", hint="pip install 'prune-audit[shrink]'"
        ) from fault


def seen(opened: Editable, masks: Masks, sides: Mapping[str, Sides], samples: Mapping[str, Array]) -> Shrinking:
    """What could be taken out of the network ``opened``, of the weights of ``masks``, run on some ``samples``.

    Raises:
        MissingExtra: the library that finds channels, or that exports, is not installed.
        ModelError: the network cannot be run in torch.
    """
    require()
    onnx_export.require_exporter(opened.require("shrunk"))
    traced = {name: array[:TRACED] for name, array in samples.items()}
    tried = {name: array[:TRIED] for name, array in samples.items()}
    names = [layer(name) for name in masks]
    whole: dict[str, str] = {}
    found: list[Channels] = []
    known: set[str] = set()
    module = copy.deepcopy(opened.module)
    graph = _graph(opened, module, traced)
    for name in names:
        if name in known:
            continue
        channels = _channels(graph, module, name)
        met = (name,) if isinstance(channels, str) else tuple(channels.filters)
        known.update(met)
        if isinstance(channels, str):
            why = channels
        elif missing := [each for each in met if each not in names]:
            why = f"{MET}: {', '.join(missing)}"
        else:
            why = _differs(opened, channels, masks, sides, traced, tried)
        if why or isinstance(channels, str):
            whole |= dict.fromkeys([each for each in met if each in names], why)
        else:
            found.append(channels)
    return Shrinking(channels=tuple(found), whole=whole, sides=sides, traced=traced)


def layer(name: str) -> str:
    """The name of the layer that the parameter called ``name`` is of."""
    return name.rpartition(".")[0]


@contextmanager
def running(opened: Editable, module: torch.nn.Module) -> Iterator[None]:
    """Within, ``opened`` runs ``module`` in place of its own."""
    classifier = opened.require("run")
    own = classifier.module
    classifier.module = module
    try:
        yield
    finally:
        classifier.module = own


def scores(opened: Editable, module: torch.nn.Module, samples: Mapping[str, Array]) -> Floats:
    """What ``module`` says of ``samples`` (B, C) in the place of the network of ``opened``. Raises `ModelError`."""
    import torch

    with running(opened, module), untouched(module), torch.no_grad():
        found: Floats = opened.scores(opened.tensors(samples)).double().cpu().numpy()
    return found


def apart(found: Floats, expected: Floats) -> float:
    """How far scores (B, C) of a sample differ at most, as a share of its largest; infinitely where their shapes do.

    `ROUNDING` is what orders of summing may make of it.
    """
    if found.shape != expected.shape:
        return float("inf")
    largest = np.abs(expected).max(1, keepdims=True)
    share = np.abs(found - expected) / np.where(largest > 0, largest, 1)
    return float(share.max()) if np.isfinite(share).all() else float("inf")


def _cut(mask: torch.Tensor, axis: int) -> Array:
    """Which outputs (F,) keep nothing."""
    kept: Array = mask.movedim(axis, 0).flatten(1).any(1).cpu().numpy()
    return ~kept


def _graph(opened: Editable, module: torch.nn.Module, samples: Mapping[str, Array]) -> Any:
    """What torch-pruning sees of ``module`` when it runs on ``samples``."""
    import torch
    import torch_pruning

    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(True)  # it follows the gradient's functions
    with running(opened, module), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch_pruning.DependencyGraph().build_dependency(
            module, opened.tensors(samples), forward_fn=lambda _, inputs: opened.scores(inputs), verbose=False
        )


def _channels(graph: Any, module: torch.nn.Module, root: str) -> Channels | str:
    """The channels of the layer ``root`` of ``module``, or why they cannot be taken out."""
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase
    from torch.nn.modules.conv import _ConvNd

    writing = module.get_submodule(root)
    if not isinstance(writing, _ConvNd | nn.Linear) or writing not in graph.module2node:
        return UNSEEN
    names = {each: name for name, each in module.named_modules()}
    pruner = graph.get_pruner_of_module(writing)
    count = pruner.get_out_channels(writing)
    filters: dict[str, tuple[Array, Array]] = {}
    added: dict[str, tuple[Array, Array]] = {}
    # What a library makes of anybody's network may fail in any way.
    try:
        group = graph.get_pruning_group(writing, pruner.prune_out_channels, list(range(count)))
        for item in group:
            target = item.dep.target.module
            if isinstance(target, _ConvNd) and target.groups > 1 and not _by_channel(target):
                return GROUPED
            if target not in names or not graph.is_out_channel_pruning_fn(item.dep.handler):
                continue
            place = np.array(item.idxs, np.int64), np.array(item.root_idxs, np.int64)
            if isinstance(target, _ConvNd | nn.Linear):
                filters[names[target]] = place
            adds = isinstance(target, _ConvNd | nn.Linear | _NormBase)
            for own in ("bias", "weight") if isinstance(target, _NormBase) else ("bias",):
                if adds and getattr(target, own, None) is not None:
                    added[f"{names[target]}.{own}"] = place
    except Exception:
        return UNSEEN
    sizes = [len(module.get_parameter(name)) for name in added]
    sizes += [graph.get_out_channels(module.get_submodule(name)) for name in filters]
    if any(at.max() >= size for (at, _), size in zip([*added.values(), *filters.values()], sizes, strict=True)):
        return UNSEEN
    return Channels(root=root, count=count, filters=filters, added=added)


def _by_channel(convolution: torch.nn.modules.conv._ConvNd) -> bool:
    """Whether every channel is convolved by itself."""
    return convolution.groups == convolution.in_channels == convolution.out_channels


def _differs(
    opened: Editable,
    channels: Channels,
    masks: Masks,
    sides: Mapping[str, Sides],
    traced: Mapping[str, Array],
    tried: Mapping[str, Array],
) -> str:
    """Why no ``channels`` can be taken out, '' where half of them can, once they are cut."""
    import torch

    half = np.arange(0, channels.count, 2)[: channels.count - 1]
    module = copy.deepcopy(opened.module)
    with torch.no_grad():
        for name in masks:
            if layer(name) in channels.filters:
                at, channel = channels.filters[layer(name)]
                module.get_parameter(name).movedim(sides[name][0], 0)[at[np.isin(channel, half)]] = 0
        for name, (at, channel) in channels.added.items():
            module.get_parameter(name)[at[np.isin(channel, half)]] = 0
    # Anybody's network may fail in any way without its channels.
    try:
        expected = scores(opened, module, tried)
        found = scores(opened, _without(opened, module, {channels.root: half}, traced), tried)
    except Exception:
        return FAILS
    return OTHERWISE if apart(found, expected) > ROUNDING else ""


def _without(
    opened: Editable, module: torch.nn.Module, taken: Mapping[str, Sequence[int] | Array], samples: Mapping[str, Array]
) -> torch.nn.Module:
    """A copy of ``module`` without the channels ``taken`` of layers, and what reads and writes them."""
    smaller = copy.deepcopy(module)
    graph = _graph(opened, smaller, samples)
    for root, channels in taken.items():
        if len(channels):
            writing = smaller.get_submodule(root)
            cut = graph.get_pruner_of_module(writing).prune_out_channels
            graph.get_pruning_group(writing, cut, [int(each) for each in channels]).prune()
    return smaller
