"""Masks that a checkpoint keeps beside its weights, and weights that it keeps in another form than the network has.

Pruning is often stored as a mask beside a weight that is still whole: torch's own pruning (``weight_orig`` and
``weight_mask``), torch.ao's (``parametrizations.weight.original`` and ``.0.mask``), a mask per layer
(``weight_mask``), or a dict of masks beside the state dict. A mask that is passed over makes a pruned network dense
without a word, so each is applied, or is an error.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prune_audit.core import ModelSource
from prune_audit.errors import ModelError
from prune_audit.models._tree import Leaf, is_mask, parts
from prune_audit.models._unpickle import Unused

if TYPE_CHECKING:
    import torch

_HALF = "_orig"
_PARAMETRIZED = re.compile(r"(?P<owner>.*?)parametrizations\.(?P<name>\w+)\.original")
_HINT = "multiply the weights by their masks and save them alone, with torch.save(model.state_dict(), path)"


@dataclass(slots=True, kw_only=True, eq=False)
class Weight:
    """A value as the network takes it in, with the ``masks`` that belong to it, by their names.

    ``half`` is what it is called where it is the unmasked half that pruning keeps, which is nothing without its mask.
    """

    place: str
    value: object
    masks: dict[str, torch.Tensor] = field(default_factory=dict)
    half: str = ""


def weights(found: Mapping[str, Leaf], wanted: Collection[str]) -> tuple[dict[str, Weight], dict[str, Leaf]]:
    """``found`` as weights by the names that a network has for them, and the masks that stand elsewhere.

    What the network, of the ``wanted`` names, has itself is left as it is: it applies its masks by itself.
    """
    read: dict[str, Weight] = {}
    elsewhere: dict[str, Leaf] = {}
    inside: set[str] = set()
    for name, leaf in found.items():
        if _ends(name, wanted):
            continue
        if match := _PARAMETRIZED.fullmatch(name):
            stem = name.removesuffix("original")
            masks = {key: _tensor(each.value) for key, each in found.items() if key.startswith(stem) and key != name}
            # Other parametrizations than masks compute something else.
            if all(re.fullmatch(r"\d+\.mask", key.removeprefix(stem)) for key in masks):
                whole = {key: mask for key, mask in masks.items() if mask is not None}
                # torch.ao's own does not save its masks here; its sparsifier may have, elsewhere.
                read[match["owner"] + match["name"]] = Weight(
                    place=leaf.place, value=leaf.value, masks=whole, half="" if whole else name
                )
                inside |= {name, *masks}
        elif name.endswith(_HALF) and name.removesuffix(_HALF) not in found:
            key = f"{name.removesuffix(_HALF)}_mask"
            mask = _tensor(found[key].value) if key in found else None
            read[name.removesuffix(_HALF)] = Weight(
                place=leaf.place,
                value=leaf.value,
                masks={} if mask is None else {key: mask},
                half=name if mask is None else "",
            )
            inside |= {name, key}
    for name, leaf in found.items():
        if name in inside:
            continue
        if any(map(is_mask, parts(name))) and not _ends(name, wanted, len(".".join(_before(name)))):
            elsewhere[name] = leaf
        else:
            read[name] = Weight(place=leaf.place, value=leaf.value)
    return read, elsewhere


def belonging(masks: Mapping[str, Leaf], own: str, others: Collection[str]) -> dict[str, Leaf]:
    """Those of ``masks`` that belong to the set of weights at the prefix ``own`` rather than to one of ``others``.

    Masks belong to the weights that they share most of their way through the tree with.
    """

    def shared(name: str, prefix: str) -> int:
        way = zip(_before(name), parts(prefix), strict=False)
        return next((n for n, (a, b) in enumerate(way) if a != b), min(len(_before(name)), len(parts(prefix))))

    return {
        name: leaf
        for name, leaf in masks.items()
        if shared(name, own) >= max((shared(name, other) for other in others), default=0)
    }


def assign(
    masks: Mapping[str, Leaf], into: Mapping[str, Weight], wanted: Mapping[str, object], source: ModelSource
) -> list[str]:
    """Give each of ``masks`` to its weight among ``into``, by the names of the network; those that fit none come back.

    Raises:
        ModelError: a mask has the shape of a weight and belongs to none, or is of a form that is not read.
    """
    dotless: dict[str, str] = {}
    for name in into:
        dotless.setdefault(name.replace(".", "_"), name)
    left = []
    for name, leaf in masks.items():
        mask = _tensor(leaf.value)
        if mask is None:
            if isinstance(leaf.value, Unused):
                raise ModelError(
                    f"{source.path}: the masks {name} are no tensors, and are not read",
                    hint=f"save them as tensors; or {_HINT}",
                )
            continue
        target = next((each for each in _targets(name, dotless) if each in into), None)
        if target is not None:
            into[target].masks[name] = mask
        elif mask.ndim > 1 and _binary(mask) and any(_shape(mask) == _shape(value) for value in wanted.values()):
            raise ModelError(
                f"{source.path}: {name} has the shape of a weight, and none that it could belong to is called so",
                hint=f"name masks after their weights; or {_HINT}",
            )
        else:
            left.append(name)
    return left


def applied(name: str, weight: Weight, source: ModelSource) -> object:
    """The value of ``weight`` times its masks, dense and not quantised.

    Raises:
        ModelError: a mask is of another shape, holds other values than 0 and 1, differs from another one of the same
            weight or leaves nothing; or half a weight has no mask.
    """
    import torch

    value = weight.value
    if weight.half and not weight.masks:
        raise ModelError(
            f"{source.path}: {weight.half} is the unmasked half of {name}, and the mask is missing",
            hint="save the masks too, or make pruning permanent first: torch.nn.utils.prune.remove, or squash_mask of "
            "a sparsifier",
        )
    if not isinstance(value, torch.Tensor):
        return value
    whole = value.to_dense() if value.layout != torch.strided else value
    masks: list[tuple[str, torch.Tensor]] = []
    for called, mask in weight.masks.items():
        _check(called, mask, name, whole, source)
        if masks and not torch.equal(mask != 0, masks[0][1] != 0):
            raise ModelError(
                f"{source.path}: the masks {masks[0][0]} and {called} of {name} differ", hint=f"keep one; or {_HINT}"
            )
        masks.append((called, mask))
    if not masks:
        return whole
    cut = plain(whole) * (masks[0][1] != 0)
    if bool(masks[0][1].any()) and bool(plain(whole).any()) and not bool(cut.any()):
        raise ModelError(
            f"{source.path}: the mask {masks[0][0]} leaves nothing of {name}, whose other weights are zero",
            hint=f"1 seems to mean there that a weight is cut; {_HINT}",
        )
    return cut


def plain(value: torch.Tensor) -> torch.Tensor:
    """``value`` in floating point where it is quantised."""
    return value.dequantize() if value.is_quantized else value


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors hold the same, NaN being the same as NaN."""
    import torch

    if torch.equal(one, other):
        return True
    if one.shape != other.shape or not (one.is_floating_point() and other.is_floating_point()):
        return False
    a, b = one.double(), other.double()
    return bool(((a == b) | (a.isnan() & b.isnan())).all())


