"""How well an attacker who sees a model's scores tells samples that it was trained on from others.

The attacker says "member" where a score of the sample is above a threshold: the probability of its class, the negative
entropy of all probabilities, or the modified entropy of Song and Mittal 2021 (USENIX Security, section 5.2), which
takes the label into account; or where the model is right (Yeom et al. 2018, arXiv 1709.01604). The advantage is the
share of members called so less that of non-members; AUC is that of all thresholds. A threshold is fitted for a class on
one half of its samples and used on the other, and the other way round, so that it does not fit chance; an attacker with
networks of his own would have to fit it on these, so that this is an upper guess of such attacks, and no bound of all.
Classes count alike, in members and non-members, so that which class a sample is of says nothing.

Intervals are of a bootstrap of samples, within class and half: the same draws for all models, so that a change has one,
too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.core import Counts, Floats

DRAWS = 999
LOW_DRAWS = 199  # where all samples are looked at together
FEWEST = 1_000  # samples that were not trained on, below which one in a hundred of them is too few to see
RATE = 0.01  # of non-members that are called members
TINY = 1e-12  # of a probability, in logarithms
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A number of samples as they are, and its values (B,) of drawn ones."""

    value: float
    draws: Floats

    def limits(self, confidence: float) -> tuple[float, float]:
        """The percentile interval."""
        low, high = np.quantile(self.draws, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)

    @property
    def p(self) -> float:
        """Two-sided p that it is 0: twice the share of draws on the other side, never below that of one draw."""
        beyond = min(int((self.draws <= 0).sum()), int((self.draws >= 0).sum()))
        return min(1.0, 2 * (1 + beyond) / (1 + len(self.draws)))

    def less(self, other: Drawn) -> Drawn:
        """The difference of two numbers of the same draws."""
        return Drawn(value=self.value - other.value, draws=self.draws - other.draws)


