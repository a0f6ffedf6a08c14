"""Tuning under the constraint that every group has the mean loss of all samples, by a Lagrangian dual.

A step minimises J + sum_a lambda_a abs(J_a - J), where J is the mean cross-entropy of the batch and J_a that of the
samples of group a in it; a group with fewer than two is left out. The multipliers begin at 0 and are fixed within an
epoch; after it, over the batches that held a,

    lambda_a <- lambda_a + step * mean of abs(J_a - J)

They never fall until they add up to 10, which they share from there on. Tran, Fioretto, Kim and Naidu, "Pruning has a
disparate impact on model accuracy" (NeurIPS 2022, arXiv 2205.13574); when the multipliers move, and by how much, is as
in public code of that group for an earlier paper (2020), since theirs of this one is not known. Batches should be
balanced, or of 128 samples at least: the loss of a group is else one of very few samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prune_audit.mitigations import Asked, Known, Multiplier
from prune_audit.mitigations._multipliers import Multipliers, by_group
from prune_audit.nets.examples import cross_entropy

if TYPE_CHECKING:
    import torch

RANK = 10  # what the trials in docs/mitigate.md found to do most for the worst class
STEP = 0.1
_FEWEST = 2  # samples of a group in a batch


class _EqualLoss:
    """The loss with the constraints, and the gaps of this epoch."""

    def __init__(self, known: Known, step: float) -> None:
        import torch

        self._groups, self._count, self._step = known.groups, len(known.names), step
        self._multipliers = Multipliers(known)
        self._gaps = torch.zeros(self._count, dtype=torch.float64)  # sums over batches
        self._batches = torch.zeros(self._count, dtype=torch.float64)  # that held the group

    @property
    def multipliers(self) -> Sequence[Multiplier]:
        return self._multipliers.history

    def loss(self, scores: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        each = cross_entropy(scores, labels)
        mean = each.mean()
        n, means = by_group(each, self._groups[rows].to(each.device), self._count)
        there = (n >= _FEWEST).to(each.dtype)
        gaps = (means - mean).abs() * there  # (G,)
        self._gaps += gaps.detach().double().cpu()
        self._batches += there.double().cpu()
        total: torch.Tensor = mean + (self._multipliers.values.to(each) * gaps).sum()
        return total

    def ended(self) -> None:
        violations = self._gaps / self._batches  # NaN of a group that no batch held
        self._multipliers.add(self._step * violations.nan_to_num(0.0))
        self._multipliers.remember(violations)
        self._gaps.zero_()
        self._batches.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        return {**self._multipliers.state(), "gaps": self._gaps, "batches": self._batches}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        self._multipliers.load(state, {"gaps": self._gaps, "batches": self._batches})
        self._gaps, self._batches = state["gaps"].clone(), state["batches"].clone()


def objective(known: Known, asked: Asked) -> _EqualLoss:
    """The loss whose multipliers rise by ``asked.step``."""
    return _EqualLoss(known, asked.step)
