"""Is it batch normalisation: what does re-estimating its statistics give back, with every weight as it is?

A cut moves what comes into every later layer, and batch normalisation goes on with the statistics of the network before
the cut. So the first network to hold a pruned one against is the same with new statistics, estimated on samples that it
was trained on (`prune_audit.nets.recalibrate`), at no cost in density, and judged on the audited samples. For each
class: samples given back and newly lost, and the change of recall with its interval, both paired. Where that is most of
the harm, other lenses are asked what explains the rest: what each class's loss rose by with new statistics.

On a network that was trained after the cut the statistics are those of the training, and new ones change little, or
cost a little.
"""

from __future__ import annotations

from prune_audit.core import Drawn, Field, Floats, Measure, Outputs, Table, Value, lookup
from prune_audit.lenses import CannotLook, Left, Seen, Subject, _changed, loss
from prune_audit.nets.recalibrate import normalising
from prune_audit.render import rounded

RANK = 10
DEFAULT = True
NEEDS = "gradients"

MOST = 0.5  # share of the lost accuracy from which it is called most of the harm
NAMED = 2  # classes that a sentence names


def look(subject: Subject, options: None) -> Seen:
    """The pruned network with new statistics beside itself and the dense one."""
    del options
    if not normalising(subject.pruned.module):
        raise CannotLook(
            f"{subject.pruned.card.name} has no batch normalisation with statistics of its own", hint="choose others"
        )
    before = subject.predicted(subject.audit).models[0]
    dense, pruned = (outputs.predicted for outputs in subject.predicted(subject.audit).models)
    judged = _changed.judged(subject, "recalibrated", {})
    again = judged.predicted
    step, harm = _changed.step(subject, pruned, again), _changed.step(subject, dense, pruned)
    recalls = [_changed.right(subject, predicted) for predicted in (dense, pruned, again)]
    table = _table(subject, step, recalls)
    sentence, is_it = _said(subject, step, harm, recalls)
    left = _left(subject, before, judged.loss) if is_it and _most(step, harm) else None
    steps = (
        "Try new statistics first, they cost no density and no labels: `prune-audit prune ... --recalibrate`, or tune "
        "the network after the cut, which renews them.",
    )
    change = step.change
    measures = (
        Measure(
            name="recalibrated_change",
            title="change by new statistics",
            unit="points",
            by_stratum=change.by_stratum,
            low=change.low,
            high=change.high,
            absent=change.absent,
            overall=change.overall,
            overall_low=change.overall_low,
            overall_high=change.overall_high,
        ),
    )
    return Seen(
        sentences=(sentence,),
        tables=(table,),
        measures=measures,
        finds=(sentence,) if is_it else (),
        excludes=() if is_it else (sentence,),
        steps=steps if is_it else (),
        left=left,
    )


def _most(step: _changed.Step, harm: _changed.Step) -> bool:
    """Whether new statistics give back most of what was lost."""
    gain, total = step.change.overall, harm.change.overall
    return isinstance(gain, float | int) and isinstance(total, float | int) and total < 0 and gain >= -MOST * total


def _left(subject: Subject, before: Outputs, after: Floats | None) -> Left | None:
    """What the loss of each class rose by from the dense network to the pruned one with new statistics."""
    dense = loss(before)
    if dense is None or after is None:
        return None
    rose, labels = after - dense, subject.predicted(subject.audit).labels
    classes = range(len(subject.classes))
    means = [float(rose[labels == at].mean()) if (labels == at).any() else None for at in classes]
    return Left(values=tuple(means), title="the excess loss that new statistics leave them")


