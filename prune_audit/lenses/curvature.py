"""How steep and how curved is the loss of each class where the dense network stands?

Of each class on --data: the norm of the loss's gradient and the largest eigenvalue of its Hessian (Tran et al. 2022,
arXiv 2205.13574), by the weights that pruning may cut. Groups whose loss is steep or curved may lose more when weights
are moved, whatever the direction; which way they were moved, the lens of the loss itself knows. The paper's bound is
shown beside what happened to the loss of these samples, because it is far above it, and it is never a cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from prune_audit.core import Drawn, Field, Floats, Measure, Table, Value
from prune_audit.errors import UsageError
from prune_audit.lenses import Account, CannotLook, Seen, Subject, loss
from prune_audit.nets import curvature, gradients, masking
from prune_audit.render import rounded

if TYPE_CHECKING:
    import torch

RANK = 50
DEFAULT = False
NEEDS = "gradients"
PIECE = 64  # samples whose graph is kept at a time
FEWEST = 2  # samples of a class


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How closely curvature is computed."""

    curvature_samples: Annotated[
        int, typer.Option(metavar="N", help="Samples of each class of --data that curvature is computed over.")
    ] = 60
    curvature_steps: Annotated[
        int,
        typer.Option(metavar="N", help="Most steps of Lanczos for a class; each keeps a copy of the weights."),
    ] = curvature.STEPS

    def __post_init__(self) -> None:
        for name, value in (("samples", self.curvature_samples), ("steps", self.curvature_steps)):
            if value < FEWEST:
                raise UsageError(f"--curvature-{name}: expected {FEWEST} or more, found {value}", hint="see --help")


OPTIONS = Options

_FIELDS = (
    Field(name="class", title="class", unit="label"),
    Field(name="n", title="samples", unit="count"),
    Field(
        name="gradient_norm", title="gradient norm", unit="ratio", meaning="norm of the class's gradient, nats per unit"
    ),
    Field(name="top_eigenvalue", title="top eigenvalue", unit="ratio", meaning="largest curvature of the class's loss"),
    Field(name="residual", title="residual", unit="ratio", meaning="how far from an eigenvalue at most"),
    Field(name="steps", title="steps", unit="count"),
    Field(name="bound", title="bound", unit="nats", meaning="of the rise in loss, from both; never a cause"),
    Field(name="rise", title="rise", unit="nats", meaning="of the mean loss on these samples, pruned less dense"),
)


def look(subject: Subject, options: Options) -> Seen:
    """Gradient and curvature of each class, with the bound that they make and what happened."""
    names = masking.prunable(subject.dense.module)
    distance = _distance(subject, names)

    def one(position: int) -> dict[str, Any] | None:
        rows = _rows(subject, position, options.curvature_samples)
        if len(rows) < FEWEST:
            return None
        batches = subject.dense.examples(subject.data, rows, size=PIECE)
        module = subject.dense.module
        steep = gradients.task_gradients(module, names, batches)
        norm = float(sum(float((each.double() ** 2).sum()) for each in steep.values()) ** 0.5)
        times, size = curvature.flat(module, names, batches)
        found = curvature.largest(
            times, size, next(iter(steep.values())), seed=subject.seed, steps=options.curvature_steps
        )
        return {
            "n": len(rows),
            "norm": norm,
            "top": found.largest,
            "residual": float(found.residuals[-1]),
            "steps": found.steps,
            "settled": found.settled,
        }

    found: list[dict[str, Any] | None] = subject.each("curvature of classes", range(len(subject.classes)), one)
    if all(each is None for each in found):
        raise CannotLook(f"no class has {FEWEST} samples in --data", hint="give more samples")
    rises = _rises(subject, options.curvature_samples)
    bounds = [
        None if each is None else each["norm"] * distance + max(each["top"], 0.0) * distance**2 / 2 for each in found
    ]
    rows: list[tuple[Value, ...]] = [
        (name, each["n"], each["norm"], each["top"], each["residual"], each["steps"], bound, rise)
        for name, each, bound, rise in zip(subject.classes, found, bounds, rises, strict=True)
        if each is not None
    ]
    return Seen(
        sentences=tuple(_sentences(subject, found, bounds, rises)),
        tables=(_table(subject, rows, found),),
        measures=tuple(_measures(found)),
        accounts=tuple(_accounts(found)),
    )


def _rows(subject: Subject, position: int, most: int) -> np.ndarray:
    rows = subject.data.of(position)
    return np.sort(np.random.default_rng([subject.seed, position]).permutation(rows)[:most])


