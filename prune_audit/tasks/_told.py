"""At which threshold each model was asked, as reports say it: for every task whose models are asked at one."""

from __future__ import annotations

from collections.abc import Sequence

from prune_audit.choices import OperatingPoint
from prune_audit.core import THRESHOLD, Assumption, Task
from prune_audit.tasks._operating_point import MATTERS, Point

OPTION = "--score, --operating-point"


def why(how: OperatingPoint, wrong: str) -> str:
    """Why a threshold is what it is; ``wrong`` is how findings of nothing are called."""
    return {
        "false-detections": f"as many {wrong} of every model",
        "precision": "the lowest score of each model at which it is as precise as the dense one",
        "fixed": "one threshold for all models",
        "all": "every detection that was recorded counts",
    }[how]


def assumption(point: Point, rate: str, reason: str, *, at: str | None = None, option: str = OPTION) -> Assumption:
    """Where a model is asked, as the header of a report says it.

    ``rate`` is how often it finds nothing there, in words, and ``at`` what stands in place of a threshold;
    ``option`` is how another one is had.
    """
    precision = "" if point.precision is None else f", precision {point.precision:.1%}"
    return Assumption(
        subject=point.name,
        what=THRESHOLD,
        value=f"{at or format(point.threshold, '.4g')}: {rate}{precision}",
        why=reason,
        option=option,
    )


def at_one_threshold(where: Sequence[Point], things: int, task: Task) -> list[str]:
    """What the dense model's threshold would do to the others, so that nobody deploys it unaware."""
    dense, *others = where
    return [
        f"at {dense.threshold:.2f} itself, the threshold of {dense.name}, {each.name} would find "
        f"{each.found_alike / things:.1%} of the {task.thing[1]}, not {each.found / things:.1%}: deploy it at "
        f"{each.threshold:.2f}"
        for each in others
        if abs(each.threshold - dense.threshold) > MATTERS
    ]
