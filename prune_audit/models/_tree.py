"""A checkpoint as a tree: its entries by dotted names, and the sets of weights among them that a network could take.

Nothing is told by what an entry is called. A training script may keep its weights under any key, at any depth, behind
any prefix, and beside losses, optimisers and averages of itself; a set of weights is wherever every name stands that
the network wants. So two sets are found as two, and never one of them by luck.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prune_audit.core import ModelSource
from prune_audit.errors import ModelError

if TYPE_CHECKING:
    import torch

ROOT = "."
"""What the whole file is called where an entry of it is asked for."""

_COMPILED = "_orig_mod"
_MASK = re.compile(r"(^|_)masks?(_dict)?($|_)")
_OPTIMISER = re.compile(r"(^|_)optim")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leaf:
    """One value of a checkpoint. ``place`` is the dotted name of the dict that holds it, with a dot at its end."""

    place: str
    value: object


def leaves(content: object, source: ModelSource) -> dict[str, Leaf]:
    """Every value of ``content`` that is no dict, by its dotted name; a module counts as its state dict.

    What stands at a position, in a list or under a number, is called ``[3]``, so that it is no part of a name.

    Raises:
        ModelError: two values have one name.
    """
    found: dict[str, Leaf] = {}
    for name, leaf in _leaves(content, "", ()):
        if name in found:
            raise ModelError(
                f"{source.path} holds two entries called {name}",
                hint="save the weights alone, with torch.save(model.state_dict(), path)",
            )
        found[name] = leaf
    return found


def _leaves(content: object, place: str, above: tuple[int, ...]) -> Iterator[tuple[str, Leaf]]:
    import torch

    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    items: Iterator[tuple[object, object]] = iter(())
    if isinstance(content, Mapping):
        items = iter(content.items())
    elif isinstance(content, list):
        items = iter(enumerate(content))
    if id(content) in above:  # a pickle may hold itself
        return
    for key, value in items:
        name = f"{place}{key}" if isinstance(key, str) else f"{place}[{key}]"
        if isinstance(value, Mapping | list | torch.nn.Module):
            yield from _leaves(value, f"{name}.", (*above, id(content)))
        else:
            yield name, Leaf(place=place, value=value)


def uncompiled(found: Mapping[str, Leaf], wanted: Collection[str]) -> dict[str, Leaf]:
    """``found`` without what torch.compile puts into names, unless the network has it itself."""
    if any(_COMPILED in name.split(".") for name in wanted):
        return dict(found)
    plain: dict[str, Leaf] = {}
    for name, leaf in found.items():
        short = ".".join(part for part in name.split(".") if part != _COMPILED)
        plain[name if short in plain else short] = leaf
    return plain


def prefixes(names: Collection[str], wanted: Collection[str]) -> list[str]:
    """What may stand before the names of one set of weights, the fullest set first, and of equal ones the outermost.

    Each ends in a dot or is empty. A set lacks no more than half of the ``wanted`` names; where there is none, the
    one that lacks least. Masks and what an optimiser keeps are no weights.
    """
    count = Counter(prefix for name in names for prefix in _before(name, wanted))
    kept = {p: n for p, n in count.items() if not any(is_mask(part) or _OPTIMISER.search(part) for part in parts(p))}
    order = sorted(kept, key=lambda prefix: (-kept[prefix], len(parts(prefix))))
    full = [prefix for prefix in order if 2 * kept[prefix] > len(wanted)]
    return full or order[:1]


def _before(name: str, wanted: Collection[str]) -> Iterator[str]:
    """What of ``name`` stands before a name that is wanted."""
    at = 0
    while True:
        if name[at:] in wanted:
            yield name[:at]
        at = name.find(".", at) + 1
        if not at:
            return


def parts(name: str) -> list[str]:
    """The parts of a dotted name or prefix."""
    return [part for part in name.split(".") if part]


def is_mask(part: str) -> bool:
    """Whether a part of a name says that it holds masks: ``mask``, ``masks``, ``weight_mask``, ``mask_dict`` ..."""
    return _MASK.search(part) is not None


def tensors(found: Mapping[str, Leaf]) -> dict[str, torch.Tensor]:
    """The tensors among ``found``."""
    import torch

    return {name: leaf.value for name, leaf in found.items() if isinstance(leaf.value, torch.Tensor)}


def labels(sets: Mapping[str, str]) -> dict[str, str]:
    """What each of several sets is called, by its prefix; ``sets`` are the places of their tensors.

    That is the entry that holds it, and its whole prefix where the same entry holds several.
    """
    times = Counter(sets.values())
    return {prefix: (place if times[place] == 1 else prefix).rstrip(".") or ROOT for prefix, place in sets.items()}


def named(key: str, sets: Mapping[str, str]) -> list[str]:
    """Those of ``sets`` that ``key`` means: by their whole label or prefix, or else by a part at its begin or end."""
    called = labels(sets)
    plain = {prefix: prefix.rstrip(".") or ROOT for prefix in sets}
    exact = [prefix for prefix in sets if key in (called[prefix], plain[prefix])]
    return exact or [prefix for prefix in sets if _at_an_end(key, called[prefix]) or _at_an_end(key, plain[prefix])]


def _at_an_end(key: str, name: str) -> bool:
    return name.startswith(f"{key}.") or name.endswith(f".{key}")
