"""A pruned network to one that serves its weakest classes or groups better: a mitigation is a file here.

A plugin that trains defines ``objective(known, asked)``, which gives an `Objective`: what the training minimises in
place of the mean cross-entropy. One that trains nothing defines ``mend(subject, asked)`` in its place, which changes
the network of its `Subject` and says what it did, or that nothing helps (`Mended`). Neither sees the data that are
audited, chooses an epoch or writes a file: that is of the story (`prune_audit.mitigate`), which keeps cut weights at
zero and puts the controls beside.

``STEP`` is the usual step of the multipliers of a plugin that has some, ``TOLERANCE`` the usual number of points of one
that tolerates so many; one without them takes no such option. It may bring further ones: ``OPTIONS``, a group
(`prune_audit.options`), which arrives in ``asked.options``. One whose result is a control of the story itself names
it: ``CONTROL``.

What is proposed to whoever asked nothing but why classes suffer (`proposed`) says so: by ``MENDS``, the lens whose
finding it acts upon, or by ``RANK``, its place among those that need no such finding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from prune_audit import plugins
from prune_audit.core import Counts, Floats
from prune_audit.errors import UsageError
from prune_audit.nets import train_loop
from prune_audit.nets.editable import Editable
from prune_audit.nets.examples import Examples

if TYPE_CHECKING:
    import torch

CONTRACT = ("objective or mend",)
"""What a plugin must have."""
EPOCHS = 6
"""How many a training is proposed with: those of the trials in docs/mitigate.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a mitigation may be told: the ``step`` of multipliers, how large a share of samples to ``tolerate``, its own
    ``options`` (None where it has none), and a ``seed`` of what is random."""

    step: float = 0.0
    tolerance: float = 0.0
    options: Any = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What an objective may know of the samples, all M of the data set: the ``groups`` (M,) as positions in ``names``,
    the ``rows`` (N,) that are trained on, on which of them (M,) the dense model is ``right``, and the share (M,) that
    it gives to the ``true`` class."""

    groups: torch.Tensor
    names: tuple[str, ...]
    rows: torch.Tensor
    right: torch.Tensor
    true: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """The multiplier of a group after an epoch, and by how much its constraint was violated: in the units of the
    constraint, None where that is not known yet."""

    epoch: int
    group: str
    violation: float | None
    multiplier: float


class Objective(train_loop.Objective, Protocol):
    """An objective of a training, with the ``multipliers`` of the epochs so far."""

    @property
    def multipliers(self) -> Sequence[Multiplier]:
        """Those of every group after every epoch; none where the objective is fixed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A network that is to be mended without training, and what it may be mended by.

    ``opened`` is changed in place. ``training`` are all samples of the data, None where it cannot run in torch, and
    ``held_out`` (H,) are those rows that tuning with the same share to hold out and seed does not see. ``labels`` (M,)
    as positions in ``classes``, ``groups`` (M,) as positions in ``names``, and whether the dense model is ``right``
    (M,) are of all samples. ``scores`` takes rows (K,) and gives the scores (K, C) of the network as it then is, as
    logits or log-probabilities, (K, 1) of a binary one. ``shift`` adds offsets (C,) to them, (1,) of a binary one.
    """

    opened: Editable
    training: Examples | None
    held_out: Counts
    classes: tuple[str, ...]
    labels: Counts
    groups: Counts
    names: tuple[str, ...]
    right: npt.NDArray[np.bool_]
    scores: Callable[[Counts], Floats]
    shift: Callable[[Floats], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What came of it, in sentences; where nothing was ``changed``, the network is as it was."""

    said: tuple[str, ...]
    changed: bool


def asked(method: str, step: float | None, tolerance: float | None, options: Any, seed: int) -> Asked:
    """What the plugin ``method`` is told; ``tolerance`` is in points, and None means what is usual with it.

    Raises:
        UsageError: it takes no such option, or a value makes no sense.
    """
    module = plugins.load("mitigations", method)
    given = {"--step": (step, "STEP"), "--tol": (tolerance, "TOLERANCE")}
    for option, (value, usual) in given.items():
        if value is not None and not hasattr(module, usual):
            able = [name for name, each in plugins.loaded("mitigations") if hasattr(each, usual)]
            raise UsageError(f"{method} takes no {option}", hint=f"leave it out, or choose {' or '.join(able)}")
        if value is not None and not (0 <= value < math.inf and (value or option == "--tol")):
            raise UsageError(f"{option}: expected a number above 0, found {value:g}", hint="see --help")
    return Asked(
        step=getattr(module, "STEP", 0.0) if step is None else step,
        tolerance=(getattr(module, "TOLERANCE", 0.0) if tolerance is None else tolerance) / 100,
        options=options,
        seed=seed,
    )


def trains(module: ModuleType) -> bool:
    """Whether a plugin of this room trains."""
    return hasattr(module, "objective")


def proposed(found: Collection[str], *, runs: bool) -> tuple[str, ...]:
    """The options of `prune-audit mitigate` that name what to try first, with epochs where that trains.

    ``found`` are the lenses that found a cause; ``runs`` says whether the network runs in torch, as a training asks.
    """
    able = [(name, module) for name, module in plugins.loaded("mitigations") if runs or not trains(module)]
    acting = [name for name, module in able if getattr(module, "MENDS", None) in found]
    ranked = sorted((module.RANK, name) for name, module in able if hasattr(module, "RANK"))
    name = acting[0] if acting else ranked[0][1]
    epochs = ("--epochs", str(EPOCHS)) if trains(plugins.load("mitigations", name)) else ()
    return ("--method", name, *epochs)


def excess(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_], groups: Counts, count: int) -> Floats:
    """By how much the accuracy of each of ``count`` groups fell beyond that of all samples, (G,); NaN without samples.

    ``before`` and ``after`` (N,) say on which samples the two models are right, ``groups`` (N,) where they belong.
    Weighted by the samples of the groups it sums to 0 (Hashemizadeh et al., ICLR 2024, arXiv 2310.20673: the excess
    accuracy gap psi).
    """
    drop = before.astype(np.float64) - after
    n = np.bincount(groups, minlength=count)
    with np.errstate(invalid="ignore"):
        found: Floats = np.bincount(groups, drop, count) / n - drop.mean()
    return found
