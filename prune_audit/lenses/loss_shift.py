"""How much did the loss of each class rise, and did the dense network already show which classes it would be?

Measured on the audited samples: excess loss, the mean cross-entropy of a class in the pruned network less that in the
dense one, in nats, with a bootstrap interval. Predicted on the training samples, from the dense network and the
difference of both networks alone (Tran et al. 2022, arXiv 2205.13574, section 3):

    first order   g . delta
    second order  g . delta + delta' H delta / 2

and beside it what makes a class fragile: the norm of its gradient, closeness to the boundary (1 less the sum of squared
probabilities, 0 to 1 - 1/C), its median margin, and the share of its right samples whose margin is smaller than the
median change of margins. Of a network that was trained after the cut, the part of the cut weights stands apart. Where
the second order misses the mean excess loss by half, delta is too large for it, and neither order is offered as an
explanation. The paper's bound is no part of this: it is tens of thousands of times too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prune_audit.core import Counts, Drawn, Field, Floats, Measure, Table, Value
from prune_audit.lenses import Account, CannotLook, Seen, Subject, _shift, loss, of_class
from prune_audit.nets import masking
from prune_audit.render import rounded

RANK = 20
DEFAULT = True
NEEDS = "gradients"

RESAMPLES = 1_000
MISSED = 0.5  # of the measured mean, by which a second order may miss it
FEW = "fewer than two training samples"


def look(subject: Subject, options: None) -> Seen:
    """What was predicted of each class on the training samples, and what happened on the audited ones."""
    del options
    found = _shift.per_class(subject)
    risk = _at_risk(found)
    predictions = subject.predicted(subject.audit)
    before, after = (loss(outputs) for outputs in predictions.models)
    if before is None or after is None:
        raise CannotLook("the models give classes alone, and no scores to compute a loss from", hint="give scores")
    measured = [_measured(after - before, predictions.labels, i, subject.seed) for i in range(len(subject.classes))]
    losses = [
        tuple(_mean(side[of_class(predictions.labels, i)]) for side in (before, after))
        for i in range(len(subject.classes))
    ]
    tuned = _shift.tuned(subject)
    rows: list[tuple[Value, ...]] = []
    for i, name in enumerate(subject.classes):
        one, rose = found[i], measured[i]
        n = int(subject.view.pair.support[i])
        own = (None,) * 9 if one is None else (
            one["n"], one["first"], one["second"], one["first_cut"], one["second_cut"], one["gradient_norm"],
            one["closeness"], float(np.median(one["margins"])), risk[i],
        )  # fmt: skip
        rows.append((name, n, *losses[i], *rose, *own))
    mean = _mean(after - before)
    fits = _fits(found, predictions.labels, mean)
    table = _table(rows, tuned=tuned)
    layers = _layers(subject, found)
    sentences = [*_said(rows, mean, fits=fits), *_split(rows, tuned=tuned)]
    return Seen(
        sentences=tuple(sentences),
        tables=(table, *layers),
        measures=_measures(rows),
        accounts=_accounts(subject.classes, found, risk, fits=fits),
    )


def _measured(rise: Floats, labels: Counts, position: int, seed: int) -> tuple[Value, Value, Value]:
    """The mean rise (N,) of the samples of one class, with a percentile bootstrap interval of 95 % over samples."""
    own = rise[of_class(labels, position)]
    if not len(own):
        return None, None, None
    if len(own) < _shift.LEAST:
        return float(own.mean()), None, None
    generator = np.random.default_rng([seed, position])
    size = max(1, 10**6 // len(own))
    parts = [min(size, RESAMPLES - at) for at in range(0, RESAMPLES, size)]
    means = np.concatenate([own[generator.integers(0, len(own), (many, len(own)))].mean(axis=1) for many in parts])
    low, high = np.quantile(means, (0.025, 0.975))
    return float(own.mean()), float(low), float(high)


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _at_risk(found: Sequence[Any]) -> list[float | None]:
    """Of the right samples of each class, the share whose margin is below the median change of margins of all."""
    moved = np.abs([value for each in found if each is not None for value in each["moved"]])
    median = float(np.median(moved)) if len(moved) else 0.0
    shares: list[float | None] = []
    for each in found:
        margins = np.array([] if each is None else each["margins"])
        right = margins[margins > 0]
        shares.append(float((right < median).mean()) if len(right) else None)
    return shares


def _fits(found: Sequence[Any], labels: Counts, mean: float | None) -> bool:
    """Whether the second order comes within half of the measured mean, classes weighed as in the audit."""
    known = [i for i, each in enumerate(found) if each is not None]
    counts = np.bincount(labels, minlength=len(found))[known]
    if mean is None or not counts.sum():
        return False
    predicted = float(np.average([found[i]["second"] for i in known], weights=counts))
    return abs(predicted - mean) <= MISSED * abs(mean)


def _accounts(
    classes: Sequence[str], found: Sequence[Any], risk: Sequence[Value], *, fits: bool
) -> tuple[Account, ...]:
    def column(name: str) -> tuple[Value, ...]:
        return tuple(None if each is None else each[name] for each in found)

    margins = tuple(None if each is None else float(np.median(each["margins"])) for each in found)
    # Of what only describes a class, either end may have lost: tuning may favour those that had been unsure.
    orders = (
        Account(
            name="predicted_second",
            title="The second-order prediction of the loss",
            values=column("second"),
            larger="more",
            step=_step(classes, found, "second"),
        ),
        Account(
            name="predicted_first",
            title="The first-order prediction of the loss",
            values=column("first"),
            larger="more",
            step=_step(classes, found, "first"),
        ),
    )
    return (
        *(orders if fits else ()),
        Account(name="gradient_norm", title="The norm of the gradient", values=column("gradient_norm"), larger="more"),
        Account(
            name="closeness",
            title="Closeness to the decision boundary",
            values=column("closeness"),
            larger="either",
        ),
        Account(name="margin", title="The median margin", values=margins, larger="either"),
        Account(name="at_risk", title="The share of right samples at risk", values=tuple(risk), larger="more"),
        Account(name="dense_loss", title="The loss in the dense network", values=column("loss"), larger="either"),
    )


def _said(rows: Sequence[tuple[Value, ...]], mean: float | None, *, fits: bool) -> list[str]:
    known = [row for row in rows if row[4] is not None]
    if not known or mean is None:
        return ["No class has audited samples, so no loss can be compared."]
    worst = max(known, key=lambda row: float(row[4] or 0))
    interval = "" if worst[5] is None else f", 95 % interval {rounded.nats(worst[5])} to {rounded.nats(worst[6])}"
    rose, fell = f"rose by {rounded.nats(mean)}", f"fell by {rounded.nats(-mean)}"
    worst_is = f", most in {worst[0]}: " if mean >= 0 else f"; the worst change is that of {worst[0]}: "
    first = (
        f"The loss {rose if mean >= 0 else fell} nats a sample on average{worst_is}"
        f"{rounded.nats(worst[4])} ({rounded.nats(worst[2])} to {rounded.nats(worst[3])}{interval})."
    )
    if fits:
        return [first]
    return [
        first,
        "The second order misses that mean by more than half: the networks are too far apart for it, so neither order "
        "is offered as an explanation.",
    ]


def _split(rows: Sequence[tuple[Value, ...]], *, tuned: bool) -> list[str]:
    if not tuned:
        return []
    whole, cut = (np.nanmean([np.nan if row[at] is None else float(row[at] or 0) for row in rows]) for at in (9, 11))
    return [
        f"The network was trained after the cut: the cut alone is predicted to cost {rounded.nats(float(cut))} nats on "
        f"average over classes, everything that differs {rounded.nats(float(whole))}, by second order."
    ]


def _step(classes: Sequence[str], found: Sequence[Any], order: str) -> str:
    known = [i for i, each in enumerate(found) if each is not None]
    worst = sorted(known, key=lambda i: -found[i][order])[:3]
    names = rounded.listed([classes[i] for i in worst])
    return f"Tune {names} first, or draw all classes equally often (`--balanced`): they are predicted to lose most."


def _measures(rows: Sequence[tuple[Value, ...]]) -> tuple[Measure, ...]:
    def measure(name: str, title: str, at: int, why: str) -> Measure:
        values = tuple(row[at] for row in rows)
        absent = {i: why for i, value in enumerate(values) if value is None}
        return Measure(name=name, title=title, unit="nats", by_stratum=values, absent=absent)

    excess = measure("excess_loss", "excess loss", 4, "no samples of this class")
    limits = [[None if row[at] is None else float(row[at] or 0) for row in rows] for at in (5, 6)]
    return (
        Measure(
            name=excess.name,
            title=excess.title,
            unit="nats",
            by_stratum=excess.by_stratum,
            low=tuple(limits[0]),
            high=tuple(limits[1]),
            absent=excess.absent,
        ),
        measure("predicted_loss_first", "excess loss, predicted by first order", 8, FEW),
        measure("predicted_loss_second", "excess loss, predicted by second order", 9, FEW),
    )


def _table(rows: list[tuple[Value, ...]], *, tuned: bool) -> Table:
    fields: tuple[Field, ...] = (
        Field(name="class", title="class", unit="label"),
        Field(name="n", title="n", unit="count", meaning="samples audited"),
        Field(name="loss_dense", title="dense loss", unit="nats"),
        Field(name="loss_pruned", title="pruned loss", unit="nats"),
        Field(name="excess_loss", title="excess loss", unit="nats", meaning="measured on the audited samples"),
        Field(name="excess_low", title="from", unit="nats", meaning="95 % bootstrap interval of the excess loss"),
        Field(name="excess_high", title="to", unit="nats"),
        Field(name="n_data", title="n trained", unit="count", meaning="training samples that predict"),
        Field(name="predicted_first", title="first order", unit="nats", meaning="prediction of the excess loss"),
        Field(name="predicted_second", title="second order", unit="nats", meaning="prediction of the excess loss"),
        Field(name="first_cut", title="first order, cut alone", unit="nats"),
        Field(name="second_cut", title="second order, cut alone", unit="nats"),
        Field(name="gradient_norm", title="gradient norm", unit="ratio", meaning="of the class's loss, dense network"),
        Field(
            name="closeness", title="closeness", unit="ratio", meaning="to the boundary: 0 certain, 1 - 1/C undecided"
        ),
        Field(name="margin_median", title="median margin", unit="ratio", meaning="true logit less the next, dense"),
        Field(
            name="at_risk", title="at risk", unit="share", meaning="of right samples, margin below the median change"
        ),
    )
    # What was predicted beside what was measured, since narrow terminals show the first columns alone.
    first = ["class", "n", "excess_loss", "excess_low", "excess_high", "predicted_second", "predicted_first"]
    same = () if tuned else ("first_cut", "second_cut")
    at = {field.name: position for position, field in enumerate(fields)}
    order = [at[name] for name in (*first, *(name for name in at if name not in (*first, *same)))]
    rows = sorted(rows, key=lambda row: -float(row[4] or 0))
    drawn = (
        Drawn(
            kind="scatter",
            title="Predicted and measured excess loss",
            shows="Each class by the second-order prediction and by what was measured.",
            reading="Each point is a class: predicted on training samples across, measured on audited samples upwards; "
            "on the dashed line the prediction is right.",
            x="predicted_second",
            y="excess_loss",
            group="class",
        ),
        Drawn(
            kind="dots",
            title="Excess loss",
            shows="How much the loss of each class rose.",
            reading="Each row is a class: how much its mean loss rose, with its 95 % interval.",
            x="excess_loss",
            y="class",
            low="excess_low",
            high="excess_high",
        ),
    )
    few = [str(row[0]) for row in rows if row[7] is None]
    notes = (f"{rounded.listed(few)}: {FEW}, undefined",) if few else ()
    return Table(
        name="classes",
        title="Class by class, the largest excess loss first",
        fields=tuple(fields[position] for position in order),
        rows=tuple(tuple(row[position] for position in order) for row in rows),
        notes=notes,
        drawn=drawn,
    )


def _layers(subject: Subject, found: Sequence[Any]) -> tuple[Table, ...]:
    """The second-order prediction of the cut alone, split by layer: a grid of layers and classes."""
    names = [name.removesuffix(".weight") for name in masking.prunable(subject.pruned.module)]
    rows = tuple(
        (layer, subject.classes[i], each["layers"][at])
        for at, layer in enumerate(names)
        for i, each in enumerate(found)
        if each is not None and any(other is not None and other["layers"][at] for other in found)
    )
    if not rows:
        return ()
    drawn = Drawn(
        kind="grid",
        title="Where the cut is predicted to cost",
        shows="The second-order prediction of the cut, split by layer and class.",
        reading="Rows are layers, columns classes: the darker the orange, the more the cut of this layer is predicted "
        "to raise the loss of this class. It is a prediction, and no test.",
        x="class",
        y="layer",
        value="share",
        worse="above",
    )
    fields = (
        Field(name="layer", title="layer", unit="label"),
        Field(name="class", title="class", unit="label"),
        Field(name="share", title="predicted share", unit="nats", meaning="of the second-order prediction of the cut"),
    )
    return (
        Table(
            name="layers",
            title="The prediction of the cut by layer and class",
            fields=fields,
            rows=rows,
            notes=("no interval: it is a prediction",),
            drawn=(drawn,),
        ),
    )
