"""Fit the weights of a checkpoint into the network that its architecture builds, and say which of them were used.

A checkpoint is a tree (`_tree`): the weights are wherever all names stand that the network wants. Of two sets that
differ neither is chosen by luck. Masks beside the weights are applied (`_masks`). What then does not fit is an error
that names it, because a network that is half trained and half random still predicts something.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prune_audit.core import Assumption, ModelSource
from prune_audit.errors import ModelError, UsageError
from prune_audit.models import _masks, _tree

if TYPE_CHECKING:
    import torch

OPTION = "--state-key KEY"

_SHOWN = 3
# What training keeps beside a network in one dict with it.
_BESIDE = re.compile(r"(^|_)(criteri(on|a)|loss(es)?|metrics?|acc|accuracy|auroc|f1|confmat|meter)(_|\d|$)")
_AVERAGED = "n_averaged"  # how many networks AveragedModel has seen
_COUNTED = "num_batches_tracked"  # of no use in evaluation
_PARALLEL = "module."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Set:
    """One set of weights of a checkpoint: what stands behind ``prefix``, by the names of the network, in ``place``.

    ``missing``, ``extra`` and ``shapes`` are names that the network wants and lacks, does not know, or has otherwise.
    """

    prefix: str
    place: str
    weights: Mapping[str, _masks.Weight]
    missing: Sequence[str]
    extra: Sequence[str]
    shapes: Sequence[str]

    @property
    def fits(self) -> bool:
        return not (self.missing or self.extra or self.shapes)


def fit(module: torch.nn.Module, content: object, source: ModelSource, key: str | None) -> tuple[Assumption, ...]:
    """Copy the weights in ``content`` into ``module``, in its own types, and leave it in evaluation mode.

    ``key`` says which entry they are, None where nobody said. What was taken for granted is returned, which is
    nothing where ``content`` is the weights and nothing else.

    Raises:
        ModelError: a name is missing, left over, of another shape, or holds no tensor; several sets fit and differ; or
            a mask does not fit.
        UsageError: there is no entry ``key``.
    """
    wanted = module.state_dict()
    found = _tree.uncompiled(_tree.leaves(content, source), wanted)
    read, masks = _masks.weights(found, wanted)
    known = _tree.prefixes(read, wanted) or [_fullest(found)]
    prefixes = known if key is None else _asked(key, known, read, wanted, source)
    every = [_set(prefix, known, read, module, source) for prefix in prefixes]
    sets = [each for each in every if each.fits]
    if not sets:
        raise _misfit(_nearest(every[0], found, read, module, source), source)
    for each in sets:
        own = _masks.belonging(masks, each.prefix, known)
        _masks.assign(own, each.weights, wanted, source)
    values = [_values(each, wanted, source) for each in sets]
    names = _tree.labels({each.prefix: each.place for each in sets})
    if others := [n for n, each in enumerate(values) if not _equal(each, values[0])]:
        shown = [f"--state-key {source.name}={names[sets[n].prefix]}" for n in (0, *others)]
        raise ModelError(
            f"{source.path} holds {len(sets)} sets of weights that fit {source.factory} and differ: "
            f"{', '.join(names.values())}",
            hint=f"say which to use: {' or '.join(shown)}; without {source.name}= it is of all models",
        )
    _load(module, values[0], wanted)
    module.eval()
    chosen, equal = sets[0], [names[each.prefix] for each in sets[1:]]
    taken = {f"{each.prefix}{name}" for each in sets for name in each.weights}
    used = {called for each in sets for weight in each.weights.values() for called in weight.masks}
    tensors = [name for name, each in read.items() if name not in taken and _size(each.value)]
    tensors += [name for name, each in masks.items() if name not in used and _size(each.value)]
    unused = _grouped(tensors, {weight.place for weight in chosen.weights.values()}, read)
    dequantised = sum(_is_quantised(w.value) and not _is_quantised(wanted.get(n)) for n, w in chosen.weights.items())
    return _told(chosen, names[chosen.prefix], equal, unused, source, dequantised=dequantised, asked=key is not None)


def holds(content: object, source: ModelSource) -> bool:
    """Whether ``content``, what a checkpoint file holds, has any tensors in it."""
    return any(_size(leaf.value) is not None for leaf in _tree.leaves(content, source).values())


def alone(content: object, source: ModelSource) -> dict[str, object]:
    """The weights in ``content`` for a network that is not known yet, without what training wrapped them in.

    They are the tensors of one dict, at any depth. A prefix goes only where it is known as a wrapping.

    Raises:
        ModelError: there are none, or several dicts of them; or a mask does not fit.
    """
    found = _tree.uncompiled(_tree.leaves(content, source), ())
    read, masks = _masks.weights(found, ())
    places = list(dict.fromkeys(each.place for each in read.values() if _size(each.value) is not None))
    if len(places) != 1:
        kept = f"several sets of weights: {', '.join(place.rstrip('.') or 'itself' for place in places)}"
        raise ModelError(
            f"{source.path} holds {kept if places else 'no weights'}",
            hint="save the model again with save_pretrained",
        )
    weights = {n.removeprefix(places[0]): each for n, each in read.items() if n.startswith(places[0])}
    # A parameter of a network may be called a mask; it is one of pruning beside a weight of its own name and shape.
    parameters = {
        name: leaf
        for name, leaf in masks.items()
        if _size(getattr(weights.get(name.removesuffix("_mask")), "value", None)) != _size(leaf.value)
    }
    _masks.assign({n: each for n, each in masks.items() if n not in parameters}, weights, {}, source)
    masked = {name: _masks.applied(name, each, source) for name, each in weights.items()}
    plain = {name: _plain(value, None) for name, value in masked.items() if _is_tensor(value)}
    plain |= {name.removeprefix(places[0]): leaf.value for name, leaf in parameters.items()}
    plain.pop(_AVERAGED, None)
    while plain and all(name.startswith(_PARALLEL) for name in plain):
        plain = {name.removeprefix(_PARALLEL): value for name, value in plain.items()}
    return plain


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two networks have the same weights, whatever they are wrapped in."""
    states = [
        {name.removeprefix(_PARALLEL): value for name, value in each.state_dict().items()} for each in (one, other)
    ]
    return _equal(states[0], states[1])


