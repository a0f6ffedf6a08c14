"""Model and masks to new masks: a pruning method is a file here.

A plugin that only ranks defines ``score(model, names, batches, settings) -> scores``, one number from 0 on for each
weight of the parameters ``names`` that may be cut, and the room keeps the largest (`cut`), in whatever pattern. One
that does more defines ``update(model, masks, density, batches, settings) -> masks`` in its place: masks are booleans
under the names of the parameters, true where a weight is kept, and ``density`` is the share of these weights to keep.
Either has ``NEEDS_DATA`` (whether it looks at ``batches``, which are None otherwise), and nothing of when it is called
(`prune_audit.nets.schedule`) or how one trains between (`prune_audit.nets.train_loop`). Nothing of the model is changed
by it: no parameter, buffer, gradient or mode, nor the random numbers of torch. A method whose cut weights may come back
sets ``STRAIGHT_THROUGH = True``: they keep their values and their gradients while one trains. One whose scores can be
compared within an output alone sets ``BY_ROW = True``: every output then keeps the same share of its weights.

It may bring options of its own: ``OPTIONS``, a group (`prune_audit.options`), which arrives in ``settings.options``;
where they stand in place of a density, the group has ``sets_density``. It may also define
``start(model, masks, settings) -> settings``, called once before the first cut, and a ``schedule`` as in
`prune_audit.nets.schedule`, which is its usual one where it trains, and open to all methods under its name. One that
learns something beside the weights defines ``accompany(model, masks, settings, course) -> companion``
(`prune_audit.nets.companion`), which is called before the training; the companion then arrives in
``settings.companion``, which is None without training. ``OWN`` is the share of the training data that it learns on and
that the weights are not trained on. One whose masks are of something else than the weights in the file names it in
``COUNTED``; its companion goes along without a training, too, and says what the weights are composed of.

``tables(model, masks, batches, settings) -> tables`` says more of what was cut than a density does: it is called once,
at the end, with the ``model`` as it was given and the last ``masks``, and each table is written beside the network.
Where the group of options has ``by``, ``class`` or a column of the data, the ``batches`` have these ``groups``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from prune_audit import plugins
from prune_audit.choices import Scope
from prune_audit.errors import UsageError
from prune_audit.nets import masking, pattern, schedule
from prune_audit.nets.companion import Companion
from prune_audit.nets.pattern import Pattern
from prune_audit.nets.schedule import Schedule
from prune_audit.nets.scope import check_density

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

CONTRACT = ("NEEDS_DATA", "score or update")
"""What a plugin must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a method may be told beside the density.

    ``scope``: whether layers compete for the weights that are kept, or each keeps the same share; in a ``pattern``
    every group keeps as many, and None cuts single weights. ``seed`` draws what is random. ``weight_decay`` is the
    epsilon of the training's loss T + epsilon / 2 ||theta||^2. ``options`` are the method's own (an instance of its
    ``OPTIONS``), None where there are none, and ``fixed`` is what its ``start`` fixed before the first cut, by name of
    parameter, None where that fixed nothing. ``counts`` are how many weights of each layer to keep, None where the
    scope decides. ``companion`` is what its ``accompany`` made.
    """

    scope: Scope = "global"
    seed: int = 0
    weight_decay: float = 0.0
    options: Any = None
    fixed: Mapping[str, float] | None = None
    pattern: Pattern | None = None
    counts: Mapping[str, int] | None = None
    companion: Companion | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.weight_decay < 1:
            raise UsageError(
                f"the weight decay must be at least 0 and below 1, found {self.weight_decay:g}", hint="5e-4 is usual"
            )


def check_pattern(method: str) -> None:
    """Raise `UsageError` where the plugin called ``method`` cuts by a rule of its own, which knows no pattern."""
    if not hasattr(plugins.load("pruning", method), "score"):
        able = [name for name, module in plugins.loaded("pruning") if hasattr(module, "score")]
        raise UsageError(
            f"{method} decides which weights to cut by a rule of its own, which knows no pattern",
            hint=f"methods that score weights cut in a pattern: {', '.join(able)}",
        )


def cut(
    method: ModuleType,
    model: torch.nn.Module,
    masks: Masks,
    density: float,
    batches: Examples | None,
    settings: Cut,
) -> Masks:
    """The new masks that ``method``, a plugin of this room, gives, or those of the largest of its scores.

    Raises:
        ModelError: a score is no number from 0 on, or the method needs what is not there.
        UsageError: the density is not in (0, 1], or a layer does not fit the pattern.
    """
    if not hasattr(method, "score"):
        updated: Masks = method.update(model, masks, density, batches, settings)
        return updated
    check_density(density)
    scores = method.score(model, tuple(masks), batches, settings)
    if settings.counts is not None:
        return masking.keep_counts(scores, masks, settings.counts)
    by_row = hasattr(method, "BY_ROW")
    if settings.pattern is None and by_row:
        return masking.keep_of_rows(scores, masks, density, pattern.sides(model, tuple(masks), pattern.Block(1, 1)))
    if settings.pattern is None:
        return masking.keep_largest(scores, masks, density, settings.scope)
    sides = pattern.sides(model, tuple(masks), settings.pattern)
    scope = "layer" if by_row else settings.scope
    return pattern.keep_largest(scores, masks, density, settings.pattern, sides, scope)


def schedules() -> dict[str, Schedule]:
    """Every schedule by its name: the usual ones, then those that methods bring, under the names of these."""
    usual: dict[str, Schedule] = {
        "one-shot": schedule.one_shot,
        "iterative": schedule.iterative,
        "gradual": schedule.gradual,
    }
    return usual | {n: module.schedule for n, module in plugins.loaded("pruning") if hasattr(module, "schedule")}