def _distance(subject: Subject, names: tuple[str, ...]) -> float:
    """The norm of the change of the weights that may be cut."""
    dense, pruned = (dict(each.module.named_parameters()) for each in (subject.dense, subject.pruned))
    for name in names:
        if name not in pruned or pruned[name].shape != dense[name].shape:
            raise CannotLook(
                f"{subject.pruned.card.name} has no weight {name} of {_shape(dense[name])}, as the dense network has",
                hint="give networks of one architecture",
            )
    moved = (float(((pruned[name] - dense[name]).detach().double() ** 2).sum()) for name in names)
    return float(sum(moved) ** 0.5)


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape))


def _rises(subject: Subject, most: int) -> list[float | None]:
    """By how much the mean loss of the samples of each class rose."""
    predictions = subject.predicted(subject.data)
    before, after = (loss(outputs) for outputs in predictions.models)
    if before is None or after is None:
        return [None] * len(subject.classes)
    rose: Floats = after - before
    chosen = [_rows(subject, position, most) for position in range(len(subject.classes))]
    return [float(rose[rows].mean()) if len(rows) else None for rows in chosen]


def _known(found: list[dict[str, Any] | None], name: str) -> tuple[float | None, ...]:
    return tuple(None if each is None else float(each[name]) for each in found)


_TITLES = {"norm": "gradient of its loss", "top": "top eigenvalue of its loss"}


def _measures(found: list[dict[str, Any] | None]) -> list[Measure]:
    absent = {at: f"fewer than {FEWEST} samples in --data" for at, each in enumerate(found) if each is None}
    names = {"norm": "gradient_norm", "top": "top_eigenvalue"}
    return [
        Measure(name=names[key], title=title, unit="ratio", by_stratum=_known(found, key), absent=absent)
        for key, title in _TITLES.items()
    ]


def _accounts(found: list[dict[str, Any] | None]) -> list[Account]:
    """The curvature alone: the lens of the loss offers the gradient."""
    values = _known(found, "top")
    return [Account(name="top_eigenvalue", title="How curved the dense loss is", values=values, larger="more")]


def _table(subject: Subject, rows: list[tuple[Value, ...]], found: list[dict[str, Any] | None]) -> Table:
    notes = ["no interval: one number of the network and these samples; another seed draws another start"]
    if left := [name for name, each in zip(subject.classes, found, strict=True) if each is None]:
        notes.append(f"undefined, fewer than {FEWEST} samples in --data: {rounded.listed(left)}")
    if open_ := [n for n, each in zip(subject.classes, found, strict=True) if each is not None and not each["settled"]]:
        notes.append(f"not settled after these steps, and the true value may be larger: {rounded.listed(open_)}")
    drawn = Drawn(
        kind="dots",
        title="Curvature of each class's loss",
        shows=_most(subject, found),
        reading="The largest eigenvalue of the Hessian of the class's loss, at the dense network. It says how much "
        "the loss can "
        "rise in the worst direction, not how much it rose.",
        x="top_eigenvalue",
        y="class",
    )
    return Table(
        name="classes", title="Class by class", fields=_FIELDS, rows=tuple(rows), notes=tuple(notes), drawn=(drawn,)
    )


def _most(subject: Subject, found: list[dict[str, Any] | None]) -> str:
    def largest(key: str) -> tuple[str, float, float]:
        known = [(each[key], name) for each, name in zip(found, subject.classes, strict=True) if each is not None]
        value, name = max(known)
        return name, value, min(known)[0]

    curved, top, least = largest("top")
    steep, norm, flat = largest("norm")
    return (
        f"The loss of {curved} is most curved (top eigenvalue {top:,.3g}, the least {least:,.3g}), that of {steep} "
        f"steepest (gradient {norm:,.3g}, the least {flat:,.3g})."
    )


def _sentences(
    subject: Subject,
    found: list[dict[str, Any] | None],
    bounds: list[float | None],
    rises: list[float | None],
) -> list[str]:
    said = [_most(subject, found)]
    times = [
        bound / rise
        for bound, rise in zip(bounds, rises, strict=True)
        if bound is not None and rise is not None and rise > 0
    ]
    if times:
        said.append(
            f"The bound that both make is {np.median(times):,.3g} times what the loss rose by (median of "
            f"{rounded.several(len(times), 'class', 'classes')} whose loss rose): it does not look at the direction "
            "of the "
            "change, and is no cause and no prediction."
        )
    else:
        said.append("The bound that both make does not look at the direction of the change: it is no cause.")
    return said
