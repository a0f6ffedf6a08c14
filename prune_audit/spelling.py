"""Which known names are nearest to one that nobody knows: what every error about such a name asks.

Names differ as `difflib` measures it, capitals or not.
"""

from __future__ import annotations

from collections.abc import Iterable

NEAR = 0.65  # of `difflib`'s ratio, from which on a name is likely meant: two letters of three may have changed places


def near(name: str, known: Iterable[str], *, most: int = 1) -> list[str]:
    """Those of the ``known`` names that ``name`` may be a slip of, the nearest first, ``most`` of them at most."""
    from difflib import get_close_matches  # which is wanted only after a slip

    folded = {each.casefold(): each for each in known}
    return [folded[each] for each in get_close_matches(name.casefold(), folded, n=most, cutoff=NEAR)]


def meant(name: str, known: Iterable[str], *, most: int = 1) -> str:
    """The question that a hint begins with, and a blank; '' where nothing is near."""
    found = " or ".join(map(repr, near(name, known, most=most)))
    return f"did you mean {found}? " if found else ""


def hint(name: str, known: Iterable[str]) -> str:
    """What to say of ``name``, which is not known: which of the ``known`` names may be meant, and all of them."""
    names = list(known)
    return f"{meant(name, names)}known: {', '.join(names) or 'none'}"
