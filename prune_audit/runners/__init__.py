"""Where a pass over the data runs: a runner is a file here.

A plugin defines ``run(parts, read, tasks, take, workers) -> None``. It is given functions and knows neither models nor
data. ``read(part)`` gives the samples of one of ``parts``, and may be called anywhere, in any order and ahead of its
use, by ``workers`` threads or whatever the runner has in their place. ``tasks(samples)`` is called in the thread of the
caller, part by part in their order, and gives one task for each lane, which is a model, or none at all. Lane ``i`` has
its tasks done one after the other, in the order of the parts, and what each gives is handed to ``take[i]`` in that
order: two calls of one model never overlap. Lanes may run side by side.

A plugin with ``ELSEWHERE`` calls ``read`` in other processes, on machines that may be lost, so it is given one that can
be pickled and done again, which predicts as well; the tasks then only hand on what came back. One with ``OPTIONS``
takes these as ``options`` besides, None where none were asked for; ``ready() -> None`` raises where it cannot run here.

Whatever one of these functions raises ends the run and is raised as it is, and what has been taken by then is kept.
Where the run ends early, nothing new begins, and threads or processes of the runner end. Threads bear a name that
begins with `THREADS`. However a pass is run, its numbers are the same.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from prune_audit import plugins
from prune_audit.errors import PluginError, UsageError

CONTRACT = ("run",)
"""What a plugin must have."""
THREADS = "prune-audit"
"""What the names of the threads begin with that are started here, so that they are told from those of a model."""

Part = TypeVar("Part")
Samples = TypeVar("Samples")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def cores() -> int:
    """Processors that this process may use (an affinity mask, as containers set it, is honoured)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check(name: str) -> None:
    """See before a long run that there is a runner called ``name``, and that it can run here.

    Raises:
        UsageError: there is no such runner.
        MissingExtra: it needs a library that is not installed.
        PluginError: it is another package's, and fails.
    """
    module = plugins.load("runners", name)
    if hasattr(module, "ready"):
        with plugins.blamed("runners", name):
            module.ready()


def elsewhere(name: str) -> bool:
    """Whether the runner called ``name`` predicts in processes that were not made of this one."""
    return bool(getattr(plugins.load("runners", name), "ELSEWHERE", False))


def here(name: str) -> str:
    """The runner called ``name`` where it runs in this process, else the usual one."""
    from prune_audit.core import Settings  # which takes numpy, for which no help should wait

    return Settings().runner if elsewhere(name) else name


def go_to(folder: Path) -> None:
    """Work in ``folder``, where the run was started, as one does that was started there.

    Raises:
        UsageError: this machine has no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{platform.node()} has no folder {folder}, where the run was started",
            hint="start it in a folder that all machines have, with models and data in it or by whole paths",
        )
    os.chdir(folder)


def run(
    name: str,
    parts: Sequence[Part],
    read: Callable[[Part], Samples],
    tasks: Callable[[Samples], Sequence[Callable[[], Result]]],
    take: Sequence[Callable[[Result], None]],
    *,
    workers: int,
    options: object = None,
) -> None:
    """Do the ``tasks`` of all ``parts`` by the runner called ``name``, whose own ``options`` these are.

    Raises:
        UsageError: there is no such runner.
        PluginError: it is another package's and fails, or has not done all that it was given.
    """
    module = plugins.load("runners", name)
    raised: list[Exception] = []  # by what the runner was given, which is no fault of its own
    seen, given, taken = 0, [0] * len(take), [0] * len(take)

    def todo(samples: Samples) -> Sequence[Callable[[], Result]]:
        nonlocal seen
        found = tasks(samples)
        seen += 1
        for lane in range(len(found)):
            given[lane] += 1
        return [_noting(task, raised) for task in found]

    def hand(lane: int, result: Result) -> None:
        take[lane](result)
        taken[lane] += 1

    lanes = [_noting(partial(hand, lane), raised) for lane in range(len(take))]
    try:
        with plugins.blamed("runners", name):
            asked = {"options": options} if hasattr(module, "OPTIONS") else {}
            reading = read if elsewhere(name) else _noting(read, raised)
            module.run(parts, reading, _noting(todo, raised), lanes, workers, **asked)
            # What was left out would be taken for samples that cannot be read.
            if seen != len(parts) or given != taken:
                raise RuntimeError(f"it did {sum(taken)} of {sum(given)} tasks, for {seen} of {len(parts)} parts")
    except PluginError as error:
        for fault in raised:
            if error.__cause__ is fault:
                raise fault from None
        raise


def _noting(function: Callable[Arguments, Result], raised: list[Exception]) -> Callable[Arguments, Result]:
    """``function``, of which it is written down what it raises."""

    def call(*args: Arguments.args, **named: Arguments.kwargs) -> Result:
        try:
            return function(*args, **named)
        except Exception as fault:  # whatever it is, it goes on
            raised.append(fault)
            raise

    return call
