"""Stores that hold shards of one pinned run, put together.

Each comes from a machine of its own, and may come from anybody: a part is taken where it proves what it holds and is
what a run may have written, with what was noted of its rows. What was learnt of models' files is not taken, but found
out again where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from prune_audit.errors import UsageError
from prune_audit.evaluate import pin as pinning
from prune_audit.evaluate.cache import PIN, Store, parsed
from prune_audit.evaluate.pin import Pin, Pins
from prune_audit.files import sealed


def merge(store: Store, others: Sequence[Path], told: Callable[[str], None]) -> None:
    """Put all parts of the ``others`` into ``store``, once their pins agree; ``told`` gets a line for each damaged one.

    Raises:
        UsageError: one of the others is not pinned, or otherwise than the rest, or is the store itself.
        InputError: a pin is none.
        OutputError: the store cannot be written.
    """
    known: list[tuple[Path, Pin]] = []
    for root in (store.root, *others):
        found = pinning.read(root / PIN)
        if found is not None:
            known.append((root / PIN, found))
            pinning.check_same(*known[0], *known[-1])
        elif root != store.root:
            raise UsageError(
                f"{root} holds no shards: there is no {PIN}", hint="name folders that `predict --shard` kept shards in"
            )
    if any(other.resolve() == store.root.resolve() for other in others):
        raise UsageError(f"{store.root} cannot be merged into itself", hint="name another folder with --cache")
    for _, each in known:
        Pins(store=store.root).agree(partial(_as_it_is, each))
    for other in others:
        for path in Store(other).parts():
            try:
                content = sealed.read(path, path.parent.name)
                parsed(content)
            except sealed.DamagedFile:
                told(f"{path} is damaged and is not taken: what it held is predicted again")
            except OSError as fault:
                told(f"{path} cannot be read: {fault.strerror or fault}; what it held is predicted again")
            else:
                name = path.parent.name
                sealed.write(store.root / "predictions" / name / path.name, content, name, within=store.root)


def _as_it_is(pin: Pin, _: Pin | None) -> Pin:
    return pin