def taken(source: ModelSource, name: str, equal: Sequence[str], *, asked: bool) -> tuple[Assumption, ...]:
    """What there is to say where the network called ``name`` was taken out of a file, where it is not all of it."""
    if name == _tree.ROOT:
        return ()
    others = f"equal to {', '.join(equal)}" if equal else "the only network in the file"
    why = "as asked" if asked else others
    return (Assumption(subject=source.name, what="weights", value=name, why=why, option=OPTION),)


def _asked(
    key: str,
    prefixes: Sequence[str],
    read: Mapping[str, _masks.Weight],
    wanted: Mapping[str, object],
    source: ModelSource,
) -> list[str]:
    """The prefixes of the sets that ``key`` means, be they whole or not."""
    places = {prefix: _place(prefix, read, wanted) for prefix in prefixes}
    if named := _tree.named(key, places):
        return named
    below = {name for name in read if name.startswith(f"{key}.")}
    if not below:
        known = dict.fromkeys(_tree.labels(places).values())
        raise UsageError(
            f"{source.path} has no entry {key!r}",
            hint=f"--state-key names an entry that holds weights: {', '.join(known)}",
        )
    return _tree.prefixes(below, wanted) or [f"{key}."]


def _set(
    prefix: str,
    known: Sequence[str],
    read: Mapping[str, _masks.Weight],
    module: torch.nn.Module,
    source: ModelSource,
) -> _Set:
    wanted = module.state_dict()
    inner = tuple(other for other in known if other != prefix and other.startswith(prefix))
    weights = {name: read[f"{prefix}{name}"] for name in wanted if f"{prefix}{name}" in read}
    places = {weight.place for weight in weights.values()} or {prefix}
    extra = [
        name.removeprefix(prefix)
        for name, each in read.items()
        if name.startswith(prefix) and name.removeprefix(prefix) not in wanted
        if each.place in places and _size(each.value) is not None
        if not (inner and name.startswith(inner)) and not _beside(name.removeprefix(prefix))
    ]
    missing: Sequence[str] = [name for name in wanted if name not in weights]
    shapes = [
        f"{name} {_shape(weights[name].value)} for {_shape(value)}"
        for name, value in wanted.items()
        if name in weights and _is_tensor(value) and _shape(weights[name].value) != _shape(value)
    ]
    if not shapes and (missing or extra):
        weights |= {name: read[f"{prefix}{name}"] for name in extra}
        given = {name: _plain(weight.value, wanted.get(name)) for name, weight in weights.items()}
        try:
            # Asked again, because a module may rename or fill in names of older versions of itself.
            missing, extra = module.load_state_dict(given, strict=False)
        except RuntimeError as fault:
            raise ModelError(
                f"{source.path} does not fit {source.factory}: {' '.join(str(fault).split())}",
                hint="the factory must build the network that was saved",
            ) from fault
        # A quantised layer reads names of its own without looking whether they are there.
        except KeyError:
            pass
    place = _place(prefix, read, wanted)
    return _Set(prefix=prefix, place=place, weights=weights, missing=missing, extra=extra, shapes=shapes)


