"""What the layers of a network give for some samples, one number a channel.

Looked at are layers that have weights, and blocks: modules of a kind of their own that hold several such layers, as
those of residual networks do, of which the sum at the end is seen and not every convolution within. What lies at
positions of an image or a text is averaged: a channel is a number for a sample.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core import Floats
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import weights
from prune_audit.nets.examples import Examples
from prune_audit.nets.gradients import untouched
from prune_audit.nets.module import tensors_in

if TYPE_CHECKING:
    import torch


def layers(model: torch.nn.Module, patterns: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the modules to look at: layers with weights and blocks of these, or what ``patterns`` name.

    Raises:
        ModelError: the network has no layer with weights.
        UsageError: a pattern names no module.
    """
    names = [name for name, _ in model.named_modules() if name]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise UsageError(f"no layer is called {pattern!r}", hint=f"layers: {', '.join(names[:20])}")
    if patterns:
        return tuple(name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))
    weighted = {weight.name.rpartition(".")[0] for weight in weights.weights(model)}
    found = tuple(_blocks(model, "", weighted))
    if not found:
        raise ModelError("the model has no layers with weights to look at", hint="give a network of torch layers")
    return found


def _blocks(module: torch.nn.Module, prefix: str, weighted: set[str]) -> Iterator[str]:
    import torch

    for name, child in module.named_children():
        full = f"{prefix}{name}"
        own = [f"{full}.{each}" in weighted for each, _ in child.named_children()]
        lists = isinstance(child, torch.nn.Sequential | torch.nn.ModuleList | torch.nn.ModuleDict)
        if full in weighted or (sum(own) > 1 and not lists):
            yield full
        else:
            yield from _blocks(child, f"{full}.", weighted)


def seen(model: torch.nn.Module, names: Sequence[str], batches: Examples) -> dict[str, Floats]:
    """What the modules ``names`` give, (N, channels) each, for the N samples of ``batches``, in their order.

    In evaluation mode. A module that runs several times a pass counts with its last run; one that does not run, or
    gives no numbers for each sample, is left out.
    """
    import torch

    parts: dict[str, list[Floats]] = {name: [] for name in names}
    now: dict[str, torch.Tensor] = {}

    def see(name: str, module: torch.nn.Module, _: object, result: object) -> None:
        found = next((tensor for _, tensor in tensors_in(result)), None)
        if found is not None and found.is_floating_point() and found.ndim > 1:
            now[name] = _averaged(module, found.detach())

    modules = dict(model.named_modules())
    hooks = [modules[name].register_forward_hook(partial(see, name)) for name in names]
    try:
        with untouched(model), torch.no_grad():
            for inputs, labels in batches:
                now.clear()
                batches.forward(model, inputs)
                for name, found in now.items():
                    if len(found) == len(labels):
                        parts[name].append(found.double().cpu().numpy())
    finally:
        for hook in hooks:
            hook.remove()
    total = len(batches.rows)
    return {name: joined for name, own in parts.items() if own and len(joined := np.concatenate(own)) == total}


def _averaged(module: torch.nn.Module, found: torch.Tensor) -> torch.Tensor:
    """(B, channels) of what ``module`` gave: (B, C, H, W) of images, (B, C, T) of convolutions, (B, T, C) of others."""
    import torch
    from torch.nn.modules.conv import _ConvNd

    if found.ndim == 2:
        return found
    convolves = any(isinstance(each, _ConvNd) for each in module.modules())
    if found.ndim == 3 and not convolves:
        return torch.mean(found, dim=1)
    return torch.mean(found.flatten(2), dim=2)
