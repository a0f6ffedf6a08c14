"""What it is that a model finds or does not find: a task is a module here, or a folder.

A task says how answers and labels become things on which a model is right or wrong. What is counted above it - pairs
of outcomes per class, and every statistic of them - does not know what an answer is. Every task has

- ``TASK``, what it counts, in the words of an audit (`prune_audit.core.Task`);
- ``right_of(predictions, model)``, which things a model gets right, ``pair(predictions, dense, pruned, by, cluster,
  top_k) -> Pair``, the counts, ``samples(predictions, by, cluster)``, which things each model is right on, and
  ``flips(predictions, dense, pruned, most)``, some on which one of two is. `tasks/_pairs.py` has them for every
  task that says which things were found.

``READS`` names the fields of `prune_audit.core.Settings` that a task, or the forms of what was recorded for it, goes
by; to set one of another task's is refused.

A task of models that ran elsewhere has, beside that, ``judge(things, found, settings) -> Judged``: from what each model
found of the things of the data, with which score, to which of them count as found. It chooses the threshold, and raises
`AlignmentError` where models and data do not fit together. The one whose models are run here, ``classification``, has
``keep(scores, labels, rows, digests) -> Kept``, what is kept of scores, ``broken(scores)``, which of them say nothing,
``decided(scores)`` and ``right(predicted, labels)``, and a module ``alignment`` whose ``check(predictions, doubts)``
stops a run whose models and labels do not fit together.

Comparing labels, taking the largest score, and a softmax are of a task, and stand nowhere else
(`tests/tasks/test_init.py` has the places where they mean another thing, each with its reason). Which task is meant is
told by the content of the data or of the models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prune_audit import plugins, spelling
from prune_audit.core import Assumption, Predictions, Settings
from prune_audit.core.requests import of_tasks
from prune_audit.errors import UsageError

CONTRACT = ("TASK", "right_of", "pair", "samples", "flips", "keep or judge")
"""What a task must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Which things count as found by each model, what was taken for granted for that, and what must be said of it."""

    predictions: Predictions
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()


def of(name: str) -> Any:
    """The task called ``name``, as a module.

    Raises:
        UsageError: there is none.
    """
    if name not in plugins.names("tasks"):
        raise UsageError(f"there is no task {name!r}", hint=spelling.hint(name, plugins.names("tasks")))
    return plugins.load("tasks", name)


def check_options(name: str, path: str, settings: Settings) -> None:
    """Check that ``settings`` ask for nothing that the task ``name``, of the data at ``path``, does not know.

    Raises:
        UsageError: an option of another task was given.
    """
    given = {*settings.named, *of_tasks(settings)} - {"task"}
    if not given:
        return
    known = getattr(of(name), "READS", ())
    for task, module in plugins.loaded("tasks"):
        for field in getattr(module, "READS", ()):
            if field in given and field not in known:
                option = f"--{field.replace('_', '-')}"
                raise UsageError(
                    f"{option} is of the task {task}, and {path} holds labels for the task {name}",
                    hint=f"leave {option} out; it would change nothing here",
                )


def right(predictions: Predictions, model: str) -> npt.NDArray[np.bool_]:
    """Which things (N,) of ``predictions`` the ``model`` gets right, in the sense of their task."""
    found: npt.NDArray[np.bool_] = of(predictions.task.name).right_of(predictions, model)
    return found


def agreement(predictions: Predictions, one: str, other: str) -> float:
    """The share of things on which two models say the same; are right alike, where there are no answers to compare."""
    if "answers" in predictions.task.lacks:
        return float(np.mean(right(predictions, one) == right(predictions, other)))
    return float(np.mean(predictions.model(one).predicted == predictions.model(other).predicted))
