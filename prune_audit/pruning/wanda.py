"""Wanda: cut small weights of small inputs, the same share of every output.

    score = |theta_ij| ||x_j||_2,  over all samples, compared within an output i

x_j is what input j of a layer is over the training data; of a convolution, a channel at a position of the kernel.
Scores of different outputs are not comparable, so every output keeps the same share, and layers do, too.

    source: Sun, Liu, Bair, Kolter 2023 (arXiv 2306.11695), equation 1; convolutions are this project's
    certainty: high for linear layers; the paper prunes language models without tuning, and no classifiers of images
    needs: training data, whose labels are not used, and a network that runs in torch
    cost: one pass without gradients over --data (--score-samples), and each layer's norms, which take about as long
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prune_audit.errors import ModelError
from prune_audit.nets.examples import needed
from prune_audit.nets.gradients import untouched
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples

NEEDS_DATA = True
BY_ROW = True


def score(
    model: torch.nn.Module, names: Sequence[str], batches: Examples | None, settings: Cut
) -> dict[str, torch.Tensor]:
    """The absolute weights ``names`` times the norms of their inputs over ``batches``, each in its shape.

    Raises:
        ModelError: there are no batches, or a weight is not of a linear layer or a convolution that runs by itself.
    """
    del settings
    squares = _squares(model, names, needed(batches, "wanda"))
    return {name: model.get_parameter(name).detach().abs() * square.sqrt() for name, square in squares.items()}


def _squares(model: torch.nn.Module, names: Sequence[str], batches: Examples) -> dict[str, torch.Tensor]:
    """Of each weight the sum of squares of what it is multiplied with, over all samples and places."""
    import torch
    from torch.nn.modules.conv import _ConvNd

    layers = {name: model.get_submodule(name.rpartition(".")[0]) for name in names}
    other = [name for name, each in layers.items() if not isinstance(each, torch.nn.Linear | _ConvNd)]
    found: dict[str, torch.Tensor] = {}
    if not other:
        with untouched(model), torch.no_grad():
            handles = [each.register_forward_pre_hook(_seen(name, found)) for name, each in layers.items()]
            try:
                for inputs, _ in batches:
                    batches.forward(model, inputs)
            finally:
                for handle in handles:
                    handle.remove()
        other = [name for name in names if name not in found]
    if other:
        raise ModelError(
            f"wanda knows no inputs of {', '.join(other)}: these are no linear layers or convolutions that run by "
            "themselves",
            hint="leave them whole with --exempt, or take magnitude",
        )
    return found


def _seen(name: str, found: dict[str, torch.Tensor]) -> Callable[[torch.nn.Module, tuple[Any, ...]], None]:
    """What adds the squared inputs of the layer whose weight is ``name`` to those ``found``."""
    import torch

    within = False

    def add(layer: torch.nn.Module, given: tuple[Any, ...]) -> None:
        nonlocal within
        if within or not given:
            return
        with torch.enable_grad():
            weight = torch.zeros_like(layer.get_parameter("weight"), requires_grad=True)
            within = True  # which calls the layer again
            try:
                output = torch.func.functional_call(layer, {"weight": weight}, (given[0].detach().square(),))
            finally:
                within = False
            # The layer is linear in a weight, which so has its inputs as the gradient of the summed outputs.
            [square] = torch.autograd.grad(output.sum(), weight)
        found[name] = found[name] + square if name in found else square

    return add
