"""Processes that run what strangers wrote, and what keeps them from doing more than compute.

A server is started once (`prune_audit.sandbox.server`): it imports the libraries that are asked for, and forks a
process for each piece of work, which is confined at once, while it has one thread and before it has seen anything
foreign. `prune_audit.sandbox.process` is the side that asks. Nothing here knows of models, and all but the standard
library is imported where it is asked for.

Barriers, each of which holds without the others:

memory        a limit of the address space, or of what is resident where a device needs more addresses than memory
namespaces    no network but its own, which is empty (`prune_audit.sandbox.namespaces`)
landlock      nothing is written outside a folder of its own (`prune_audit.sandbox.landlock`)
seccomp       only system calls that computing needs (`prune_audit.sandbox.seccomp`)
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prune_audit.sandbox import landlock, limits, namespaces, seccomp, system


@dataclass(frozen=True, slots=True, kw_only=True)
class Barriers:
    """What is asked for: files are written in ``scratch``, ``memory`` bytes used; the ``device`` is cpu or another."""

    scratch: Path
    memory: int | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What holds, in words, and for what does not the reason."""

    barriers: tuple[str, ...]
    absent: tuple[tuple[str, str], ...]


def confine(asked: Barriers, *, tied: bool = False) -> Held:
    """Put up every barrier that the system gives around this process, which has one thread; there is no way back.

    One that is ``tied`` ends with the process that forked it.

    A device other than the CPU has a driver that needs more than computing does, so there the filter of system calls
    names what is forbidden, in place of what is allowed.
    """
    held, absent = list[str](), list[tuple[str, str]]()
    computes = asked.device == "cpu"

    def raised(name: str, put_up: Callable[[], str]) -> None:
        try:
            held.append(put_up())
        except OSError as fault:
            absent.append((name, fault.strerror or str(fault)))

    # The order matters: each takes away what the next would need, had it come first.
    raised("memory", lambda: limits.apply(asked.memory if computes else None))
    if sys.platform == "linux":
        raised("namespaces", namespaces.leave)
        if tied:  # not before, since whoever gets other privileges is no longer tied
            system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
        raised("landlock", lambda: landlock.restrict(asked.scratch, devices=not computes))
        writes = any(each.startswith("landlock") for each in held)
        raised("seccomp", lambda: seccomp.install(computes=computes, writes=writes))
    else:
        absent.append(("namespaces, landlock, seccomp", f"{sys.platform} has none"))
    return Held(barriers=tuple(held), absent=tuple(absent))