def scores(probabilities: Floats, labels: Counts) -> dict[str, Floats]:
    """Of each attack the scores (N,) of samples with ``probabilities`` (N, C) and ``labels`` (N,), members above."""
    p = np.clip(probabilities, TINY, 1.0)
    rest = np.clip(1 - probabilities, TINY, 1.0)
    own = np.arange(len(labels)), labels
    other = (probabilities * np.log(rest)).sum(axis=1) - (probabilities * np.log(rest))[own]
    return {
        "confidence": probabilities[own],
        "entropy": (probabilities * np.log(p)).sum(axis=1),
        "modified entropy": (1 - probabilities[own]) * np.log(p[own]) + other,
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Class:
    """The samples of a class: which are members, which half each is in, and how often each is in every draw.

    ``weights`` (B + 1, N) begin with the samples as they are, each once.
    """

    member: Flags
    half: Flags
    weights: Floats


def of_class(members: int, others: int, generator: np.random.Generator, draws: int = DRAWS) -> Class:
    """``members`` samples that were trained on, and then ``others`` that were not, 2 at least of both."""
    member = np.arange(members + others) < members
    half = np.zeros(members + others, bool)
    weights = np.ones((draws + 1, members + others))
    for which in (member, ~member):
        rows = generator.permutation(np.flatnonzero(which))
        half[rows[: len(rows) // 2]] = True
        for side in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            weights[1:, side] = generator.multinomial(len(side), np.full(len(side), 1 / len(side)), size=draws)
    return Class(member=member, half=half, weights=weights)


def advantage(samples: Class, found: Floats, *, fitted: bool = True) -> Drawn:
    """TPR less FPR of calling samples members whose score ``found`` (N,) is high.

    With a threshold that is ``fitted`` on one half and used on the other, both ways, the mean of both; else what is 1
    is called a member, and 0 is not.
    """
    if not fitted:
        called = np.broadcast_to(found > 0.5, samples.weights.shape)
        values = _difference(samples.weights, called, samples.member)
    else:
        values = np.mean([_across(samples, found, samples.half), _across(samples, found, ~samples.half)], axis=0)
    return Drawn(value=float(values[0]), draws=values[1:])


def _across(samples: Class, found: Floats, fit: Flags) -> Floats:
    """(B + 1,), with the threshold that is best on the samples ``fit`` (N,), on the others."""
    order = np.argsort(-found[fit], kind="stable")
    ranked, member, weights = found[fit][order], samples.member[fit][order], samples.weights[:, fit][:, order]
    gains = np.where(member, weights / _total(weights, member), -weights / _total(weights, ~member))
    upto = gains.cumsum(axis=1)
    # Equal scores are called alike, so a threshold is only where they end.
    upto[:, :-1][:, ranked[:-1] == ranked[1:]] = -np.inf
    best = upto.argmax(axis=1)  # (B + 1,)
    # Halfway to the next score, as any other place between them would do as well.
    following = np.append(ranked[1:], -np.inf)
    middle = np.where(np.isfinite(following), (ranked + following) / 2, -np.inf)
    thresholds = np.where(upto[np.arange(len(best)), best] > 0, middle[best], np.inf)
    called = found[~fit][None, :] > thresholds[:, None]
    return _difference(samples.weights[:, ~fit], called, samples.member[~fit])


def _total(weights: Floats, which: Flags) -> Floats:
    total: Floats = weights[:, which].sum(axis=1, keepdims=True)
    return total


def _difference(weights: Floats, called: Flags, member: Flags) -> Floats:
    rates = [
        (weights[:, which] * called[:, which]).sum(axis=1) / _total(weights, which)[:, 0] for which in (member, ~member)
    ]
    difference: Floats = rates[0] - rates[1]
    return difference


def auc(samples: Class, found: Floats) -> Drawn:
    """The chance that a member has the higher score ``found`` (N,), of equal ones half."""
    order = np.argsort(found, kind="stable")
    ranked, member, weights = found[order], samples.member[order], samples.weights[:, order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))  # of equal scores
    own, other = (np.add.reduceat(np.where(which, weights, 0.0), starts, axis=1) for which in (member, ~member))
    below = other.cumsum(axis=1) - other
    values = (own * (below + other / 2)).sum(axis=1) / (own.sum(axis=1) * other.sum(axis=1))
    return Drawn(value=float(values[0]), draws=values[1:])


def at_low_rate(classes: Sequence[Class], found: Sequence[Floats]) -> Drawn | None:
    """The share of members above the score that `RATE` of non-members exceed, over all classes, which count alike.

    None where there are fewer than `FEWEST` non-members.
    """
    others = sum(int((~each.member).sum()) for each in classes)
    if others < FEWEST:
        return None
    joined, member = np.concatenate(found), np.concatenate([each.member for each in classes])
    weights = np.concatenate(
        [
            each.weights[: LOW_DRAWS + 1]
            * np.where(each.member, 1 / each.member.sum(), 1 / (~each.member).sum())
            / len(classes)
            for each in classes
        ],
        axis=1,
    )  # (B + 1, N), of sum 1 over members and over the others
    order = np.argsort(-joined, kind="stable")
    ranked, member, weights = joined[order], member[order], weights[:, order]
    last = np.append(ranked[:-1] != ranked[1:], True)  # where equal scores end
    false, true = (np.where(which, weights, 0.0).cumsum(axis=1)[:, last] for which in (~member, member))
    within = (false <= RATE * (1 + 1e-9)).sum(axis=1)  # (B + 1,), since it only grows
    values = np.where(within > 0, true[np.arange(len(true)), np.maximum(within - 1, 0)], 0.0)
    return Drawn(value=float(values[0]), draws=values[1:])


def mean(found: Sequence[Drawn]) -> Drawn:
    """The mean over classes, which are drawn by themselves."""
    return Drawn(
        value=float(np.mean([each.value for each in found])), draws=np.mean([each.draws for each in found], axis=0)
    )


def holm(p: Mapping[int, float]) -> dict[int, float]:
    """p by the position of a class, corrected for all of them (Holm 1979)."""
    order = sorted(p, key=lambda at: p[at])
    adjusted: dict[int, float] = {}
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[at]))
        adjusted[at] = largest
    return adjusted
