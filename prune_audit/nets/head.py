"""The bias of a network's last layer: what adds a number to the scores of each class and does nothing else.

Where a layer stands in a module says nothing of what comes after it, so a bias is taken for that of the last layer
where adding to it is seen to add as much to the scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prune_audit.errors import ModelError
from prune_audit.nets.gradients import untouched

if TYPE_CHECKING:
    import torch

_ROUNDING = 1e-4  # of the largest score, as many layers deep


def shift(model: torch.nn.Module, scores: Callable[[], torch.Tensor], offsets: torch.Tensor, name: str) -> None:
    """Add ``offsets`` (C,) to the scores of ``model``, called ``name``, by the bias of its last layer, in place.

    ``scores`` gives those (B, C) of some samples by the model as it then is, up to a number for each row, as after a
    log-softmax; (B, 1) of a binary classifier exactly.

    Raises:
        ModelError: there is no such bias.
    """
    import torch

    with untouched(model), torch.no_grad():
        before = scores().double()
        wanted = offsets.double().to(before.device)
        slack = _ROUNDING * max(float(before.abs().max()), float(wanted.abs().max()))
        for parameter in reversed([p for p in model.parameters() if p.shape == offsets.shape]):
            kept = parameter.clone()
            parameter.add_(offsets.to(parameter))
            off = scores().double() - before - wanted  # (B, C)
            if before.shape[1] > 1:
                off = off - off.mean(1, keepdim=True)
            if float(off.abs().max()) <= slack:
                return
            parameter.copy_(kept)
    raise ModelError(
        f"{name} has no last layer whose bias adds to its scores",
        hint="offsets need one; export the network to ONNX, where they are a step of their own",
    )
