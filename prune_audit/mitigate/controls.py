"""A mended network beside its controls, as tables that every report of its audit shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prune_audit.core import Audit, Counts, Drawn, Field, Look, Samples, Table, Unit, Value, rows
from prune_audit.mitigations import Multiplier
from prune_audit.render import rounded

DRAWS = 2000  # of the bootstrap
LEVEL = 0.95  # of its intervals
FOREMOST = 3  # groups that a sentence names
RISING = 0.1  # by which multipliers have grown in the last epoch where they still rise
NAME = "mitigate"
"""What the section of the reports is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How a network was made: what was ``said`` of it, its largest excess drop on the samples that it was ``trained``
    on, as a share, None where it cannot run there, and which ``epoch`` was chosen of how many, in words."""

    changed: bool = True
    said: tuple[str, ...] = ()
    trained: float | None = None
    epoch: str | None = None
    multipliers: tuple[Multiplier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a network differs from another one on the same samples, as shares: in ``accuracy`` and in the worst recall
    (``worst``), each with the interval (low, high) of a bootstrap."""

    accuracy: float
    accuracy_interval: tuple[float, float]
    worst: float
    worst_interval: tuple[float, float]


def look(whole: Audit, by: str, made: Sequence[Made], notes: Sequence[str], seed: int) -> Look:
    """The variants of the audit ``whole``, which are ``made`` in that order, the mended one first."""
    assert whole.samples is not None  # a run of ours keeps them
    named = [each.pruned.name for each in whole.comparisons]
    found = {row["variant"]: row for row in rows.overall_of(whole.comparisons, whole.outcomes) if row["by"] == by}
    apart = {name: difference(whole.samples, by, named[0], name, seed) for name in named[1:]}
    tables = [*_networks([found[name] for name in named], made, by), _differences(apart, named[0])]
    if made[0].multipliers:
        tables += [_last(made[0].multipliers, by), _multipliers(made[0].multipliers, by)]
    return Look(
        lens=NAME,
        title="The mended network beside its controls, on data that none of them saw",
        sentences=(*_upshot(named[0], apart), *made[0].said, *notes, *_weighed(made[0].multipliers, by)),
        tables=tuple(tables),
    )


def difference(samples: Samples, by: str, name: str, other: str, seed: int) -> Difference:
    """How the model called ``name`` differs from the ``other`` one on the same ``samples``.

    Samples are drawn within the strata ``by``, with both models' answers, so the bootstrap is paired; its intervals are
    those of percentiles.
    """
    mine, theirs, stratum = samples.right[name], samples.right[other], samples.strata[by]
    members = [np.flatnonzero(stratum == each) for each in np.unique(stratum)]
    sizes = np.array([len(each) for each in members])

    def differences(at: Sequence[Counts]) -> tuple[float, float]:
        own, control = (np.array([hits[rows].mean() for rows in at]) for hits in (mine, theirs))
        return float((own - control) @ sizes / sizes.sum()), float(own.min() - control.min())

    rng = np.random.default_rng(seed)
    drawn = np.array([differences([rng.choice(each, len(each)) for each in members]) for _ in range(DRAWS)])
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    accuracy, worst = differences(members)
    return Difference(
        accuracy=accuracy,
        accuracy_interval=(float(low[0]), float(high[0])),
        worst=worst,
        worst_interval=(float(low[1]), float(high[1])),
    )


def _upshot(name: str, apart: Mapping[str, Difference]) -> tuple[str, ...]:
    """For the accuracy and the worst recall, than which of the others the mended network is shown to be better."""
    said = []
    for what, ends in (
        ("accuracy", {other: each.accuracy_interval for other, each in apart.items()}),
        ("worst recall", {other: each.worst_interval for other, each in apart.items()}),
    ):
        better = [other for other, (low, _) in ends.items() if low > 0]
        worse = [other for other, (_, high) in ends.items() if high < 0]
        rest = [other for other in ends if other not in better and other not in worse]
        words = (("higher than", better), ("lower than", worse), ("not shown to differ from", rest))
        parts = [f"{word} {rounded.listed(some)}" for word, some in words if some]
        said.append(f"the {what} of {name} is {'; '.join(parts)}")
    return tuple(said)


