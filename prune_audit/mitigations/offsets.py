"""One offset for each class, added to its scores; nothing is trained, so it is for whoever has only a file.

The offsets are fitted on samples of --data that no tuning saw, after recalibration where there is batch normalisation.
They minimise

    sum_g w_g J_g(b) + l2 / 2 sum_c b_c^2

where J_g(b) is the mean cross-entropy of the samples of group g with the offsets b, and w_g is at first the share of
the group, which makes b the offsets of least cross-entropy. Then w_g grows with the excess drop of g against the
dense model, for a few rounds, and of all b so far those with the smallest largest excess drop are taken that cost at
most the tolerated accuracy (a Lagrangian dual by multiplicative weights). How strong l2 is, five folds decide. Where
the interval of the gain, on samples that the offsets were not fitted on, is not above 0, no offset helps and the
network is left as it is. The gain itself is told on the high side, because all folds share the luck of one sample.

In torch they go into the bias of the last layer, in ONNX into an Add before the scores, or before the softmax that
makes them. Outputs of a sigmoid, and last layers that cannot be seen, are refused. Fitted on samples that tuning saw
they do harm, because the network is surer of these than of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import typer

from prune_audit.core import Counts, Floats
from prune_audit.errors import DataError
from prune_audit.mitigations import Asked, Mended, Subject, excess
from prune_audit.nets import recalibrate
from prune_audit.tasks.classification import decided
from prune_audit.tasks.classification import right as right_of

RANK = 20  # where nothing can be trained
TOLERANCE = 1.0
FEWEST = 100
"""Samples of each class to fit on: with fewer, offsets are fitted to luck."""
FOLDS = 5
STRENGTHS = (1.0, 0.1, 0.01, 0.001)  # of l2, the strongest first, which is taken where two do alike
ROUNDS = 12  # in which the weights of groups move
RATE = 5.0  # by which they do: 10 points of excess make a group count for 1.65 times as much
DRAWS = 1000  # of the bootstrap
LEVEL = 0.95

Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What offsets are fitted on."""

    PANEL: ClassVar[str] = "Mitigation"

    fit_on: Annotated[
        Literal["held-out", "all"],
        typer.Option(
            metavar="held-out|all",
            help="held-out: the share of --data that prune holds out by the same --hold-out and --seed; all: every "
            "sample, for a network that was not tuned on them.",
        ),
    ] = "held-out"


OPTIONS = Options


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """The offsets (C,), the largest excess drop without and with them on samples that they were not fitted on, and the
    gain, with its interval; all as shares."""

    offsets: Floats
    before: float
    after: float
    gain: float
    low: float
    high: float


def mend(subject: Subject, asked: Asked) -> Mended:
    """Recalibrate, fit and add the offsets; unchanged where none helps.

    Raises:
        DataError: a class has too few samples.
        ModelError: the last layer cannot be seen, or its scores come out of a sigmoid.
    """
    options = asked.options or Options()
    rows = np.arange(len(subject.labels)) if options.fit_on == "all" else subject.held_out
    counts = np.bincount(subject.labels[rows], minlength=int(subject.labels.max()) + 1)
    if counts.min() < FEWEST:
        few = int(counts.argmin())
        raise DataError(
            f"offsets are fitted on {FEWEST} samples of every class at least, which no tuning saw; of class "
            f"{subject.classes[few]} there are {counts[few]}",
            hint="give more --data, or a larger --hold-out with which the network was tuned, too; where it was not "
            "tuned on --data at all: --fit-on all",
        )
    said: tuple[str, ...] = ()
    if subject.training is not None:
        layers = recalibrate.recalibrate(subject.opened.module, subject.training, seed=asked.seed)
        said = (f"the statistics of {len(layers)} layers of batch normalisation are new",) if layers else ()
    found = fit(
        subject.scores(rows),
        subject.labels[rows],
        subject.groups[rows],
        subject.right[rows],
        tolerance=asked.tolerance,
        seed=asked.seed,
        count=len(subject.names),
    )
    told = (
        f"largest excess drop on samples that they were not fitted on: {100 * found.before:.1f} points without, "
        f"{100 * found.after:.1f} with; gain {100 * found.gain:.1f} points ({100 * LEVEL:.0f} % interval "
        f"{100 * found.low:.1f} to {100 * found.high:.1f})"
    )
    if found.low <= 0:
        own = ("new statistics of batch normalisation are not written either: recalibration alone does that",) * bool(
            said
        )
        return Mended(said=(f"no offset helps: {told}", *own), changed=False)
    subject.shift(found.offsets)
    listed = " ".join(f"{value:+.2f}" for value in found.offsets)
    return Mended(said=(*said, f"offsets of the classes in their order: {listed}", told), changed=True)


