"""Samples of groups, and trainings by an objective, that the tests of this room share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from prune_audit.mitigations import Known, Objective
from prune_audit.nets.train_loop import Training, train
from tests.pruning.networks import examples


def known(
    groups: Sequence[int],
    *,
    names: tuple[str, ...] = ("a", "b"),
    right: Sequence[bool] | None = None,
    true: Sequence[float] | None = None,
    rows: Sequence[int] | None = None,
) -> Known:
    """Samples in ``groups``, on which the dense model is ``right`` (on all) and as sure as ``true`` says (of all)."""
    count = len(groups)
    return Known(
        groups=torch.tensor(groups),
        names=names,
        rows=torch.tensor(range(count) if rows is None else rows),
        right=torch.tensor([True] * count if right is None else right),
        true=torch.tensor([1.0] * count if true is None else true, dtype=torch.float64),
    )


class Bias(nn.Module):
    """A binary classifier that knows nothing but how many samples are of the second class."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bias.expand(len(x), 1)


def trained(
    model: nn.Module, objective: Objective, x: torch.Tensor, y: torch.Tensor, *, epochs: int, lr: float
) -> None:
    """Train ``model`` in place on all samples at once, by plain steps of a rate that does not fall."""
    training = Training(epochs=epochs, lr=lr, lr_schedule="constant", weight_decay=0.0, batch_size=len(y), seed=1)
    train(model, {}, examples(x, y, size=len(y)), training, update=lambda _, masks: masks, objective=objective)


def losses(bias: float, shares: Sequence[float]) -> np.ndarray:
    """The mean cross-entropies of groups of which ``shares`` are of the second class, by `Bias`, in closed form."""
    return np.array([np.logaddexp(0, bias) - share * bias for share in shares])
