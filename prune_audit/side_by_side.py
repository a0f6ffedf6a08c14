"""Two audits side by side: which classes got better since the earlier one, which worse, and which verdicts changed.

Where both saw the same samples, the pruned models are compared pair by pair, with the interval and the corrected
McNemar test of any other change (`prune_audit.stats`): a class is better or worse where that is shown, and nowhere
else. Of other samples nothing is tested: numbers and verdicts then only stand side by side, and the first sentence says
so. Both are measured by the settings of the later audit. What is found is a `Look` of each variant, so that every
report shows it and a document keeps it. It judges nothing; that is `prune_audit.baseline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from prune_audit import stats
from prune_audit.core import (
    BESIDE,
    Array,
    Audit,
    Clusters,
    Comparison,
    Drawn,
    Field,
    Look,
    Pair,
    Samples,
    Settings,
    Table,
    Value,
    View,
    lookup,
)
from prune_audit.errors import AlignmentError
from prune_audit.printable import printable
from prune_audit.render import rounded

BETTER, WORSE, NEITHER = "better", "worse", "not shown"


def beside(audit: Audit, earlier: Audit, name: str) -> Audit:
    """``audit`` whose variants say what changed since ``earlier``, which is called ``name``.

    Variants are matched by name; where each audit has a single one, they are matched whatever they are called.

    Raises:
        AlignmentError: they are of other tasks or classes, or have no variant in common.
    """
    first, before = (each.comparisons[0].views[0] for each in (audit, earlier))
    for what, found, expected in (
        ("tasks", first.pair.task.name, before.pair.task.name),
        ("classes", first.pair.classes, before.pair.classes),
    ):
        if found != expected:
            raise AlignmentError(
                f"{name} is of other {what}: expected {_short(found)}, found {_short(expected)}",
                hint="only audits of one task with the same classes stand side by side; audit both with one data set's "
                "classes (--classes)",
            )
    known, why_not = matched(audit, earlier, name), _unpaired(audit, earlier)
    comparisons = []
    for comparison in audit.comparisons:
        last = known.get(comparison.pruned.name)
        if last is None:
            told = unknown(name)
        else:
            told = look(audit, comparison, earlier, last, name, why_not or _by_class(audit, comparison, earlier, last))
        comparisons.append(with_look(comparison, told))
    return replace(audit, comparisons=tuple(comparisons))


def matched(audit: Audit, earlier: Audit, name: str) -> Mapping[str, Comparison]:
    """Those variants of ``earlier``, which is called ``name``, that ``audit`` has, by their names in ``audit``.

    Raises:
        AlignmentError: they have none in common.
    """
    known = {comparison.pruned.name: comparison for comparison in earlier.comparisons}
    if len(audit.comparisons) == len(earlier.comparisons) == 1:
        known = {audit.comparisons[0].pruned.name: earlier.comparisons[0]}
    if not any(comparison.pruned.name in known for comparison in audit.comparisons):
        raise AlignmentError(
            f"none of the variants is in {name}: expected one of {_short(tuple(known))}, found "
            f"{_short(tuple(comparison.pruned.name for comparison in audit.comparisons))}",
            hint="give variants the names that they had: NAME=PATH",
        )
    return known


def with_look(comparison: Comparison, look: Look) -> Comparison:
    """``comparison`` with the ``look`` of what changed, in the place of an earlier one."""
    return replace(comparison, looks=(look, *(each for each in comparison.looks if each.lens != BESIDE)))


def unknown(name: str) -> Look:
    """What is seen of a variant that the earlier audit, called ``name``, does not have."""
    return Look(lens=BESIDE, title=f"What changed since {name}?", absent=f"{name} has no such variant")


def look(audit: Audit, now: Comparison, earlier: Audit, then: Comparison, name: str, moved: View | str) -> Look:
    """What changed from ``then`` of the ``earlier`` audit, called ``name``, to ``now`` of ``audit``.

    ``moved`` is the `step` from one to the other, by class; or why there is none.
    """
    settings = audit.provenance.settings
    view, old = now.views[0], then.views[0]
    if settings != earlier.provenance.settings:
        old = old.again(old.pair, stats.measures(old.pair, settings))
    step, why_not = (None, moved) if isinstance(moved, str) else (moved, "")
    rows = [_row(view, old, step, i, settings) for i in range(len(view.strata))]
    fields = _fields(view, paired=step is not None)
    if step is not None:
        at = next(n for n, field in enumerate(fields) if field.name == "change")
        rows.sort(key=lambda row: value if isinstance(value := row[at], float) else 1.0)
    models = f"{now.pruned.name} with {then.pruned.name} of {name}"
    things = rounded.several(audit.provenance.samples, *lookup.things(view))
    table = Table(name="since", title=f"Since {name}", fields=fields, rows=tuple(rows), drawn=_drawn(step, name))
    said = [
        f"Compared: {models}, on the same {things}, pair by pair."
        if step is not None
        else f"Compared: {models}, not paired, because {why_not}: nothing is tested, and numbers and verdicts only "
        "stand side by side."
    ]
    if (now.dense.digest, now.dense.factory) != (then.dense.digest, then.dense.factory):
        said.append("The dense models are not the same: each verdict is against the one of its own audit.")
    if audit.provenance.preprocess != earlier.provenance.preprocess:
        said.append("The inputs were prepared otherwise then.")
    said += _shown(step, settings) if step is not None else []
    said.append(_verdicts(view, old))
    return Look(lens=BESIDE, title=f"What changed since {name}?", sentences=tuple(said), tables=(table,))


def _fields(view: View, *, paired: bool) -> tuple[Field, ...]:
    """The columns of the table, in the words of the task."""
    rate, things = lookup.rate(view), lookup.things(view)[1]
    moved = f"change of {rate} from pruned to pruned model"
    tested = (
        Field(name="change", title="since then", unit="points", meaning=moved),
        Field(name="since", title="got", unit="label", meaning=f"what the {things} show of the change since then"),
        Field(name="low", title="from", unit="points", meaning="interval of the change since then"),
        Field(name="high", title="to", unit="points"),
    )
    against = "against the dense model of its audit"
    return (
        Field(name="class", title=lookup.heading(view), unit="label"),
        Field(name="n", title="n", unit="count", meaning=f"{things} of the later audit"),
        Field(name="before", title="pruned then", unit="share", meaning=f"{rate} of the earlier pruned model"),
        Field(name="after", title="pruned now", unit="share"),
        *(tested if paired else ()),
        Field(name="verdict_before", title="verdict then", unit="label", meaning=against),
        Field(name="verdict_after", title="verdict now", unit="label"),
    )


def _unpaired(audit: Audit, earlier: Audit) -> str:
    """Why samples cannot be paired; empty where they can."""
    both = (audit, earlier)
    if any(each.comparisons[0].views[0].pair.sequential for each in both):
        return "an audit ended once its classes were settled, and saw the samples that this took"
    if audit.provenance.data_digest != earlier.provenance.data_digest:
        return "the samples are not the same"
    if any(each.samples is None for each in both):
        return "an audit does not say which samples each model got right"
    if audit.provenance.settings.cluster != earlier.provenance.settings.cluster:
        return "their samples are clustered by different columns"
    return ""


def _by_class(audit: Audit, now: Comparison, earlier: Audit, then: Comparison) -> View:
    """From the earlier pruned model to the later one, by class."""
    assert audit.samples is not None
    assert earlier.samples is not None
    new, old = (replace(each, views=each.views[:1]) for each in (now, then))
    return step(new, old, audit.samples, earlier.samples, audit.provenance.settings).views[0]


def step(new: Comparison, old: Comparison, samples: Samples, before: Samples, settings: Settings) -> Comparison:
    """From the pruned model of the earlier audit to the new one, in every view of ``new``, pair by pair.

    ``samples`` are those of the new audit, ``before`` of the earlier one: the same ones, in the same order.
    """
    was, now = before.right[old.pruned.name], samples.right[new.pruned.name]  # (N,)
    same = new.pruned.same_as(old.pruned) and np.array_equal(was, now)
    views = []
    for view in new.views:
        pair = _pair(view.pair, old.view(view.by).pair, samples, was, now, same)
        # What does not come from counts is of the new model and the dense one, and says nothing of this step.
        views.append(View(pair=pair, measures=stats.measures(pair, settings)))
    return Comparison(dense=old.pruned, pruned=new.pruned, views=tuple(views))


def _pair(like: Pair, before: Pair, samples: Samples, old: Array, new: Array, same: bool) -> Pair:
    """Counts of ``old`` (N,) right against ``new`` (N,) right, of the pairs ``before`` and ``like`` with the dense."""
    stratum, size = samples.strata[like.by], len(like.strata)
    kinds = np.bincount(stratum * 4 + 2 * ~old + ~new, minlength=4 * size).reshape(size, 4)  # (S, 4)
    clusters = None
    if like.clusters is not None and samples.cluster is not None:
        # Numbered anew: a document may number them as it likes.
        cluster = np.unique(samples.cluster, return_inverse=True)[1]
        clusters = Clusters.of(like.clusters.column, size, stratum, cluster, old, new)
    return replace(
        Pair.of(kinds, by=like.by, strata=like.strata),
        task=like.task,
        classes=like.classes,
        labelled=like.labelled,
        dense_predicted=before.pruned_predicted,
        pruned_predicted=like.pruned_predicted,
        same_model=same,
        clusters=clusters,
    )


def _row(view: View, old: View, step: View | None, i: int, settings: Settings) -> tuple[Value, ...]:
    row: tuple[Value, ...] = (
        view.strata[i],
        int(view.pair.support[i]),
        lookup.column(old, "pruned_recall")[i],
        lookup.column(view, "pruned_recall")[i],
    )
    if step is not None:
        change = step.measure("change")
        low, high = (limits[i] if limits else None for limits in (change.low, change.high))
        row = (*row, change.by_stratum[i], _went(step, i, settings), low, high)
    return (*row, lookup.column(old, "verdict")[i], lookup.column(view, "verdict")[i])


def _went(step: View, i: int, settings: Settings) -> Value:
    change, q = step.measure("change").by_stratum[i], lookup.column(step, "q_value")[i]
    if not isinstance(change, (int, float)):
        return None
    shown = isinstance(q, (int, float)) and q <= 1 - settings.confidence
    return (BETTER if change > 0 else WORSE) if shown and change else NEITHER


def _shown(step: View, settings: Settings) -> list[str]:
    """Who got better and who worse, and the model as a whole."""
    change, noun = step.measure("change"), lookup.noun(step)
    went = [_went(step, i, settings) for i in range(len(step.strata))]
    said = []
    for word, first in ((WORSE, 1), (BETTER, -1)):
        found = sorted(
            (
                (first * value, i)
                for i, value in enumerate(change.by_stratum)
                if went[i] == word and isinstance(value, float)
            )
        )
        names = [f"{printable(step.strata[i])} ({rounded.points(first * value)})" for value, i in found]
        said.append(
            f"{rounded.several(len(names), *noun)} got {word}: {rounded.listed(names)}."
            if names
            else f"No {noun[0]} is shown to have got {word}."
        )
    rest = went.count(NEITHER)
    said.append(
        f"Of {rounded.several(rest, *noun)} no change is shown, which is not that nothing changed." if rest else ""
    )
    whole = f"{lookup.overall_rate(step).capitalize()}: {rounded.points(change.overall, 2)} points since then"
    interval = rounded.between(change.overall_low, change.overall_high, 2)
    said.append(f"{whole} ({rounded.limit(settings.confidence)} % interval {interval}).")
    return [each for each in said if each]


def _verdicts(view: View, old: View) -> str:
    """Whose verdict is another one, by what it was and is."""
    kinds: dict[tuple[Value, Value], list[str]] = {}
    for stratum, was, now in zip(
        view.strata, lookup.column(old, "verdict"), lookup.column(view, "verdict"), strict=True
    ):
        if was != now:
            kinds.setdefault((was, now), []).append(printable(stratum))
    if not kinds:
        return "No verdict changed."
    told = [
        f"from {rounded.label(was)} to {rounded.label(now)} {rounded.listed(names)}"
        for (was, now), names in kinds.items()
    ]
    return f"Verdicts that changed: {'; '.join(told)}."


def _drawn(step: View | None, name: str) -> tuple[Drawn, ...]:
    if step is None or not step.measure("change").low:
        return ()
    one, many = lookup.noun(step)
    drawn = Drawn(
        kind="dots",
        title=f"Change of {lookup.rate(step)} since {name}",
        shows=f"The change of each {one} from the earlier pruned model to the later one.",
        reading=f"Point: change in points. Bar: its interval; one that does not touch 0 need not count once all {many} "
        "are allowed for, and the table says which do.",
        x="change",
        y="class",
        low="low",
        high="high",
    )
    return (drawn,)


def _short(value: object) -> str:
    return (
        rounded.listed([printable(str(each)) for each in value]) if isinstance(value, tuple) else printable(str(value))
    )
