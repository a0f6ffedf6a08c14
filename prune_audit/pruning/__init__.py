"""Model and masks to new masks: a pruning method is a file here.

A plugin defines ``update(model, masks, density, batches, settings) -> masks``, ``NEEDS_DATA`` (whether it looks at
``batches``, which are None otherwise), and nothing of when it is called (`prune_audit.nets.schedule`) or how one
trains between (`prune_audit.nets.train_loop`). Masks are booleans under the names of the parameters that may be cut,
true where a weight is kept; ``density`` is the share of these weights to keep. Nothing of the model is changed by
``update``: no parameter, buffer, gradient or mode, nor the random numbers of torch. A method whose cut weights may
come back sets ``STRAIGHT_THROUGH = True``: they keep their values and their gradients while one trains.

It may bring options of its own: ``OPTIONS``, a group (`prune_audit.options`), which arrives in ``settings.options``;
where they stand in place of a density, the group has ``sets_density``. It may also define
``start(model, masks, settings) -> settings``, called once before the first cut, and a ``schedule`` as in
`prune_audit.nets.schedule`, which is its usual one where it trains, and open to all methods under its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prune_audit import plugins
from prune_audit.choices import Scope
from prune_audit.errors import UsageError
from prune_audit.nets import schedule
from prune_audit.nets.schedule import Schedule

CONTRACT = ("NEEDS_DATA", "update")
"""What a plugin must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a method may be told beside the density.

    ``scope``: whether layers compete for the weights that are kept, or each keeps the same share. ``seed`` draws what
    is random. ``weight_decay`` is the epsilon of the training's loss T + epsilon / 2 ||theta||^2. ``options`` are the
    method's own (an instance of its ``OPTIONS``), None where there are none, and ``fixed`` is what its ``start`` fixed
    before the first cut, by name of parameter, None where that fixed nothing.
    """

    scope: Scope = "global"
    seed: int = 0
    weight_decay: float = 0.0
    options: Any = None
    fixed: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.weight_decay < 1:
            raise UsageError(
                f"the weight decay must be at least 0 and below 1, found {self.weight_decay:g}", hint="5e-4 is usual"
            )


def schedules() -> dict[str, Schedule]:
    """Every schedule by its name: the usual ones, then those that methods bring, under the names of these."""
    usual: dict[str, Schedule] = {
        "one-shot": schedule.one_shot,
        "iterative": schedule.iterative,
        "gradual": schedule.gradual,
    }
    return usual | {n: module.schedule for n, module in plugins.loaded("pruning") if hasattr(module, "schedule")}