def _networks(found: Sequence[Mapping[str, Value]], made: Sequence[Made], by: str) -> tuple[Table, Table]:
    many = "classes" if by == "class" else "groups"
    how_well = (
        Field(name="network", title="network", unit="label"),
        *_with_interval("accuracy", "accuracy", "share"),
        *_with_interval("worst_recall", "worst recall", "share"),
        Field(name="worst_class", title="worst", unit="label"),
    )
    how_unequal = (
        Field(name="network", title="network", unit="label"),
        *_with_interval(
            "largest_excess_drop",
            "excess",
            "points",
            f"the largest excess drop of all {many}: how much more recall one lost than the model lost accuracy",
        ),
        Field(
            name="trained", title="trained", unit="points", meaning="that on the samples of --data that are trained on"
        ),
        Field(name="harmed", title="harmed", unit="count", meaning=f"{many} that are shown to be"),
        Field(name="regressed", title="regressed", unit="count", meaning=f"{many} that are shown to have"),
        Field(name="cannot_tell", title="open", unit="count", meaning=f"{many} that are undecided"),
        Field(
            name="churn", title="churn", unit="share", meaning="samples on which one of the two models alone is right"
        ),
        Field(name="epoch", title="epoch", unit="label", meaning="the one that held out samples chose"),
    )
    rows = [
        {**row, "network": row["variant"], "trained": how.trained, "epoch": how.epoch}
        for row, how in zip(found, made, strict=True)
    ]
    first, told = found[0], f"from, to: {100 * LEVEL:.0f} % intervals"
    return (
        Table(
            name="networks",
            title=f"How right each is; of the dense model {rounded.percent_sign(first['dense_accuracy'])} are",
            fields=how_well,
            rows=tuple(tuple(row.get(field.name) for field in how_well) for row in rows),
            notes=(told,),
        ),
        Table(
            name="harm",
            title="What each lost against the dense model",
            fields=how_unequal,
            rows=tuple(tuple(row.get(field.name) for field in how_unequal) for row in rows),
            notes=(f"{told}, over all {many} at once",),
        ),
    )


def _differences(apart: Mapping[str, Difference], name: str) -> Table:
    return Table(
        name="differences",
        title=f"What {name} has more than each of them, on the same samples",
        fields=(
            Field(name="than", title="than", unit="label"),
            *_with_interval("accuracy", "accuracy", "points"),
            *_with_interval("worst_recall", "worst recall", "points"),
        ),
        rows=tuple(
            (other, each.accuracy, *each.accuracy_interval, each.worst, *each.worst_interval)
            for other, each in apart.items()
        ),
        notes=(f"from, to: {100 * LEVEL:.0f} % intervals of a paired bootstrap of {DRAWS:,} draws",),
    )


def _last(multipliers: Sequence[Multiplier], by: str) -> Table:
    """The multipliers of the last epoch, the largest first."""
    last = multipliers[-1].epoch
    found = sorted((each for each in multipliers if each.epoch == last), key=lambda each: -each.multiplier)
    return Table(
        name="last-multipliers",
        title=f"How much each {_one(by)} counted for beyond its samples, at the end of epoch {last}",
        fields=_of_multipliers(by),
        rows=tuple((each.group, each.violation, each.multiplier) for each in found),
    )


def _multipliers(multipliers: Sequence[Multiplier], by: str) -> Table:
    one = _one(by)
    return Table(
        name="multipliers",
        title=f"The multiplier of each {one} after each epoch",
        fields=(Field(name="epoch", title="epoch", unit="label"), *_of_multipliers(by)),
        detail=True,
        rows=tuple((str(each.epoch), each.group, each.violation, each.multiplier) for each in multipliers),
        drawn=(
            Drawn(
                kind="lines",
                title=f"Multipliers by {one}",
                shows=f"how much each {one} counted for beyond its samples, epoch by epoch",
                reading="a line that still rises at the end belongs to a constraint that is not met yet",
                x="epoch",
                y="multiplier",
                group="group",
            ),
        ),
    )


def _with_interval(name: str, title: str, unit: Unit, meaning: str = "") -> tuple[Field, ...]:
    return (
        Field(name=name, title=title, unit=unit, meaning=meaning),
        Field(name=f"{name}_low", title="from", unit=unit),
        Field(name=f"{name}_high", title="to", unit=unit),
    )


def _one(by: str) -> str:
    return "class" if by == "class" else "group"


def _of_multipliers(by: str) -> tuple[Field, ...]:
    return (
        Field(name="group", title=_one(by), unit="label"),
        Field(
            name="violation", title="violation", unit="ratio", meaning="of its constraint, in the constraint's units"
        ),
        Field(name="multiplier", title="multiplier", unit="ratio"),
    )


def _weighed(multipliers: Sequence[Multiplier], by: str) -> tuple[str, ...]:
    """Which groups counted for most at the end, and whether the multipliers still rise there."""
    if not multipliers:
        return ()
    last = multipliers[-1].epoch
    found = sorted((each for each in multipliers if each.epoch == last), key=lambda each: -each.multiplier)
    most = [f"{each.group} ({each.multiplier:.2f})" for each in found[:FOREMOST] if each.multiplier > 0]
    many = "classes" if by == "class" else "groups"
    told = f"the {many} that counted for most beyond their samples at the end: {rounded.listed(most)}"
    if not most:
        told = f"no {_one(by)} counted for more than its samples at the end: all multipliers are 0"
    return (told, *_rising(multipliers))


def _rising(multipliers: Sequence[Multiplier]) -> tuple[str, ...]:
    """Whether the multipliers still rise at the end."""
    last = max((each.epoch for each in multipliers), default=0)
    sums = [sum(each.multiplier for each in multipliers if each.epoch == epoch) for epoch in (last - 1, last)]
    if last < 2 or sums[1] <= (1 + RISING) * sums[0]:
        return ()
    return ("multipliers still rise: they grew by more than a tenth in the last epoch, so more --epochs may do more",)