def _check(called: str, mask: torch.Tensor, name: str, value: torch.Tensor, source: ModelSource) -> None:
    fits = mask.ndim == value.ndim and all(m in (1, v) for m, v in zip(mask.shape, value.shape, strict=True))
    if not fits:
        raise ModelError(
            f"{source.path}: the mask {called} {_shape(mask)} does not fit {name} {_shape(value)}", hint=_HINT
        )
    if not _binary(mask):
        raise ModelError(f"{source.path}: the mask {called} holds other values than 0 and 1", hint=_HINT)


def _binary(mask: torch.Tensor) -> bool:
    return bool(((mask == 0) | (mask == 1)).all())


def _before(name: str) -> list[str]:
    """The way to a mask: what stands before the part of its name that says so."""
    found = parts(name)
    return found[: next(n for n, part in enumerate(found) if is_mask(part))]


def _targets(name: str, dotless: Mapping[str, str]) -> Iterator[str]:
    """What the weight of the mask called ``name`` may be called, the likeliest first.

    ``dotless`` are names of weights as they are without their dots, which some have to do without.
    """
    found = parts(name)
    before, rest = _before(name), found[len(_before(name)) :]
    last = re.sub(r"_?masks?$|^masks?_", "", rest[-1])
    if len(rest) > 1:  # a dict of masks, whose keys may say it again
        inner = [*rest[1:-1], *([last] if last else [])]
        ways = [[*before, *inner], inner]
    else:
        ways = [[*before, *([last] if last else [])]]
    for way in ways:
        # Wrappings of the network stand before its own names.
        for start in range(len(way)):
            short = ".".join(way[start:])
            yield short
            yield f"{short}.weight"
            if (whole := dotless.get(short) or dotless.get(f"{short}_weight")) is not None:
                yield whole


def _ends(name: str, wanted: Collection[str], most: int | None = None) -> bool:
    """Whether ``name`` ends in one that is ``wanted``, at a dot that is no further than ``most``."""
    at = 0
    while at == 0 or (at > 0 and (most is None or at <= most + 1)):
        if name[at:] in wanted:
            return True
        at = name.find(".", at) + 1 or -1
    return False


def _tensor(value: Any) -> torch.Tensor | None:
    """A mask as a tensor; None where it is none."""
    import numpy as np
    import torch

    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        value = torch.from_numpy(value)
    if not isinstance(value, torch.Tensor):
        return None
    return plain(value.to_dense() if value.layout != torch.strided else value)


def _shape(value: object) -> tuple[int, ...] | None:
    import torch

    return tuple(value.shape) if isinstance(value, torch.Tensor) else None
