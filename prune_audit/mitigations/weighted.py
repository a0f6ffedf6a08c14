"""Tuning with samples weighted by how unsure the dense model was of them; knows no groups.

The loss of each sample is weighted by

    least + (1 - least) (1 - p)^gamma

where p is the share that the dense model gives to the true class, so that samples which it found hard count for more.
The weights are fixed, and normalised to a mean of 1 over the samples that are trained on. Meyer and Wong, "A Fair Loss
Function for Network Pruning" (2022, arXiv 2211.10285); the defaults are those of the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from prune_audit.errors import UsageError
from prune_audit.mitigations import Asked, Known, Multiplier
from prune_audit.nets.examples import cross_entropy
from prune_audit.nets.train_loop import check_like

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much harder samples count for more."""

    PANEL: ClassVar[str] = "Mitigation"

    least_weight: Annotated[
        float, typer.Option(metavar="SHARE", help="Weight of a sample that the dense model is certain of, from 0 to 1.")
    ] = 0.75
    gamma: Annotated[
        float, typer.Option(metavar="POWER", help="How fast the weight falls as the dense model becomes more certain.")
    ] = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.least_weight <= 1:
            raise UsageError(
                f"--least-weight: expected a share from 0 to 1, found {self.least_weight:g}", hint=".75 is usual"
            )
        if not 0 <= self.gamma < float("inf"):
            raise UsageError(f"--gamma: expected a number from 0 on, found {self.gamma:g}", hint="5 is usual")


OPTIONS = Options


def weights(true: torch.Tensor, rows: torch.Tensor, options: Options) -> torch.Tensor:
    """The weights (M,) of all samples by the share (M,) that the dense model gives to the true class; their mean over
    the ``rows`` (N,) that are trained on is 1."""
    found = options.least_weight + (1 - options.least_weight) * (1 - true.clamp(0, 1)) ** options.gamma
    mean = found[rows].mean()
    return found / mean if float(mean) > 0 else found.new_ones(found.shape)


class _Weighted:
    """The weighted mean of the cross-entropies of a batch."""

    multipliers: Sequence[Multiplier] = ()

    def __init__(self, known: Known, options: Options) -> None:
        self._weights = weights(known.true, known.rows, options)

    def loss(self, scores: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        each = cross_entropy(scores, labels)
        mean: torch.Tensor = (each * self._weights[rows].to(each)).mean()
        return mean

    def ended(self) -> None:
        """The weights are fixed."""

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        check_like(state, {})


def objective(known: Known, asked: Asked) -> _Weighted:
    """The weighted loss; the groups are not looked at."""
    return _Weighted(known, asked.options or Options())
