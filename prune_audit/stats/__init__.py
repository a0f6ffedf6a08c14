"""`Pair` to `Measure`s: a statistic is a file here.

A plugin defines ``RANK``, its place among the columns, and ``measure(pair, settings) -> tuple[Measure, ...]``: one
statistic with the columns that belong to it (a p-value with its q-value, say). The columns are the same whatever the
pair, absent with a reason where there is no value, so that the guide can list them; where a statistic is of classes
alone, groups have none of them.

Where drawing stopped once classes were settled (`Pair.sequential`), a number that takes the number of samples for
fixed is wrong: a true drop of 10 points reads 11.7. So only those statistics are asked that say that they hold then:
``SEQUENTIAL = "also"``, or ``"only"`` of one that is for nothing else.

Not every thing has answers that are classes, or scores. A statistic that needs them says so, ``NEEDS = ("answers",)``;
where the task of a pair lacks one (`prune_audit.core.Task.lacks`), its columns are absent, with the task's reason.

Its docstring is for the reader of an audit, and stands in the guide and in ``list stats --long`` as it is: a title
line; two sentences that need no statistics; the formula, indented; then the details, with their sources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import replace
from types import ModuleType

import numpy as np

from prune_audit import plugins
from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._betting import log_e as log_e
from prune_audit.stats._online import e_lond as e_lond
from prune_audit.stats._online import log_mean_e as log_mean_e
from prune_audit.stats._online import shares as shares
from prune_audit.stats._planning import FAR as FAR
from prune_audit.stats._planning import MOST as MOST
from prune_audit.stats._planning import POWER as POWER
from prune_audit.stats._planning import samples_for_fine as samples_for_fine
from prune_audit.stats._planning import smallest_drop_convicted as smallest_drop_convicted

CONTRACT = ("RANK", "measure")
"""What a plugin must have."""
ASKED: Mapping[bool, tuple[str, ...]] = {False: ("", "also"), True: ("also", "only")}
"""By whether a pair is sequential, what a plugin's ``SEQUENTIAL`` may be, "" being none."""


def measures(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Every statistic of ``pair`` that holds of it, in the order of the columns."""
    taken: set[str] = set()

    def ask(name: str, module: ModuleType) -> tuple[tuple[int, str], tuple[Measure, ...]]:
        if getattr(module, "SEQUENTIAL", "") not in ASKED[pair.sequential]:
            return (module.RANK, name), ()
        why_not = next(
            (pair.task.lacks[need] for need in getattr(module, "NEEDS", ()) if need in pair.task.lacks), None
        )
        found: tuple[Measure, ...] = (
            module.measure(pair, settings) if why_not is None else _without(module, pair, settings, why_not)
        )
        if plugins.origin("stats", name) is not None:
            _check(found, len(pair.strata), taken)
        taken.update(measure.name for measure in found)
        return (module.RANK, name), found

    found = dict(plugins.each("stats", ask).values())
    return tuple(measure for place in sorted(found) for measure in found[place])


def _without(module: ModuleType, pair: Pair, settings: Settings, why: str) -> tuple[Measure, ...]:
    """The columns of a statistic that ``pair`` has no value of, because of ``why``: those of a pair without samples."""
    nothing = np.zeros((len(pair.strata), 4), np.int64)
    empty = replace(Pair.of(nothing, by=pair.by, strata=pair.strata), classes=pair.classes)
    empty = replace(empty, task=replace(pair.task, lacks={}))  # whose words columns are headed with
    absent = dict.fromkeys(range(len(pair.strata)), why)
    return tuple(
        replace(
            each,
            by_stratum=(None,) * len(each.by_stratum),
            low=(None,) * len(each.low),
            high=(None,) * len(each.high),
            absent=absent if each.by_stratum else {},
            overall=None,
            overall_low=None,
            overall_high=None,
            overall_absent=why if each.overall is not None or each.overall_absent is not None else None,
        )
        for each in module.measure(empty, settings)
    )


def _check(found: tuple[Measure, ...], strata: int, taken: Set[str]) -> None:
    """Check what a plugin of another package gives; ours are tested.

    Raises:
        TypeError: it is no tuple of measures.
        ValueError: a measure has not one value a stratum, one that is no number, or a name that is ``taken``.
    """
    if not isinstance(found, tuple) or not all(isinstance(measure, Measure) for measure in found):
        raise TypeError(f"expected a tuple of Measure, found {found!r:.60}")
    for measure in found:
        if measure.name in taken:
            raise ValueError(f"there is another measure called {measure.name}")
        for values in (measure.by_stratum, measure.low, measure.high):
            if values and len(values) != strata:
                raise ValueError(f"{measure.name} has {len(values)} values for {strata} strata")
            if any(isinstance(value, float) and not math.isfinite(value) for value in values):
                raise ValueError(f"{measure.name} has a value that is no number: absent is None, with a reason")
