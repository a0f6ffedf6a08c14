"""Do the models and the labels speak of the same classes? Asked after a few hundred samples, before the long run.

A wrong order of classes and a forgotten normalisation are the commonest faults of an evaluation, and both give a
dense model that is right by chance. Nothing can be lost there, so an audit of it would pass. Whoever looks only at
the difference of two models cannot see it; so the dense model is looked at by itself. Only strong evidence stops a
run: a model that is merely poor, or a class with few samples, does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import bdtrc, betaincinv

from prune_audit.core import Counts, Outputs, Predictions, Settings
from prune_audit.errors import AlignmentError
from prune_audit.tasks.classification import order
from prune_audit.tasks.classification.counts import right as hits

# One run in a thousand: a stopped run must not be bad luck.
LEVEL = 0.001
# A quarter of the way from chance to perfect. A model that may still lie above is only poor.
NEAR = 0.25
# What another order must give a model near chance for this order to be believed: so many times its kappa, and no kappa
# that is near chance again.
BELIEVED = 3
# A class is taken for another where more than half of its samples, five at the least, are predicted as that one, and
# five times as many as are predicted right: two classes that a model can hardly tell apart share theirs evenly.
MOST, LEAST, TIMES = 0.5, 5, 5
_CAUSE = (
    "the preprocessing (--preprocess, --mean, --std, --channels; of sounds --sample-rate and --seconds, of a table the "
    "order of --features) or the order of the classes (--classes FILE, one a line, in the order of the model's outputs)"
)


def check(predictions: Predictions, doubts: Sequence[str] = ()) -> None:
    """Look at the first model of ``predictions``, the dense one; ``doubts`` of it lead a hint on.

    Raises:
        AlignmentError: classes are exchanged among one another, or the model is right about as often as chance.
    """
    dense = predictions.models[0]
    _check_order(predictions, dense)
    _check_chance(predictions, dense, doubts)


def check_expected(
    predictions: Predictions, settings: Settings, doubts: Sequence[str] = (), *, luck: bool = False
) -> None:
    """Check that the dense model has the accuracy that ``settings`` expect; see `check_accuracy`."""
    dense = predictions.models[0]
    right = int(hits(dense.predicted, predictions.labels).sum())
    check_accuracy(dense.name, right, len(predictions.labels), settings, doubts, luck=luck)


def check_accuracy(
    name: str, right: int, samples: int, settings: Settings, doubts: Sequence[str] = (), *, luck: bool = False
) -> None:
    """Check that ``right`` of ``samples`` is the accuracy that ``settings`` expect of the dense model called ``name``.

    The exact interval (Clopper and Pearson) must come within the tolerance of it; with ``luck`` that of one run in a
    thousand, because the samples are the first of many.

    Raises:
        AlignmentError: it does not.
    """
    expected = settings.expect_accuracy
    if expected is None or not samples:
        return
    tail = LEVEL / 2 if luck else (1 - settings.confidence) / 2
    low = 0.0 if right == 0 else float(betaincinv(right, samples - right + 1, tail))
    high = 1.0 if right == samples else float(betaincinv(right + 1, samples - right, 1 - tail))
    if low <= expected + settings.expect_tolerance and high >= expected - settings.expect_tolerance:
        return
    raise AlignmentError(
        f"the dense model {name} was to have {expected:.2%} (--expect-accuracy) and has {right / samples:.2%} on "
        f"{samples:,} samples ({100 * (1 - 2 * tail):.4g} % interval {low:.2%} to {high:.2%}), which is off by more "
        f"than {100 * settings.expect_tolerance:g} points",
        hint=f"{_cause(doubts)}, or these are other data; --expect-tolerance allows more",
    )


def _cause(doubts: Sequence[str]) -> str:
    """What was most likely done wrong: what was found out, else the usual."""
    return "; ".join(doubts) if doubts else f"most likely {_CAUSE} is not what the model was trained with"


def _check_chance(predictions: Predictions, dense: Outputs, doubts: Sequence[str]) -> None:
    guesses = _guesses(predictions, dense)
    if not guesses:
        return
    ring = out_of_order(predictions.labels, dense.predicted, len(predictions.classes))
    known = f"; in another order more would be right: {_repair(predictions.classes, ring)}" if ring else ""
    raise AlignmentError(
        f"the dense model {dense.name} {guesses}, so that nothing could be lost", hint=f"{_cause(doubts)}{known}"
    )


def _guesses(predictions: Predictions, outputs: Outputs) -> str | None:
    """How often ``outputs`` are right, where that is about as often as by luck.

    Luck is what a model gets that gives the same answers blindly (Cohen 1960), which is never more than naming the
    largest class always would get. A model that finds most of a rare class among many false alarms is right less often
    than whoever never looks, and knows something all the same.
    """
    labels, predicted = predictions.labels, outputs.predicted
    n, right, count = len(labels), int(hits(predicted, labels).sum()), len(predictions.classes)
    support, named = np.bincount(labels, minlength=count), np.bincount(predicted, minlength=count)  # (C,)
    if support.max() == n:  # one class: there is nothing to tell apart
        return None
    luck = float(support @ named) / n**2
    by_luck = 1.0 if right == 0 else float(bdtrc(right - 1, n, luck))  # P(at least so many right by luck)
    if by_luck <= LEVEL or _highest(right, n, constant=named.max() == n) >= luck + NEAR * (1 - luck):
        return None
    if _finds(labels, predicted, support, named):
        return None
    return f"is right on {right} of {n} samples ({right / n:.1%}), about as often as chance ({luck:.1%})"


def _highest(right: int, n: int, *, constant: bool) -> float:
    """How often a model may be right in truth that was on ``right`` of ``n`` samples.

    One that names one class alone is right on all of that class, so that only the others tell.
    """
    if constant and right < n:
        return (right + (n - right) * _upper(0, n - right)) / n
    return 1.0 if right == n else _upper(right, n)


def _finds(labels: Counts, predicted: Counts, support: Counts, named: Counts) -> bool:
    """Whether some class is found more often than it would be if the answers were dealt out anew (Fisher 1935)."""
    from scipy.stats import hypergeom  # takes a while, and is hardly ever asked for

    found = np.bincount(labels[hits(predicted, labels)], minlength=len(support))
    p = np.asarray(hypergeom.sf(found - 1, len(labels), support, named))
    return bool(p.min() * np.count_nonzero(support) <= LEVEL)


def _upper(right: int, n: int) -> float:
    """The upper exact (Clopper-Pearson) limit of a share of ``right`` in ``n`` at `LEVEL`."""
    return float(betaincinv(right + 1, n - right, 1 - LEVEL))


def _check_order(predictions: Predictions, dense: Outputs) -> None:
    taken = out_of_order(predictions.labels, dense.predicted, len(predictions.classes))
    if not taken or _doubtful(predictions.labels, dense.predicted, taken):
        return
    names = predictions.classes
    ordered = [names[{b: a for a, b in taken.items()}.get(i, i)] for i in range(len(names))]
    shown = ", ".join(ordered[:12]) + (", ..." if len(ordered) > 12 else "")
    raise AlignmentError(
        f"the dense model {dense.name} takes {_told(names, taken)}:"
        " the classes seem to be in another order than its outputs",
        hint=f"name them in the order of the outputs, one a line, with --classes FILE; by these predictions: {shown}; "
        f"or say which class of the model each is: {_repair(names, taken)}",
    )


def _repair(names: Sequence[str], taken: Mapping[int, int]) -> str:
    mapping = json.dumps({names[a]: names[b] for a, b in taken.items()}, ensure_ascii=False)
    return f"--class-map FILE with {mapping}"


def _told(names: Sequence[str], taken: Mapping[int, int]) -> str:
    told = ", ".join(f"{names[a]!r} as {names[b]!r}" for a, b in list(taken.items())[:3])
    return f"{len(taken)} classes for one another ({told}{', ...' * (len(taken) > 3)})"


def out_of_order(reference: Counts, predicted: Counts, count: int) -> dict[int, int]:
    """Classes of ``reference`` (N,) that are ``predicted`` (N,) as one another, by whichever test finds more of them.

    Few samples show a whole wrong order where most of a class goes elsewhere; many show also two classes of low recall.
    """
    mostly, rather = exchanged(reference, predicted, count), order.misplaced(reference, predicted, count)
    return rather if len(rather) > len(mostly) else mostly


def _doubtful(reference: Counts, predicted: Counts, taken: Mapping[int, int]) -> bool:
    """Whether ``predicted`` are near chance, and not much better with the classes of ``taken`` in each other's place.

    Some other order fits such a model better, which says nothing of the one it was trained in.
    """
    put = np.arange(max(int(reference.max()), int(predicted.max())) + 1)
    put[list(taken.values())] = list(taken)
    before, after = _kappa(reference, predicted), _kappa(reference, put[predicted])
    return before < NEAR and after < max(NEAR, BELIEVED * before)


def _kappa(reference: Counts, predicted: Counts) -> float:
    """Cohen's (1960): the way from luck to perfect."""
    count, n = max(int(reference.max()), int(predicted.max())) + 1, len(reference)
    luck = float(np.bincount(reference, minlength=count) @ np.bincount(predicted, minlength=count)) / n**2
    return (float(hits(predicted, reference).mean()) - luck) / (1 - luck) if luck < 1 else 0.0