def _load(module: torch.nn.Module, values: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Copy ``values`` into ``module``, whose state dict is ``wanted``.

    Where the names are today's, so is the version: without one, a quantised layer looks for names of long ago.
    """
    given = OrderedDict(values)
    if given.keys() == wanted.keys():
        given._metadata = getattr(wanted, "_metadata", None)  # type: ignore[attr-defined]  # as torch keeps it
    module.load_state_dict(given, strict=False)


def _values(chosen: _Set, wanted: Mapping[str, object], source: ModelSource) -> dict[str, object]:
    """What the network takes in of a set that fits."""
    masked = {name: _masks.applied(name, weight, source) for name, weight in chosen.weights.items()}
    return {name: _plain(value, wanted.get(name)) for name, value in masked.items()}


def _plain(value: object, wanted: object) -> object:
    """``value`` as a dense tensor, in floating point unless the network's own is quantised."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    dense = value.to_dense() if value.layout != torch.strided else value
    return dense if _is_quantised(wanted) else _masks.plain(dense)


def _equal(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two sets of weights are the same to a network in evaluation."""
    import torch

    one, other = _apart(one), _apart(other)
    for name in one.keys() | other.keys():
        a, b = one.get(name), other.get(name)
        if isinstance(a, torch.Tensor) and not name.endswith(_COUNTED):
            if not isinstance(b, torch.Tensor) or a.shape != b.shape:
                return False
            if not _masks.alike(_masks.plain(a), _masks.plain(b).to(_masks.plain(a).dtype)):
                return False
    return True


def _apart(weights: Mapping[str, object]) -> dict[str, object]:
    """``weights`` with the tensors that quantised layers keep together under names of their own."""
    found: dict[str, object] = {}
    for name, value in weights.items():
        found |= {f"{name}.{n}": each for n, each in enumerate(value)} if isinstance(value, tuple) else {name: value}
    return found


def _told(
    chosen: _Set,
    label: str,
    equal: Sequence[str],
    unused: Sequence[str],
    source: ModelSource,
    *,
    dequantised: int,
    asked: bool,
) -> tuple[Assumption, ...]:
    """What there is to say of the weights that were used, ``dequantised`` of which the network wants as floats."""
    masked = [weight for weight in chosen.weights.values() if weight.masks]
    if not (chosen.place or equal or unused or masked or dequantised or asked):
        return ()
    value = "all of the file" if label == _tree.ROOT else label
    if chosen.prefix not in ("", chosen.place) and f"{label}." != chosen.prefix:
        value += f" behind {chosen.prefix.removeprefix(chosen.place)!r}"
    if masked:
        shown = [(next(iter(each.masks.values())) != 0).expand_as(each.value) for each in masked]  # type: ignore[arg-type]
        kept, whole = sum(int(mask.sum()) for mask in shown), sum(mask.numel() for mask in shown)
        one = len(masked) == 1
        value += (
            f" times {'a mask that keeps' if one else f'{len(masked)} masks that keep'} {kept:,} of {whole:,} weights"
        )
    if dequantised:
        value += f", {dequantised} of its tensors dequantised"
    why = ["as asked" if asked else f"the only weights that fit {source.factory}"]
    if equal:
        why = [f"equal to {', '.join(equal)}"]
    if unused:
        more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
        why.append(f"not used: {', '.join(unused[:_SHOWN])}{more}")
    return (Assumption(subject=source.name, what="weights", value=value, why="; ".join(why), option=OPTION),)


def _grouped(names: Iterable[str], places: set[str], read: Mapping[str, _masks.Weight]) -> list[str]:
    """Tensors that were not used, in few words: those beside the weights by name, others by the entry they are in."""
    beside: list[str] = []
    entries: Counter[str] = Counter()
    only: dict[str, str] = {}
    for name in names:
        if name in read and read[name].place in places:
            beside.append(name)
        else:
            top = name.partition(".")[0]
            entries[top] += 1
            only[top] = name
    return beside + [only[top] if n == 1 else f"{top} ({n} tensors)" for top, n in entries.items()]


def _place(prefix: str, read: Mapping[str, _masks.Weight], wanted: Iterable[str]) -> str:
    """The dict in which the set behind ``prefix`` stands: the innermost that holds all of it."""
    places = {read[f"{prefix}{name}"].place for name in wanted if f"{prefix}{name}" in read}
    if not places:
        return prefix
    ways = [_tree.parts(place) for place in places]
    shared = next((n for n, level in enumerate(zip(*ways, strict=False)) if len(set(level)) > 1), min(map(len, ways)))
    return "".join(f"{part}." for part in ways[0][:shared])


def _nearest(
    found: _Set,
    leaves: Mapping[str, _tree.Leaf],
    read: Mapping[str, _masks.Weight],
    module: torch.nn.Module,
    source: ModelSource,
) -> _Set:
    """What to compare with the network where nothing fits: ``found``, or, if it is a small part, all of its dict."""
    whole = _fullest(leaves)
    tensors = [name for name, leaf in leaves.items() if leaf.place == whole and _size(leaf.value)]
    if 2 * len(found.weights) >= len(tensors) or not found.prefix.startswith(whole):
        return found
    return _set(whole, (), read, module, source)


def _fullest(found: Mapping[str, _tree.Leaf]) -> str:
    """The dict with most tensors, where no name is one that the network wants."""
    count = Counter(leaf.place for leaf in found.values() if _size(leaf.value) is not None)
    return count.most_common(1)[0][0] if count else ""


def _beside(name: str) -> bool:
    """Whether a tensor called ``name`` is of the training, rather than of the network that is beside it."""
    return name == _AVERAGED or any(_BESIDE.search(part) for part in _tree.parts(name))


def _size(value: object) -> int | None:
    """The number of dimensions of a tensor, 1 of several packed together, None where there is none."""
    import torch

    if isinstance(value, tuple):
        return 1 if any(isinstance(each, torch.Tensor) for each in value) else None
    return value.ndim if isinstance(value, torch.Tensor) else None


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _is_quantised(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.is_quantized


def _shape(value: object) -> str:
    import torch

    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__


def _misfit(found: _Set, source: ModelSource) -> ModelError:
    problems = [
        _listed("missing", found.missing),
        _listed("extra", found.extra),
        _listed("of another shape", found.shapes),
    ]
    where = f" in its entry {found.place.rstrip('.')}" if found.place else ""
    return ModelError(
        f"{source.path} does not fit {source.factory}{where}: {'; '.join(filter(None, problems))}",
        hint=_hint(found.shapes),
    )


def _listed(what: str, found: Sequence[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{len(found)} {what}: {', '.join(found[:_SHOWN])}{more}" if found else ""


def _hint(shapes: Sequence[str]) -> str:
    if shapes:
        return "give the factory the arguments of the saved network (num_classes=...); one whose channels were pruned \
away needs a factory that builds the smaller layers, or export it to ONNX"
    return "the factory must build exactly the network that was saved"
