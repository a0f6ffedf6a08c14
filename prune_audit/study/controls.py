"""Which cells are controls: all others of their network are tested against them, whatever the densities."""

from __future__ import annotations

import math
from collections.abc import Collection

from prune_audit import spelling
from prune_audit.errors import UsageError
from prune_audit.render import rounded
from prune_audit.study.new_samples import Key


def choose(cells: Collection[Key], asked: str | None) -> list[Key]:
    """The controls among ``cells``: those that ``asked`` names as METHOD or METHOD@DENSITY, a share.

    Without a name they are the cells at density 1, where nothing was cut: they tell what tuning alone does.

    Raises:
        UsageError: no cell is called so, or several of one network are.
    """
    if asked is None:
        return [key for key in cells if key[2] == 1]
    method, at, share = asked.rpartition("@") if "@" in asked else (asked, "", "")
    found = [key for key in cells if key[1] == method and (not at or _is(share, key[2]))]
    if not found:
        meant = spelling.meant(asked, _names(cells) if "@" in asked else {cell[1] for cell in cells})
        raise UsageError(f"--control: found no cell {asked!r}", hint=f"{meant}known: {_listed(cells)}")
    if len({key[0] for key in found}) < len(found):
        raise UsageError(
            f"--control: expected one cell, found several of the method {method!r}", hint=f"one of {_listed(found)}"
        )
    return found


def _is(share: str, density: float) -> bool:
    try:
        return math.isclose(float(share), density, rel_tol=1e-9)
    except ValueError:
        return False


def _listed(cells: Collection[Key]) -> str:
    return rounded.listed(_names(cells))


def _names(cells: Collection[Key]) -> list[str]:
    return list(dict.fromkeys(f"{method}@{density:.12g}" for _, method, density in cells))