def exchanged(labels: Counts, predicted: Counts, count: int) -> dict[int, int]:
    """Classes that are predicted as one another, in rings: label -> what it is mostly predicted as.

    ``labels`` and ``predicted`` (N,) are positions among ``count`` classes. A class of which most samples go to one
    other points there; only rings of such pointers count, so that a class which another swallows is none. Their samples
    must be more than bad luck in any of the classes that are there.
    """
    rows, columns, times = order.taken_for(labels, predicted, count)
    support = np.bincount(labels, minlength=count)
    right = np.bincount(labels[hits(predicted, labels)], minlength=count)
    strong = (rows != columns) & (times > MOST * support[rows]) & (times > TIMES * right[rows])
    strong &= support[rows] >= LEAST
    points = dict(zip(rows[strong].tolist(), columns[strong].tolist(), strict=True))
    to, present = dict(zip(rows[strong].tolist(), times[strong].tolist(), strict=True)), np.flatnonzero(support)
    ringed: dict[int, int] = {}
    for start in points:
        ring, at = [start], points[start]
        while at in points and at not in ring:
            ring.append(at)
            at = points[at]
        there = sum(int(to[label]) for label in ring) if at == start else 0
        # Of a thousand classes with five samples each, some pairs that are hard to tell apart point at each other.
        if there and len(present) * float(bdtrc(there - 1, there + int(right[ring].sum()), 0.5)) <= LEVEL:
            ringed |= {label: points[label] for label in ring}
    return ringed


