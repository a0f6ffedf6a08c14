"""Multipliers of constraints on groups, one a group, kept from drowning the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prune_audit.mitigations import Known, Multiplier

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


def by_group(values: torch.Tensor, groups: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """How many of ``values`` (B,) each group has, and their means, each (G,); 0 where a group has none."""
    import torch

    n = torch.bincount(groups, minlength=count)
    sums = torch.zeros(count, dtype=values.dtype, device=values.device).index_add(0, groups, values)
    return n, sums / n.clamp(min=1)
