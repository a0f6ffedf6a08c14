"""Multipliers of constraints on groups, one a group, kept from drowning the task."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING

from prune_audit.mitigations import Known, Multiplier
from prune_audit.nets.train_loop import check_like

if TYPE_CHECKING:
    import torch

MOST = 10.0
"""What the multipliers add up to at most: the loss of the task has the weight 1 beside them."""


class Multipliers:
    """The multipliers (G,) of the groups of ``known``, from 0 on, and what they were after every epoch."""

    def __init__(self, known: Known) -> None:
        import torch

        self._names = known.names
        self.values = torch.zeros(len(known.names), dtype=torch.float64)  # (G,)
        self.history: list[Multiplier] = []

    def add(self, change: torch.Tensor) -> None:
        """Add ``change`` (G,), but stay at 0 at least, and at `MOST` in all."""
        self.values = (self.values + change).clamp(min=0)
        self.values *= min(1.0, MOST / max(float(self.values.sum()), MOST))

    def remember(self, violations: torch.Tensor) -> None:
        """Note what they are after an epoch, with the ``violations`` (G,), NaN where none is known."""
        epoch = len(self.history) // len(self._names) + 1
        for name, violation, value in zip(self._names, violations.tolist(), self.values.tolist(), strict=True):
            known = violation if violation == violation else None
            self.history.append(Multiplier(epoch=epoch, group=name, violation=known, multiplier=value))

    def state(self) -> dict[str, torch.Tensor]:
        """All that they would need to go on: what they are, and violations and multipliers of every epoch (E, G, 2)."""
        import torch

        told = [(nan if each.violation is None else each.violation, each.multiplier) for each in self.history]
        epochs = torch.tensor(told, dtype=torch.float64).reshape(-1, len(self._names), 2)
        return {"multipliers": self.values, "epochs": epochs}

    def load(self, state: Mapping[str, torch.Tensor], beside: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`, which also has tensors like those ``beside``. Raises `ValueError`, `LookupError`."""
        epochs = state["epochs"]
        check_like(state, {**self.state(), **beside, "epochs": epochs.reshape(-1, len(self._names), 2).double()})
        self.history = []
        for each in epochs:
            self.values = each[:, 1]
            self.remember(each[:, 0])
        self.values = state["multipliers"].clone()


def by_group(values: torch.Tensor, groups: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """How many of ``values`` (B,) each group has, and their means, each (G,); 0 where a group has none."""
    import torch

    n = torch.bincount(groups, minlength=count)
    sums = torch.zeros(count, dtype=values.dtype, device=values.device).index_add(0, groups, values)
    return n, sums / n.clamp(min=1)
