"""What an audit finds: measures, checks, and the comparison that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prune_audit.core.pair import Pair
from prune_audit.core.protocols import ModelCard
from prune_audit.core.requests import Assumption, Preprocess, Settings
from prune_audit.core.types import Level, Outcome, Unit, Value


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


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One stratification of a comparison: the counts, and every measure of them, in the order of the columns."""

    pair: Pair
    measures: tuple[Measure, ...]

    @property
    def by(self) -> str:
        return self.pair.by

    @property
    def strata(self) -> tuple[str, ...]:
        return self.pair.strata

    def measure(self, name: str) -> Measure:
        """The measure called ``name``. Raises `KeyError` where there is none."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A sample on which exactly one of the two models is right.

    ``thumbnail`` is a small PNG or JPEG of what the models saw, in base 64, None where none was asked for.
    """

    id: str
    label: str
    dense: str
    pruned: str
    thumbnail: str | None = None


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

    ``doubts`` are what speaks against the dense model having been run as it was trained.
    """

    dense: ModelCard
    pruned: ModelCard
    views: tuple[View, ...]
    flips: tuple[Flip, ...] = ()
    flipped: int = 0
    checks: tuple[Check, ...] = ()
    doubts: tuple[str, ...] = ()

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
    data and of each model. ``run`` holds what may differ between two equal runs:
    timings, threads, batch size.
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
    run: Mapping[str, Value] = field(default_factory=dict)
