"""The units between which the weights of a layer run: along which axis are its outputs, along which its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def axes(module: torch.nn.Module, name: str) -> tuple[int, int] | None:
    """The axes of outputs and of inputs of the weight called ``name`` of ``module``; None where they are not known.

    Not known are those of a graph without layers, such as ONNX, unless the weight is that of a convolution, and of
    layers of groups, where one place along the inputs stands for several units.
    """
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    weight = module.get_parameter(name)
    layer = module.get_submodule(name.rpartition(".")[0])
    if isinstance(layer, _ConvNd):
        return None if layer.groups > 1 else (1, 0) if isinstance(layer, _ConvTransposeNd) else (0, 1)
    if isinstance(layer, nn.Linear):  # which may be no more than a place for a weight of any shape
        return (0, 1) if weight.shape == (layer.out_features, layer.in_features) else None
    return None


def dead(weight: torch.Tensor, axis: int) -> int:
    """How many units along ``axis`` have no weight but zeros."""
    import torch

    others = [each for each in range(weight.ndim) if each != axis]
    return int((~torch.any(weight != 0, dim=others) if others else weight == 0).sum())
