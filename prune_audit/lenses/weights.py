"""Where was cut: how dense is each layer, which units are dead, and what is left of the weights of each class?

Looks at the weights alone, so that it sees ONNX, too. For each layer: the share of weights that are left, how much of
the dense layer's squared norm was cut, and units without any weight into or out of them. For each class: the same of
its row in the last layer, where that has one output for each class. Networks that were trained after the cut have other
weights than the dense one had, and what was cut is then what the dense network had there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prune_audit.core import Drawn, Field, Measure, Table, Value
from prune_audit.lenses import Account, CannotLook, Seen, Subject
from prune_audit.nets import units
from prune_audit.nets.weights import weights
from prune_audit.render import rounded

if TYPE_CHECKING:
    import torch

RANK = 40
DEFAULT = True
NEEDS = "weights"

_FIELDS = (
    Field(name="layer", title="layer", unit="label"),
    Field(name="total", title="weights", unit="count"),
    Field(name="density", title="density", unit="share", meaning="share of its weights that is left"),
    Field(
        name="norm_cut",
        title="norm cut",
        unit="share",
        meaning="of the sum of squares of the dense layer, what was cut",
    ),
    Field(name="outputs", title="outputs", unit="count"),
    Field(name="dead_outputs", title="dead outputs", unit="count", meaning="units without a weight into them"),
    Field(name="inputs", title="inputs", unit="count"),
    Field(name="dead_inputs", title="dead inputs", unit="count", meaning="units without a weight out of them"),
)


def look(subject: Subject, options: None) -> Seen:
    """Both networks' weights, by layer and, in the last layer, by class."""
    del options
    dense, pruned = subject.dense.editable, subject.pruned.editable
    if dense is None or pruned is None:
        return _by_cards(subject, [each.card.format for each in (subject.dense, subject.pruned) if not each.editable])
    before, after = _tensors(dense.module), _tensors(pruned.module)
    rows: list[tuple[Value, ...]] = []
    for name, values in after.items():
        own = before.get(name)
        if own is None or own.shape != values.shape:
            found = "none" if own is None else str(tuple(own.shape))
            raise CannotLook(
                f"the weight {name} of {subject.pruned.card.name} is {tuple(values.shape)}, that of "
                f"{subject.dense.card.name} {found}: weights cannot be compared one by one",
                hint="give networks of one architecture",
            )
        rows.append((name.removesuffix(".weight"), values.numel(), *_of(own, values), *_units(pruned.module, name)))
    measures, accounts = _classes(subject, pruned.module, before, after)
    sentences = [_most(rows), *_dead(rows)]
    if not measures:
        sentences.append("The last layer has no row for each class, so nothing is said of classes.")
    return Seen(
        sentences=tuple(sentences), tables=(_table(tuple(rows)),), measures=tuple(measures), accounts=tuple(accounts)
    )


def _by_cards(subject: Subject, closed: Sequence[str]) -> Seen:
    """What can be said where single weights cannot be seen, in the ``closed`` formats: the density of each layer."""
    card = subject.pruned.card
    if not card.layers:
        raise CannotLook(f"no weights can be seen in {card.name} ({card.format})", hint="give the weights")
    rows: list[tuple[Value, ...]] = [
        (each.name.removesuffix(".weight"), each.total, each.kept / each.total, *(None,) * 5) for each in card.layers
    ]
    formats = " and ".join(dict.fromkeys(closed))
    note = f"single weights of {formats} cannot be seen, so of layers there is the density alone"
    return Seen(sentences=(_most(rows),), tables=(_table(tuple(rows), note),))


def _tensors(module: torch.nn.Module) -> Mapping[str, torch.Tensor]:
    return {weight.name: weight.values.cpu() for weight in weights(module) if weight.cuttable}


def _of(dense: torch.Tensor, pruned: torch.Tensor) -> tuple[Value, Value]:
    """The density, and the share of the dense squared norm that was cut; None where there is no norm."""
    squares = dense.double() ** 2
    total = float(squares.sum())
    cut = float(squares[pruned == 0].sum())
    return int((pruned != 0).sum()) / pruned.numel(), cut / total if total else None


def _units(module: torch.nn.Module, name: str) -> tuple[Value, ...]:
    found = units.axes(module, name)
    if found is None:
        return (None,) * 4
    weight = module.get_parameter(name)
    outputs, inputs = found
    return weight.shape[outputs], units.dead(weight, outputs), weight.shape[inputs], units.dead(weight, inputs)


def _classes(
    subject: Subject,
    module: torch.nn.Module,
    before: Mapping[str, torch.Tensor],
    after: Mapping[str, torch.Tensor],
) -> tuple[list[Measure], list[Account]]:
    """Density and norm of the row of each class in the last layer; nothing where it has no such rows."""
    name = list(after)[-1]
    found, size = units.axes(module, name), len(subject.classes)
    lengths = [length == size for length in after[name].shape]
    if found is not None:
        axis = found[0]
    elif after[name].ndim == 2 and sum(lengths) == 1:  # of a graph without layers the one that fits
        axis = lengths.index(True)
    else:
        return [], []
    if not lengths[axis]:
        return [], []
    pairs = [_of(before[name].select(axis, i), after[name].select(axis, i)) for i in range(size)]
    densities, norms = zip(*pairs, strict=True)
    measures = [
        Measure(name="row_density", title="density of its last row", unit="share", by_stratum=densities),
        Measure(
            name="row_norm_cut",
            title="norm cut from its last row",
            unit="share",
            by_stratum=norms,
            absent={i: "the dense row is zero" for i, norm in enumerate(norms) if norm is None},
        ),
    ]
    thin = tuple(None if density is None else 1 - float(density) for density in densities)
    return measures, [
        Account(
            name="row_cut",
            title="The share of weights cut from the last layer's row",
            values=thin,
            larger="more",
            of_samples=False,
        ),
        Account(
            name="row_norm_cut",
            title="The norm cut from the last layer's row",
            values=norms,
            larger="more",
            of_samples=False,
        ),
    ]


def _table(rows: tuple[tuple[Value, ...], ...], *notes: str) -> Table:
    drawn = Drawn(
        kind="dots",
        title="What is left of each layer",
        shows="The share of weights left, layer by layer.",
        reading="Each point is a layer, in the order of the network: the share of its weights that is left.",
        x="density",
        y="layer",
    )
    return Table(name="layers", title="Layer by layer", fields=_FIELDS, rows=rows, notes=notes, drawn=(drawn,))


def _most(rows: list[tuple[Value, ...]]) -> str:
    least = min(rows, key=lambda row: float(row[2] or 0))
    most = max(rows, key=lambda row: float(row[2] or 0))
    return (
        f"Of {len(rows)} layers, {least[0]} was cut most ({rounded.percent_sign(least[2])} left) and {most[0]} least "
        f"({rounded.percent_sign(most[2])} left)."
    )


def _dead(rows: list[tuple[Value, ...]]) -> list[str]:
    known = [row for row in rows if row[5] is not None]
    if not known:
        return []
    outputs, of = sum(int(row[5] or 0) for row in known), sum(int(row[4] or 0) for row in known)
    inputs, out_of = sum(int(row[7] or 0) for row in known), sum(int(row[6] or 0) for row in known)
    return [f"{outputs:,} of {of:,} units have no weight into them, {inputs:,} of {out_of:,} none out of them."]
