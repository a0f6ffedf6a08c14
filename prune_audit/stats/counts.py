"""Samples per class, and on how many the two models agree or part.

Some samples of a class both models get right; some the pruned model has lost (only the dense one is right), some it
has gained (only the pruned one is), and some neither gets right. Recall, change and verdicts follow from these four.

    n = both + lost + gained + neither

The pairing is what makes small audits speak: two models that are right equally often may still part on many samples.
"""

from __future__ import annotations

from prune_audit.core import Counts, Measure, Pair, Settings, Unit
from prune_audit.stats._column import column

RANK = 10
SEQUENTIAL = "also"

_COUNT: Unit = "count"


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:  # noqa: ARG001  # the contract of the room
    """Support and the four paired counts; ``overall`` is the sum. A class without samples has a support of 0.

    Classes that stop at different times are not mixed as they are in the data, so that their sum is of nothing.
    """
    columns: tuple[tuple[str, str, Counts], ...] = (
        ("support", pair.task.thing[1], pair.support),
        ("both", "both right", pair.both),
        ("lost", "lost", pair.lost),
        ("gained", "gained", pair.gained),
        ("neither", "neither right", pair.neither),
    )
    summed = ("support",) if pair.sequential else tuple(name for name, _, _ in columns)
    return tuple(
        column(name, title, _COUNT, values, {}, overall=int(values.sum()) if name in summed else None)
        for name, title, values in columns
    )
