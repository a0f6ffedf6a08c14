"""Tuning under the constraint that no group loses more accuracy than the model does, but for a tolerance.

The constraint of group g is psi_g <= tolerance, where psi_g is its excess drop: how much more accuracy it lost against
the dense model than all samples did. Accuracy has no gradient, so a step minimises losses in its place,

    J + sum_g mu_g [(J_g - J) - (dense J_g - dense J)]

of which the last bracket is constant and left out, while the multipliers move by the accuracies themselves, before the
step:

    mu_g <- max(0, mu_g + step (psi_g - tolerance))

psi_g is of the last 40 samples of g that were trained on (all of them where it has fewer), and of the last 40 of all;
a group whose 40 are not there yet is left alone. The multipliers add up to 10 at most. Hashemizadeh et al., "Balancing
Act: Constraining Disparate Impact in Sparse Models" (ICLR 2024, arXiv 2310.20673), after the authors' public code. Its
dual step of .01 is the default; .05 was worse than plain tuning in our trials.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import typer

from prune_audit.core import Counts
from prune_audit.errors import UsageError
from prune_audit.mitigations import Asked, Known, Multiplier
from prune_audit.mitigations._multipliers import Multipliers, by_group
from prune_audit.nets.examples import cross_entropy
from prune_audit.tasks.classification import decided, right

if TYPE_CHECKING:
    import torch

STEP = 0.01
TOLERANCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What accuracies are of while one trains."""

    PANEL: ClassVar[str] = "Mitigation"

    window: Annotated[
        int,
        typer.Option(metavar="N", help="Latest samples that the accuracy of a group in training is computed from."),
    ] = 40

    def __post_init__(self) -> None:
        if self.window < 1:
            raise UsageError(f"--window: expected at least one sample, found {self.window}", hint="40 is usual")


OPTIONS = Options


class Recent:
    """The mean of the last so many numbers, None before there are as many."""

    def __init__(self, size: int) -> None:
        self.size, self.values = size, deque[float](maxlen=size)

    def add(self, values: Sequence[float]) -> None:
        """Add ``values``, the last one being the latest."""
        self.values.extend(values)

    @property
    def mean(self) -> float | None:
        """The mean, None until it is of as many as it is to be of."""
        if len(self.values) < self.size:
            return None
        return sum(self.values) / len(self.values)


class _Ceag:
    """The loss with the constraints, and the latest hits of every group."""

    def __init__(self, known: Known, asked: Asked) -> None:
        import torch

        options = asked.options or Options()
        self._groups, self._count = known.groups, len(known.names)
        self._step, self._tolerance = asked.step, asked.tolerance
        before = known.right[known.rows].double()
        n, self._dense = by_group(before, known.groups[known.rows], self._count)
        self._dense_all = float(before.mean())
        self._recent = [Recent(max(1, min(options.window, size))) for size in n.tolist()]
        self._recent_all = Recent(min(options.window, len(before)))
        self._multipliers = Multipliers(known)
        self._psi = torch.full((self._count,), torch.nan, dtype=torch.float64)

    @property
    def multipliers(self) -> Sequence[Multiplier]:
        return self._multipliers.history

    def loss(self, scores: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        groups = self._groups[rows]
        self._see(right(decided(scores.detach().cpu().numpy()), labels.cpu().numpy()), groups.numpy())
        each = cross_entropy(scores, labels)
        mean = each.mean()
        n, means = by_group(each, groups.to(each.device), self._count)
        gaps = (means - mean) * (n > 0)
        total: torch.Tensor = mean + (self._multipliers.values.to(each) * gaps).sum()
        return total

    def _see(self, hits: npt.NDArray[np.bool_], groups: Counts) -> None:
        """Note on which samples (B,) of a batch the network is right, and move the multipliers by it."""
        self._recent_all.add(hits.tolist())
        for g in np.unique(groups):
            self._recent[g].add(hits[groups == g].tolist())
        if (now := self._recent_all.mean) is None:
            return
        for g, recent in enumerate(self._recent):
            if recent.mean is not None:
                self._psi[g] = (float(self._dense[g]) - recent.mean) - (self._dense_all - now)
        self._multipliers.add((self._step * (self._psi - self._tolerance)).nan_to_num(0.0))

    def ended(self) -> None:
        self._multipliers.remember(self._psi)

    def state(self) -> dict[str, torch.Tensor]:
        import torch

        windows = [each.values for each in (*self._recent, self._recent_all)]
        padded = [[*each, *[torch.nan] * (self._recent_all.size - len(each))] for each in windows]
        recent = torch.tensor(padded, dtype=torch.float64)  # (G + 1, window)
        return {**self._multipliers.state(), "psi": self._psi, "recent": recent}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        own = self.state()
        self._multipliers.load(state, {"psi": own["psi"], "recent": own["recent"]})
        self._psi = state["psi"].clone()
        for each, values in zip((*self._recent, self._recent_all), state["recent"], strict=True):
            each.values.clear()
            each.add(values[~values.isnan()].tolist())


def objective(known: Known, asked: Asked) -> _Ceag:
    """The loss whose multipliers move by ``asked.step``, beyond ``asked.tolerance``."""
    return _Ceag(known, asked)
