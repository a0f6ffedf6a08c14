"""One thing after the other, in the thread that asks: to step through a pass with a debugger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def run(
    parts: Sequence[Any],
    read: Callable[[Any], Any],
    tasks: Callable[[Any], Sequence[Callable[[], Any]]],
    take: Sequence[Callable[[Any], None]],
    workers: int,
) -> None:
    """Each part is read, and shown to one model after the other."""
    for part in parts:
        for task, give in zip(tasks(read(part)), take, strict=False):
            give(task())