def _said(subject: Subject, step: _changed.Step, harm: _changed.Step, recalls: list[list[float]]) -> tuple[str, bool]:
    """What it gave back in a sentence, and whether it is shown to give anything back."""
    total, gain = harm.change.overall, step.change.overall
    assert isinstance(total, float | int)  # there are samples
    assert isinstance(gain, float | int)
    interval = rounded.between(step.change.overall_low, step.change.overall_high)
    sure = f"{rounded.points(gain)} points, {rounded.limit(subject.settings.confidence)} % interval {interval}"
    what = "New statistics of batch normalisation alone, with every weight as it is,"
    if not step.shown:
        worse = step.change.overall_high is not None and step.change.overall_high < 0
        gains, losses = _moved(subject, step)
        moved = f" Single classes do move, beyond luck: {rounded.listed([*gains, *losses])}." if gains or losses else ""
        return f"{what} {'make it worse' if worse else 'are not shown to give anything back'} ({sure}).{moved}", False
    share = f", {100 * gain / -total:.0f} % of what was lost" if total < 0 else ""
    most = _most(step, harm)
    rose = sorted(range(len(subject.classes)), key=lambda i: _rise(recalls, i), reverse=True)[:NAMED]
    told = [
        f"{subject.classes[i]} from {rounded.percent(recalls[1][i], 0)} to {rounded.percent_sign(recalls[2][i], 0)}"
        for i in rose
        if _rise(recalls, i) > 0
    ]
    losses = _moved(subject, step)[1]
    cost = f" New statistics cost others, beyond luck: {rounded.listed(losses)}." if losses else ""
    return (
        f"{what} give back {sure}{share}: {' and '.join(told)}. "
        + ("Most of the harm is the statistics, and not the weights that were cut." if most else "The rest is not.")
        + cost,
        True,
    )


def _moved(subject: Subject, step: _changed.Step) -> tuple[list[str], list[str]]:
    """The classes that gain and that lose beyond luck, each with its change; corrected for all classes."""
    q, moves = lookup.column(step.view, "q_value"), lookup.moves(step.view)
    moved = sorted(
        (float(moves[i] or 0), i)
        for i, each in enumerate(q)
        if each is not None and float(each) < 1 - subject.settings.confidence
    )

    def told(found: list[int]) -> list[str]:
        return [f"{subject.classes[i]} ({rounded.points(moves[i])})" for i in found]

    return told([i for by, i in reversed(moved) if by > 0]), told([i for by, i in moved if by < 0])


def _rise(recalls: list[list[float]], i: int) -> float:
    rise = recalls[2][i] - recalls[1][i]
    return rise if rise == rise else float("-inf")  # NaN: no samples


def _table(subject: Subject, step: _changed.Step, recalls: list[list[float]]) -> Table:
    def cell(values: list[float], i: int) -> Value:
        return values[i] if values[i] == values[i] else None

    change = step.change
    rows: list[tuple[Value, ...]] = [
        (
            name,
            int(step.pair.support[i]),
            change.by_stratum[i],
            change.low[i] if change.low else None,
            change.high[i] if change.high else None,
            *(cell(values, i) for values in recalls),
            int(step.pair.gained[i]),
            int(step.pair.lost[i]),
        )
        for i, name in enumerate(subject.classes)
    ]
    rows.sort(key=lambda row: -float(row[2] or 0))
    sure = f"{rounded.limit(subject.settings.confidence)} % interval"
    fields = (
        Field(name="class", title="class", unit="label"),
        Field(name="n", title="n", unit="count", meaning="samples audited"),
        Field(name="change", title="change of recall", unit="points", meaning="by new statistics"),
        Field(name="change_low", title="from", unit="points", meaning=f"{sure} of the change"),
        Field(name="change_high", title="to", unit="points"),
        Field(name="dense_recall", title="dense", unit="share"),
        Field(name="pruned_recall", title="pruned", unit="share"),
        Field(name="recalibrated_recall", title="new statistics", unit="share"),
        Field(name="given_back", title="given back", unit="count", meaning="samples wrong before, right now"),
        Field(name="newly_lost", title="newly lost", unit="count", meaning="samples right before, wrong now"),
    )
    drawn = Drawn(
        kind="dots",
        title="What new statistics give back",
        shows="The change of recall of each class by new statistics of batch normalisation.",
        reading=f"Each row is a class: the change of its recall, with its {sure}; right of 0 it gains.",
        x="change",
        y="class",
        low="change_low",
        high="change_high",
    )
    return Table(
        name="classes",
        title="Class by class, those that gain most first",
        fields=fields,
        rows=tuple(rows),
        drawn=(drawn,),
    )
