"""Model and masks to new masks: a pruning method is a file here.

A plugin defines ``update(model, masks, density, batches, settings) -> masks``, ``NEEDS_DATA`` (whether it looks at
``batches``, which are None otherwise), and nothing of when it is called (`prune_audit.nets.schedule`) or how one
trains between (`prune_audit.nets.train_loop`). Masks are booleans under the names of the parameters that may be cut,
true where a weight is kept; ``density`` is the share of these weights to keep. Nothing of the model is changed by
``update``: no parameter, buffer, gradient or mode, nor the random numbers of torch. A method whose cut weights may
come back sets ``STRAIGHT_THROUGH = True``: they keep their values and their gradients while one trains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prune_audit.errors import UsageError
from prune_audit.nets.scope import Scope

CONTRACT = ("NEEDS_DATA", "update")
"""What a plugin must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a method may be told beside the density.

    ``scope``: whether layers compete for the weights that are kept, or each keeps the same share. ``seed`` draws what
    is random. ``weight_decay`` is the epsilon of the training's loss T + epsilon / 2 ||theta||^2. ``thresholds`` are
    those of surgery by name of parameter, None where they are to be solved for the density.
    """

    scope: Scope = "global"
    seed: int = 0
    weight_decay: float = 0.0
    thresholds: Mapping[str, float] | None = field(default=None)

    def __post_init__(self) -> None:
        if not 0 <= self.weight_decay < 1:
            raise UsageError(
                f"the weight decay must be at least 0 and below 1, found {self.weight_decay:g}", hint="5e-4 is usual"
            )