def fit(
    scores: Floats, labels: Counts, groups: Counts, right: Bools, *, tolerance: float, seed: int, count: int
) -> Fitted:
    """Offsets for ``scores`` (N, C), logits or log-probabilities, (N, 1) of a binary classifier.

    ``labels`` (N,), ``groups`` (N,) of ``count``, and whether the dense model is ``right`` (N,).
    """
    wide = np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores
    folds = _folds(labels, seed)
    plain = _hits(wide, labels)
    before = _largest(right, plain, groups, count)
    best: tuple[float, float, Bools] | None = None
    for strength in STRENGTHS:
        hits = np.zeros(len(labels), bool)
        for fold in range(FOLDS):
            at, of = folds != fold, folds == fold
            offsets = _fitted(wide[at], labels[at], groups[at], right[at], strength, tolerance, count)
            hits[of] = _hits(wide[of] + offsets, labels[of])
        worst = _largest(right, hits, groups, count)
        if best is None or (worst < best[0] and hits.mean() >= plain.mean() - tolerance):
            best = worst, strength, hits
    assert best is not None  # there are strengths
    low, high = _interval(right, plain, best[2], labels, groups, count, seed)
    offsets = _fitted(wide, labels, groups, right, best[1], tolerance, count)
    return Fitted(
        offsets=offsets if scores.shape[1] > 1 else offsets[1:] - offsets[:1],
        before=before,
        after=best[0],
        gain=before - best[0],
        low=low,
        high=high,
    )


def least_cross_entropy(scores: Floats, labels: Counts, weights: Floats, strength: float, start: Floats) -> Floats:
    """The offsets (C,), which sum to 0, of least weighted mean cross-entropy of ``scores`` (N, C) with l2 of
    ``strength``; ``weights`` (N,) sum to 1. The problem is convex; ``start`` (C,) is where the search begins."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    own = np.bincount(labels, weights, scores.shape[1])

    def loss(offsets: Floats) -> tuple[float, Floats]:
        logs = log_softmax(scores + offsets, axis=1)
        value = -float(weights @ logs[np.arange(len(labels)), labels]) + strength / 2 * float(offsets @ offsets)
        return value, weights @ np.exp(logs) - own + strength * offsets

    found: Floats = minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-9}).x
    centred: Floats = found - found.mean()
    return centred


def _fitted(
    scores: Floats, labels: Counts, groups: Counts, right: Bools, strength: float, tolerance: float, count: int
) -> Floats:
    """The offsets (C,) whose largest excess drop on these samples is the smallest, at the tolerated accuracy."""
    share = np.bincount(groups, minlength=count) / len(groups)
    emphasis, offsets = np.ones(count), np.zeros(scores.shape[1])
    floor = _hits(scores, labels).mean() - tolerance
    best, least = offsets, np.inf
    for _ in range(ROUNDS):
        weights = (emphasis / (emphasis @ share))[groups] / len(groups)
        offsets = least_cross_entropy(scores, labels, weights, strength, offsets)
        hits = _hits(scores + offsets, labels)
        psi = np.nan_to_num(excess(right, hits, groups, count))
        if psi.max() < least and hits.mean() >= floor:
            best, least = offsets, float(psi.max())
        emphasis = emphasis * np.exp(RATE * psi)
    return best


def _hits(scores: Floats, labels: Counts) -> Bools:
    """On which samples (N,) the highest of ``scores`` (N, C) is that of the label."""
    return right_of(decided(scores), labels)


def _largest(before: Bools, after: Bools, groups: Counts, count: int) -> float:
    return float(np.nanmax(excess(before, after, groups, count)))


def _folds(labels: Counts, seed: int) -> Counts:
    """Which of the folds each sample is in (N,), of each class as many in all of them as can be."""
    rng, folds = np.random.default_rng(seed), np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        at = rng.permutation(np.flatnonzero(labels == label))
        folds[at] = np.arange(len(at)) % FOLDS
    return folds


def _interval(
    right: Bools, plain: Bools, hits: Bools, labels: Counts, groups: Counts, count: int, seed: int
) -> tuple[float, float]:
    """The interval of the gain by a bootstrap of the samples within their classes, paired."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    gains = np.empty(DRAWS)
    for draw in range(DRAWS):
        at = np.concatenate([rng.choice(each, len(each)) for each in members])
        gains[draw] = _largest(right[at], plain[at], groups[at], count) - _largest(
            right[at], hits[at], groups[at], count
        )
    low, high = np.quantile(gains, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
