"""What an audit finds: measures, checks, and the comparison that holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prune_audit.core.looks import Look
from prune_audit.core.pair import Pair
from prune_audit.core.protocols import ModelCard
from prune_audit.core.requests import Assumption, Preprocess, Settings
from prune_audit.core.types import Level, Outcome, Unit, Value
from prune_audit.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A statistic: one number for the model, one per stratum, or both, with intervals where it has them.

    ``by_stratum`` (S,) holds None where there is no value, and ``absent`` then says why, stratum position -> reason.
    ``low`` and ``high`` are () where the statistic has no interval. ``by_stratum`` is () for a statistic of the model
    alone; ``overall`` is None for one of the strata alone, with a reason in ``overall_absent`` where a value was due.
    """

    name: str
    title: str
    unit: Unit
    by_stratum: tuple[Value, ...] = ()
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    absent: Mapping[int, str] = field(default_factory=dict)
    overall: Value = None
    overall_low: float | None = None
    overall_high: float | None = None
    overall_absent: str | None = None


class NoMeasure(KeyError):
    """A view lacks the measure that was asked for, as one of an earlier version's audit may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One stratification of a comparison: the counts, and every measure of them, in the order of the columns.

    ``apart`` are the names of those of the ``measures`` that do not come from the counts, so that nobody can measure
    them again from these: they were found otherwise, and stay as they are.
    """

    pair: Pair
    measures: tuple[Measure, ...]
    apart: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [measure.name for measure in self.measures]
        for name in self.apart:
            if names.count(name) != 1:
                raise UsageError(
                    f"expected one measure called {name}, which does not come from the counts, found "
                    f"{names.count(name)} in the view by {self.by}",
                    hint="call it otherwise: no statistic may have its name (`prune-audit list stats --long`)",
                )

    @property
    def by(self) -> str:
        return self.pair.by

    @property
    def strata(self) -> tuple[str, ...]:
        return self.pair.strata

    def again(self, pair: Pair, counted: tuple[Measure, ...]) -> View:
        """This view with what was ``counted`` again of ``pair``, and with its measures apart as they were.

        Raises:
            UsageError: one of these has the name of what was counted.
        """
        return View(pair=pair, measures=(*counted, *map(self.measure, self.apart)), apart=self.apart)

    def beside(self, *measures: Measure) -> View:
        """This view with further ``measures``, which do not come from its counts.

        Raises:
            UsageError: one has another number of values than there are strata, one that is no number, or a name that
                is taken.
        """
        for measure in measures:
            for values in (measure.by_stratum, measure.low, measure.high):
                if values and len(values) != len(self.strata):
                    raise UsageError(
                        f"{measure.name} has {len(values)} values for the {len(self.strata)} strata by {self.by}",
                        hint="give one for each of `View.strata`, in their order, and None where there is none",
                    )
                if any(isinstance(value, float) and not math.isfinite(value) for value in values):
                    raise UsageError(
                        f"{measure.name} has a value that is no number",
                        hint="what is absent is None, with a reason in `Measure.absent`",
                    )
        names = tuple(measure.name for measure in measures)
        return View(pair=self.pair, measures=(*self.measures, *measures), apart=(*self.apart, *names))

    def measure(self, name: str) -> Measure:
        """The measure called ``name``. Raises `NoMeasure` where there is none."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise NoMeasure(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A sample on which exactly one of the two models is right.

    ``thumbnail`` is a small PNG or JPEG of what the models saw, in base 64, None where none was asked for. Of a thing
    whose answers are no classes, ``asked`` is what was asked, in words, and ``right`` which of the two models is right;
    None where the label says it.
    """

    id: str
    label: str
    dense: str
    pruned: str
    thumbnail: str | None = None
    asked: str | None = None
    right: Literal["dense", "pruned"] | None = None

    @property
    def went(self) -> Literal["lost", "gained"]:
        """What pruning did to the sample."""
        lost = self.dense == self.label if self.right is None else self.right == "dense"
        return "lost" if lost else "gained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a rule looked at, not only what it caught: nothing checked can never look like all well."""

    rule: str
    subject: str
    outcome: Outcome
    level: Level
    observed: Value
    limit: Value
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One pruned variant against the dense model. ``flips`` is capped; ``flipped`` is how many there were.

    ``doubts`` are what speaks against the dense model having been run as it was trained. ``looks`` are what lenses saw,
    in the order of their rank, and ``explained`` says in sentences what of it explains who lost, and what to try.
    ``remedy`` are the options with which `prune-audit mitigate` suits what was seen, empty where it cannot change them.
    """

    dense: ModelCard
    pruned: ModelCard
    views: tuple[View, ...]
    flips: tuple[Flip, ...] = ()
    flipped: int = 0
    checks: tuple[Check, ...] = ()
    doubts: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()
    explained: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()

    @property
    def kept(self) -> float | None:
        """Nonzero weights of the pruned model as a share of the dense model's weights, None where none can be seen.

        Weights that were cut out with their channels count as zeros; a model's own density leaves them out. None, too,
        where the dense model has more counted weights and the pruned one something that could not be counted: the
        weights that are missing may be there.
        """
        total = sum(layer.total for layer in self.dense.layers or self.pruned.layers)
        hidden = set(self.pruned.uncounted) - set(self.dense.uncounted)
        if hidden and sum(layer.total for layer in self.pruned.layers) < total:
            return None
        return self.pruned.nonzero / total if total and self.pruned.layers else None

    def view(self, by: str = "class") -> View:
        """The view stratified ``by``. Raises `KeyError` where there is none."""
        for view in self.views:
            if view.by == by:
                return view
        raise KeyError(by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the numbers come from: enough to repeat the audit and to see what it may not be compared with.

    ``samples`` were audited of ``available``; ``limited`` says that a sample was drawn, which never gates.
    ``skipped`` are (id, reason) of unreadable samples. ``data_digest`` covers every sample's id, label and content.
    ``preprocess`` is None where inputs were fed as they are. ``assumptions`` are what the run took for granted of the
    data and of each model. ``trained_on`` are the data that the networks were said to be trained on, None where a run
    asks for none. ``run`` holds what may differ between two equal runs: timings, threads, batch size.
    """

    data: str
    data_digest: str
    samples: int
    available: int
    limited: bool = False
    skipped: tuple[tuple[str, str], ...] = ()
    preprocess: Preprocess | None = None
    settings: Settings = field(default_factory=Settings)
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    trained_on: str | None = None
    run: Mapping[str, Value] = field(default_factory=dict)
