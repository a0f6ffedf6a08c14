"""Do the models and the labels speak of the same classes? Asked after a few hundred samples, before the long run.

A wrong order of classes and a forgotten normalisation are the commonest faults of an evaluation, and both give a
dense model that is right by chance. Nothing can be lost there, so an audit of it would pass. Whoever looks only at
the difference of two models cannot see it; so the dense model is looked at by itself. Only strong evidence stops a
run: a model that is merely poor, or a class with few samples, does not.
"""

from __future__ import annotations

import json

import numpy as np
from scipy.special import bdtrc, betaincinv

from prune_audit.core import Counts, Outputs, Predictions
from prune_audit.errors import AlignmentError

# One run in a thousand: a stopped run must not be bad luck.
LEVEL = 0.001
# A quarter of the way from chance to perfect. A model that may still lie above is only poor.
NEAR = 0.25
# A class is taken for another where more than half of its samples, five at the least, are predicted as that one, and
# five times as many as are predicted right: two classes that a model can hardly tell apart share theirs evenly.
MOST, LEAST, TIMES = 0.5, 5, 5
_CAUSE = (
    "the preprocessing (--preprocess, --mean, --std, --channels; of sounds --sample-rate and --seconds, of a table the "
    "order of --features) or the order of the classes (--classes FILE, one a line, in the order of the model's outputs)"
)


def check(predictions: Predictions) -> None:
    """Look at the first model of ``predictions``, the dense one.

    Raises:
        AlignmentError: classes are exchanged among one another, or the model is right about as often as chance.
    """
    dense = predictions.models[0]
    _check_order(predictions, dense)
    _check_chance(predictions, dense)


def _check_chance(predictions: Predictions, dense: Outputs) -> None:
    if guesses := _guesses(predictions, dense):
        raise AlignmentError(
            f"the dense model {dense.name} {guesses}, so that nothing could be lost",
            hint=f"most likely {_CAUSE} is not what the model was trained with",
        )


def _guesses(predictions: Predictions, outputs: Outputs) -> str | None:
    """How often ``outputs`` are right, where that is about as often as chance."""
    labels = predictions.labels
    n, right = len(labels), int((outputs.predicted == labels).sum())
    largest = np.bincount(labels).max() / n
    chance = max(1 / len(predictions.classes), float(largest))
    if chance == 1:  # one class: always right is all that guessing can be
        return None
    by_luck = 1.0 if right == 0 else float(bdtrc(right - 1, n, chance))  # P(at least so many right by chance)
    highest = 1.0 if right == n else _upper(right, n)
    if by_luck > LEVEL and highest < chance + NEAR * (1 - chance):
        return f"is right on {right} of {n} samples ({right / n:.1%}), about as often as chance ({chance:.1%})"
    return None


def _upper(right: int, n: int) -> float:
    """The upper exact (Clopper-Pearson) limit of a share of ``right`` in ``n`` at `LEVEL`."""
    return float(betaincinv(right + 1, n - right, 1 - LEVEL))


def _check_order(predictions: Predictions, dense: Outputs) -> None:
    taken = exchanged(predictions.labels, dense.predicted, len(predictions.classes))
    if not taken:
        return
    names = predictions.classes
    told = ", ".join(f"{names[a]!r} as {names[b]!r}" for a, b in list(taken.items())[:3])
    order = [names[{b: a for a, b in taken.items()}.get(i, i)] for i in range(len(names))]
    shown = ", ".join(order[:12]) + (", ..." if len(order) > 12 else "")
    mapping = json.dumps({names[a]: names[b] for a, b in taken.items()}, ensure_ascii=False)
    raise AlignmentError(
        f"the dense model {dense.name} takes {len(taken)} classes for one another ({told}{', ...' * (len(taken) > 3)}):"
        " the classes seem to be in another order than its outputs",
        hint=f"name them in the order of the outputs, one a line, with --classes FILE; by these predictions: {shown}; "
        f"or say which class of the model each is: --class-map FILE with {mapping}",
    )


def exchanged(labels: Counts, predicted: Counts, count: int) -> dict[int, int]:
    """Classes that are predicted as one another, in rings: label -> what it is mostly predicted as.

    ``labels`` and ``predicted`` (N,) are positions among ``count`` classes. A class of which most samples go to one
    other points there; only rings of such pointers count, so that a class which another swallows is none.
    """
    kinds, times = np.unique(labels * count + predicted, return_counts=True)
    rows, columns = kinds // count, kinds % count
    support = np.bincount(labels, minlength=count)
    right = np.bincount(labels[labels == predicted], minlength=count)
    strong = (rows != columns) & (times > MOST * support[rows]) & (times > TIMES * right[rows])
    strong &= support[rows] >= LEAST
    points = dict(zip(rows[strong].tolist(), columns[strong].tolist(), strict=True))
    ringed: dict[int, int] = {}
    for start in points:
        ring, at = [start], points[start]
        while at in points and at not in ring:
            ring.append(at)
            at = points[at]
        if at == start:
            ringed |= {label: points[label] for label in ring}
    return ringed


def notes(predictions: Predictions) -> tuple[str, ...]:
    """What must be said of how the variants fit the dense model: whoever agrees with it on next to nothing.

    A model alone may be either, so that of it only what cannot be told from guessing is said.
    """
    dense, *variants = predictions.models
    if not variants and (guesses := _guesses(predictions, dense)):
        return (f"{dense.name} {guesses}: pruning left nothing, or {_CAUSE} is not what it was trained with",)
    return tuple(note for variant in variants if (note := _note(predictions, dense, variant)))


def _note(predictions: Predictions, dense: Outputs, variant: Outputs) -> str | None:
    taken = exchanged(predictions.labels, variant.predicted, len(predictions.classes))
    if taken:
        names = predictions.classes
        told = ", ".join(f"{names[a]!r} as {names[b]!r}" for a, b in list(taken.items())[:3])
        return (
            f"{variant.name} takes {len(taken)} classes for one another ({told}{', ...' * (len(taken) > 3)}): if its "
            "outputs are in another order than those of the dense model, what it lost is not due to pruning"
        )
    n, same = len(predictions.labels), int((dense.predicted == variant.predicted).sum())
    # As often as two models would that predict independently, each with its own shares.
    shares = [np.bincount(m.predicted, minlength=len(predictions.classes)) / n for m in (dense, variant)]
    chance = float(shares[0] @ shares[1])
    if chance < 1 and (1.0 if same == n else _upper(same, n)) < chance + NEAR * (1 - chance):
        return (
            f"{variant.name} agrees with {dense.name} on {same / n:.1%} of the samples, about as often as by chance "
            f"({chance:.1%}): pruning left nothing, or its preprocessing or order of outputs is another"
        )
    return None
