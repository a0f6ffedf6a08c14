"""The gradient of the task's loss, which most scores are made of.

It is the gradient of the mean cross-entropy T over all samples, without weight decay: in torch the decay lives in the
optimiser, so what ``backward`` gives is dT and not the gradient of the loss with decay. The network runs in evaluation
mode, and is left as it was found: a score that moves the statistics of batch normalisation changes what it scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prune_audit.errors import ModelError
from prune_audit.nets.examples import Examples

if TYPE_CHECKING:
    import torch


def task_gradients(model: torch.nn.Module, names: Sequence[str], batches: Examples) -> dict[str, torch.Tensor]:
    """dT/dtheta of the parameters ``names``, each in its shape; 0 where the loss does not depend on one.

    One pass over ``batches``; the memory of one more copy of the parameters.

    Raises:
        ModelError: no gradient reaches any of the parameters.
    """
    import torch

    with _asked(model, names) as chosen, torch.enable_grad():
        for inputs, labels in batches:
            # Into .grad, where batches add up in place.
            _reached(batches.loss(model, inputs, labels) / len(batches.rows)).backward()
        return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in chosen.items()}


def saliencies(
    model: torch.nn.Module, names: Sequence[str], batches: Examples, rows: Sequence[torch.Tensor] | None = None
) -> dict[str, torch.Tensor]:
    """The mean over batches of (theta g)^2, g being the gradient of the mean loss of a batch; 0 where there is none.

    ``rows`` are those of each batch, None for the batches as they come. One pass, and the memory of two more copies of
    the parameters.

    Raises:
        ModelError: no gradient reaches any of the parameters.
    """
    import torch

    split = list(batches.rows.split(batches.size)) if rows is None else rows
    with _asked(model, names) as chosen, torch.enable_grad():
        found = {name: torch.zeros_like(parameter) for name, parameter in chosen.items()}
        for inputs, labels in batches.stream(split):
            _reached(batches.loss(model, inputs, labels) / len(labels)).backward()
            for name, parameter in chosen.items():
                if parameter.grad is not None:
                    found[name] += (parameter.detach() * parameter.grad).square() / len(split)
                    parameter.grad = None
    return {name: value.detach() for name, value in found.items()}


@contextmanager
def _asked(model: torch.nn.Module, names: Sequence[str]) -> Iterator[dict[str, torch.nn.Parameter]]:
    """The parameters ``names`` alone want gradients within, and have none yet; afterwards all is as it was."""
    with untouched(model):
        chosen = {name: model.get_parameter(name) for name in names}
        for parameter in model.parameters():
            parameter.grad = None
            parameter.requires_grad_(False)
        for parameter in chosen.values():
            parameter.requires_grad_(True)
        yield chosen


def _reached(loss: torch.Tensor) -> torch.Tensor:
    if not loss.requires_grad:
        raise ModelError(
            "no gradient comes back from the model's scores",
            hint="its forward pass detaches them or runs without gradients; use magnitude",
        )
    return loss


@contextmanager
def untouched(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode within; modes, gradients, what needs them, and random numbers are afterwards as before."""
    import torch

    modes = [(module, module.training) for module in model.modules()]
    states = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    devices = {parameter.device for parameter, _, _ in states if parameter.device.type == "cuda"}
    model.eval()
    try:
        with torch.random.fork_rng([device.index for device in devices]):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, needs, gradient in states:
            parameter.requires_grad_(needs)
            parameter.grad = gradient