def notes(predictions: Predictions) -> tuple[str, ...]:
    """What must be said of how models and labels fit, and variants the dense model.

    A model alone may be either, so that of it only what cannot be told from guessing, or from another order, is said.
    """
    dense, *variants = predictions.models
    if not variants:
        return tuple(note for note in (_note_alone(predictions, dense),) if note)
    said = (_note_doubtful(predictions, dense), *(_note(predictions, dense, variant) for variant in variants))
    return tuple(note for note in said if note)


def _note_alone(predictions: Predictions, alone: Outputs) -> str | None:
    taken = out_of_order(predictions.labels, alone.predicted, len(predictions.classes))
    if taken and not _doubtful(predictions.labels, alone.predicted, taken):
        return (
            f"{alone.name} takes {_told(predictions.classes, taken)}: the classes seem to be in another order than its "
            "outputs (--classes FILE)"
        )
    if guesses := _guesses(predictions, alone):
        return f"{alone.name} {guesses}: pruning left nothing, or {_CAUSE} is not what it was trained with"
    return _note_doubtful(predictions, alone)


def _note_doubtful(predictions: Predictions, dense: Outputs) -> str | None:
    """What is odd in the dense model and stops no run: there are too few samples, or it is too poor to tell."""
    labels, names = predictions.labels, predictions.classes
    if len(set(dense.predicted.tolist())) == 1 < len(set(labels.tolist())):
        return f"{dense.name} names {names[dense.predicted[0]]!r} for every sample, so that nothing could be lost"
    taken = out_of_order(labels, dense.predicted, len(names))
    if not taken or not _doubtful(labels, dense.predicted, taken):
        return None
    return (
        f"{dense.name} takes {_told(names, taken)}: near chance in any order, or the classes are in another order "
        "than its outputs (--classes FILE)"
    )


def _note(predictions: Predictions, dense: Outputs, variant: Outputs) -> str | None:
    names = predictions.classes
    # The labels tell also of classes that the dense model never names, the dense model also of those it gets wrong.
    for reference, whose in ((predictions.labels, ""), (dense.predicted, f" of {dense.name}")):
        taken = out_of_order(reference, variant.predicted, len(names))
        if taken and not _doubtful(reference, variant.predicted, taken):
            return (
                f"{variant.name} takes {_told(names, taken)}{whose}: if its outputs are in another order than those of "
                "the dense model, what it lost is not due to pruning"
            )
    n, same = len(predictions.labels), int(hits(dense.predicted, variant.predicted).sum())
    # As often as two models would that predict independently, each with its own shares.
    shares = [np.bincount(m.predicted, minlength=len(names)) / n for m in (dense, variant)]
    chance = float(shares[0] @ shares[1])
    if chance < 1 and (1.0 if same == n else _upper(same, n)) < chance + NEAR * (1 - chance):
        return (
            f"{variant.name} agrees with {dense.name} on {same / n:.1%} of the samples, about as often as by chance "
            f"({chance:.1%}): pruning left nothing, or its preprocessing or order of outputs is another"
        )
    return None
