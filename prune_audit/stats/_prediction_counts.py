"""What the two models called each class, split by whether they agree: the basis of precision and F1.

All of it follows from the totals of predicted classes and the list of changed predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prune_audit.core import Array, Counts, FalseCounts, Floats, Measure, Pair, Settings
from prune_audit.stats import _false_counts
from prune_audit.stats._clusters import alike, effects, freedom, quantile
from prune_audit.stats._column import column

CONTINUITY = 0.5
"""Added to every kind of sample on which the models part, for the variance alone: a class without flips would have
none, though absence of flips is no proof. With it 95 % intervals covered .948 to 1, without it .49 to .95 wherever
samples flip (simulated: 20,000 draws a cell, support 10 to 500)."""


def unknown(pair: Pair) -> str | None:
    """Why predicted classes cannot be told from ``pair``, None where they can: counts alone leave them open."""
    if "answers" in pair.task.lacks:
        return pair.task.lacks["answers"]
    if pair.task.missed is not None:  # and a class is named where one covers what is missed
        complete = int(pair.moves[:, 3].sum()) >= int(pair.lost.sum() + pair.gained.sum())
        return None if complete else "only what was found is known, not what covers the rest"
    lost = int(pair.moves[pair.moves[:, 0] == pair.moves[:, 1], 3].sum())
    complete = int(pair.dense_predicted.sum()) == int(pair.pruned_predicted.sum()) == int(pair.support.sum())
    return None if complete and lost == int(pair.lost.sum()) else "only right answers are known, not what was predicted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calls:
    """Samples per class (C,): of the class (``own``) or not (``other``), so called by both models or by one."""

    own_both: Array
    own_dense: Array
    own_pruned: Array
    own_neither: Array
    other_both: Array
    other_dense: Array
    other_pruned: Array


def calls(pair: Pair) -> Calls:
    """How often each class was called, from a pair whose strata are its classes."""
    label, dense, pruned, times = pair.moves.T  # (K,)
    classes = len(pair.classes)

    def wrongly(called: Counts) -> Counts:
        wrong = called != label
        return np.bincount(called[wrong], weights=times[wrong], minlength=classes).astype(np.int64)

    other_dense = wrongly(dense)
    return Calls(
        own_both=pair.both,
        own_dense=pair.lost,
        own_pruned=pair.gained,
        own_neither=pair.neither,
        other_both=pair.dense_predicted - pair.both - pair.lost - other_dense,
        other_dense=other_dense,
        other_pruned=wrongly(pruned),
    )


def ratio_of(pair: Pair, label_weight: int) -> tuple[Floats, Floats, Floats]:
    """(1 + w) own / (called + w labelled) of either model and the standard error of its change, each (C,).

    Precision for w = 0 and F1 for w = 1. NaN where the denominator is 0. The error is that of the delta method for a
    multinomial over the seven kinds of samples.
    """
    c = calls(pair)
    dense = _value(c.own_both + c.own_dense, c.other_both + c.other_dense, pair.support, label_weight)
    pruned = _value(c.own_both + c.own_pruned, c.other_both + c.other_pruned, pair.support, label_weight)

    apart = [counts + CONTINUITY for counts in (c.own_dense, c.own_pruned, c.other_dense, c.other_pruned)]
    own_dense, own_pruned, other_dense, other_pruned = apart
    labelled = c.own_both + own_dense + own_pruned + c.own_neither
    d_own, d_other = c.own_both + own_dense, c.other_both + other_dense
    p_own, p_other = c.own_both + own_pruned, c.other_both + other_pruned
    d_value, p_value = _value(d_own, d_other, labelled, label_weight), _value(p_own, p_other, labelled, label_weight)
    d_size, p_size = d_own + d_other + label_weight * labelled, p_own + p_other + label_weight * labelled

    def influence(value: Floats, size: Floats, is_own: int, called: int) -> Floats:
        """What one sample adds to the ratio: of the class or not, called so or not."""
        share: Floats = ((1 + label_weight) * is_own * called - value * (called + label_weight * is_own)) / size
        return share

    variance = np.zeros(len(dense))
    for counts, is_own, by_dense, by_pruned in (
        (c.own_both, 1, 1, 1),
        (own_dense, 1, 1, 0),
        (own_pruned, 1, 0, 1),
        (c.own_neither, 1, 0, 0),
        (c.other_both, 0, 1, 1),
        (other_dense, 0, 1, 0),
        (other_pruned, 0, 0, 1),
    ):
        change = influence(p_value, p_size, is_own, by_pruned) - influence(d_value, d_size, is_own, by_dense)
        variance += counts * change**2
    return dense, pruned, np.sqrt(variance)


def _value(own: Array, other: Array, labelled: Array, label_weight: int) -> Floats:
    size = own + other + label_weight * labelled
    return np.where(size > 0, (1 + label_weight) * own / np.maximum(size, 1e-300), np.nan)


def columns(pair: Pair, settings: Settings, *, name: str, label_weight: int, undefined: str) -> tuple[Measure, ...]:
    """Columns of a ratio of either model and its change, where strata are classes."""
    if pair.by != "class":
        return ()
    size = len(pair.strata)
    title = name if label_weight == 0 else name.upper()
    if pair.false is not None:
        return _with_false(pair, pair.false, settings, name, title, label_weight)
    why_not = unknown(pair)
    if why_not:
        nothing, absent = np.zeros(size), dict.fromkeys(range(size), why_not)
        dense = pruned = error = nothing
        no_dense = no_pruned = absent
    else:
        dense, pruned, error = ratio_of(pair, label_weight)
        no_dense, no_pruned = ({int(i): undefined for i in np.isnan(v).nonzero()[0]} for v in (dense, pruned))
    change = pruned - dense
    # A call depends on samples of the class and on others, which may both come in clusters.
    clustered, number = effects(pair), alike(pair)
    error = error * np.sqrt(np.maximum(clustered.own, clustered.rest))
    t = quantile(freedom(np.minimum(number.own, number.rest)), settings.confidence)
    half = t * (0.0 if pair.same_model else error)
    return _columns(name, title, (dense, pruned, change, half), no_dense, no_pruned)


def _with_false(
    pair: Pair, counts: FalseCounts, settings: Settings, name: str, title: str, label_weight: int
) -> tuple[Measure, ...]:
    """Columns of a ratio where things are found, and other findings false."""
    ratios = _false_counts.ratio_of(counts, label_weight, CONTINUITY)
    dense, pruned, error, number = (values[:-1] for values in ratios)  # the last row is that of all classes
    undefined = "nothing was found" if label_weight == 0 else "nothing is labelled or was found"
    no_dense, no_pruned = ({int(i): undefined for i in np.isnan(v).nonzero()[0]} for v in (dense, pruned))
    half = quantile(freedom(number), settings.confidence) * (0.0 if pair.same_model else error)
    return _columns(name, title, (dense, pruned, pruned - dense, half), no_dense, no_pruned)


def _columns(
    name: str,
    title: str,
    values: tuple[Floats, Floats, Floats, Floats],
    no_dense: Mapping[int, str],
    no_pruned: Mapping[int, str],
) -> tuple[Measure, ...]:
    """The ratio of either model, its change, and half of the interval around it, (C,) each."""
    dense, pruned, change, half = values
    no_change = {**no_dense, **no_pruned}
    limits = np.maximum(change - half, -1.0), np.minimum(change + half, 1.0)
    return (
        column(f"dense_{name}", f"dense {title}", "share", dense, no_dense),
        column(f"pruned_{name}", f"pruned {title}", "share", pruned, no_pruned),
        column(f"{name}_change", f"change of {title}", "points", change, no_change, limits=limits),
    )
