"""What is remembered of a judged release: enough to count, to spend error over releases, and to draw how it went."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import numpy as np

from prune_audit import stats
from prune_audit.core import Audit, Comparison, Floats, Outcome, Value, View, lookup
from prune_audit.document.codec import COUNT, NUMBER, TEXT, VALUE, many, maybe, one_of, record
from prune_audit.errors import UsageError

TIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # sorts as it reads
BEGIN = "2026-03-01T12:00:00.000000Z"  # how that looks

Cell = tuple[str, str, str]
"""A variant, a stratification and a stratum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """The verdicts of one view: by stratum (S,) the verdict, the change with its interval, and the evidence.

    ``log_e`` is the natural logarithm of the e-value against "at most the margin is lost"; it is () where samples
    belong together, on which nobody can bet one by one.
    """

    by: str
    strata: tuple[str, ...]
    verdicts: tuple[str | None, ...]
    change: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    log_e: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("verdicts", "change", "low", "high", "log_e"):
            found = len(getattr(self, name))
            if found != len(self.strata) and (found or name != "log_e"):
                raise UsageError(
                    f"{name} of the view by {self.by}: expected {len(self.strata)} values, found {found}",
                    hint="one for each stratum",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One pruned model of a release: what the gate said of it, the change of accuracy, and its verdicts by view."""

    name: str
    digest: str
    outcome: Outcome
    accuracy: Value
    change: float | None
    low: float | None
    high: float | None
    views: tuple[Strata, ...]

    def __post_init__(self) -> None:
        if [view.by for view in self.views].count("class") != 1:
            raise UsageError(f"{self.name}: expected one view by class", hint="every audit has it")

    @property
    def classes(self) -> Strata:
        """The view by class, which every audit has."""
        return next(view for view in self.views if view.by == "class")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One judged audit. ``time`` is when, in UTC; ``identity`` is of the data and the files of all models.

    ``log_e`` is the natural logarithm of the e-value against "no class of any variant lost more than the margin", None
    where there is none or it is 0. ``budget`` is that which it was judged under, None where none was asked for.
    """

    time: str
    identity: str
    data: str
    data_digest: str
    samples: int
    dense: str
    dense_digest: str
    variants: tuple[Variant, ...]
    margin: float
    assure: float
    confidence: float
    policy: str
    outcome: Outcome
    log_e: float | None
    budget: float | None
    version: str

    def __post_init__(self) -> None:
        try:
            datetime.strptime(self.time, TIME)
        except ValueError:
            raise UsageError(f"time: expected one such as {BEGIN}, found {self.time!r}", hint="in UTC") from None
        if not self.variants:
            raise UsageError("expected a variant at least", hint="every audit has one")
        if self.budget is not None and not 0 < self.budget < 1:
            raise UsageError(f"budget: expected a share between 0 and 1, found {self.budget:g}", hint="such as .1")

    @property
    def day(self) -> str:
        """When it was judged, as a date."""
        return self.time[:10]


_PARTS = many(maybe(NUMBER))
CODEC = record(
    Release,
    {
        "time": TEXT,
        "identity": TEXT,
        "data": TEXT,
        "data_digest": TEXT,
        "samples": COUNT,
        "dense": TEXT,
        "dense_digest": TEXT,
        "variants": many(
            record(
                Variant,
                {
                    "name": TEXT,
                    "digest": TEXT,
                    "outcome": one_of(Outcome),
                    "accuracy": VALUE,
                    "change": maybe(NUMBER),
                    "low": maybe(NUMBER),
                    "high": maybe(NUMBER),
                    "views": many(
                        record(
                            Strata,
                            {
                                "by": TEXT,
                                "strata": many(TEXT),
                                "verdicts": many(maybe(TEXT)),
                                "change": _PARTS,
                                "low": _PARTS,
                                "high": _PARTS,
                                "log_e": many(NUMBER),
                            },
                        )
                    ),
                },
            )
        ),
        "margin": NUMBER,
        "assure": NUMBER,
        "confidence": NUMBER,
        "policy": TEXT,
        "outcome": one_of(Outcome),
        "log_e": maybe(NUMBER),
        "budget": maybe(NUMBER),
        "version": TEXT,
    },
)


def of(audit: Audit, now: datetime, *, log_e: float | None, budget: float | None) -> Release:
    """What is remembered of ``audit``, which was judged ``now``."""
    p, dense = audit.provenance, audit.comparisons[0].dense
    assert audit.policy is not None
    return Release(
        time=now.strftime(TIME),
        identity=identity(audit),
        data=p.data,
        data_digest=p.data_digest,
        samples=p.samples,
        dense=dense.name,
        dense_digest=dense.digest,
        variants=tuple(
            _variant(each, outcome, p.settings.margin)
            for each, outcome in zip(audit.comparisons, audit.outcomes, strict=True)
        ),
        margin=p.settings.margin,
        assure=p.settings.assure,
        confidence=p.settings.confidence,
        policy=audit.policy.name,
        outcome=audit.outcome,
        log_e=log_e,
        budget=budget,
        version=version("prune-audit"),
    )


def identity(audit: Audit) -> str:
    """What makes two audits one release: the same data, and the same files of models, whatever these are called."""
    cards = [audit.comparisons[0].dense, *(comparison.pruned for comparison in audit.comparisons)]
    # One file of predictions may hold those of many models, as columns that are told by name.
    dense, *pruned = [f"{card.digest}@{card.factory or ''}@{card.name if card.recorded else ''}" for card in cards]
    return hashlib.sha256("\n".join([audit.provenance.data_digest, dense, *sorted(pruned)]).encode()).hexdigest()


def _variant(comparison: Comparison, outcome: Outcome, margin: float) -> Variant:
    view = comparison.view()
    change = lookup.find(view, "change")
    return Variant(
        name=comparison.pruned.name,
        digest=comparison.pruned.digest,
        outcome=outcome,
        accuracy=lookup.overall(view, "pruned_recall"),
        change=_number(change.overall) if change else None,
        low=change.overall_low if change else None,
        high=change.overall_high if change else None,
        views=tuple(_strata(each, margin) for each in comparison.views),
    )


def _strata(view: View, margin: float) -> Strata:
    change, none = lookup.find(view, "change"), (None,) * len(view.strata)
    logs = _log_e(view, margin)
    return Strata(
        by=view.by,
        strata=view.strata,
        verdicts=tuple(None if said is None else str(said) for said in lookup.column(view, "verdict")),
        change=tuple(map(_number, change.by_stratum)) if change and change.by_stratum else none,
        low=change.low if change and change.low else none,
        high=change.high if change and change.high else none,
        log_e=() if logs is None else tuple(logs.tolist()),
    )


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _log_e(view: View, margin: float) -> Floats | None:
    pair = view.pair
    if pair.clusters is not None:
        return None
    return stats.log_e(pair.lost, pair.gained, pair.support, margin)


def evidence(audit: Audit, excused: Collection[Cell]) -> list[float] | None:
    """For each variant the logarithm of the mean e-value of its classes and groups that have samples.

    Those that are ``excused`` count as 0, which is an e-value whatever they lost. None where samples belong together.
    """
    found = []
    for comparison in audit.comparisons:
        logs: list[float] = []
        for view in comparison.views:
            own = _log_e(view, audit.provenance.settings.margin)
            if own is None:
                return None
            name = comparison.pruned.name
            logs += [
                -np.inf if (name, view.by, stratum) in excused else log
                for stratum, log, n in zip(view.strata, own.tolist(), view.pair.support.tolist(), strict=True)
                if n > 0
            ]
        found.append(stats.log_mean_e(np.array(logs)))
    return found


def excused(audit: Audit, rules: Collection[str]) -> set[Cell]:
    """The classes and groups of which a failure by one of ``rules`` is waived."""
    waived = {
        (comparison.pruned.name, check.subject)
        for comparison in audit.comparisons
        for check in comparison.checks
        if check.rule in rules and check.outcome == "waived"
    }
    return {
        (comparison.pruned.name, view.by, stratum)
        for comparison in audit.comparisons
        for view in comparison.views
        for stratum in view.strata
        if (comparison.pruned.name, lookup.subject(view, stratum)) in waived
    }
