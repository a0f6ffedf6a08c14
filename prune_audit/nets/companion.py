"""What a pruning method keeps up beside the weights while these are trained: multipliers, importances, gates.

A training asks it at every step, keeps its state with its own, and knows nothing else of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import torch

    from prune_audit.core import Array, Preprocess
    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

    State: TypeAlias = dict[str, torch.Tensor]


class Companion(Protocol):
    """What goes along with a training. What it shows at the end is what the network is left with."""

    def show(self) -> None:
        """Set the weights to those that the method means the network to compute with; the training puts them back."""
        ...

    def stepped(self, step: int, masks: Masks) -> None:
        """The gradients of a step are there, of the weights as they were shown, and may be changed in place."""
        ...

    def state(self) -> State:
        """All that it would need to go on."""
        ...

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`."""
        ...


@runtime_checkable
class Teacher(Companion, Protocol):
    """A companion that says what is minimised, too."""

    def loss(
        self, step: int, examples: Examples, inputs: Mapping[str, torch.Tensor], rows: torch.Tensor
    ) -> torch.Tensor | None:
        """The mean loss of a batch, of ``inputs`` (B, ...) by name, whose samples are ``rows`` (B,); None for that of
        the task."""
        ...


@runtime_checkable
class Composed(Companion, Protocol):
    """A companion that holds the weights as products: those of the network are its coefficients until it shows them."""

    def parts(self) -> dict[str, Array]:
        """What the weights that were shown last are products of, by name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The training that a companion goes along with.

    It is on ``examples``, which ``preprocess`` scaled from pixels, None where they have none; without a training there
    are no examples and no steps. It has ``steps`` steps, ``per_epoch`` in an epoch, at rates of at most ``lr``, and
    ends at ``density``; the last cut comes before the step ``until``. ``own`` are the examples that are the
    companion's alone, None where it asked for none.
    """

    examples: Examples | None
    own: Examples | None
    preprocess: Preprocess | None = None
    steps: int
    per_epoch: int
    until: int
    density: float
    lr: float
    seed: int
