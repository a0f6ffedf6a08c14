"""How many samples a verdict takes, counted out before there are any.

Samples of a class are lost, gained or neither: a multinomial, whose every outcome has its verdict. Summed over what is
gained, the outcomes of one verdict are an interval of what is lost, because the score rises with every sample lost; so
a power is one sum of binomial tails, exact, and no simulation.

Counts are whole, so that a power rises in a saw: it jumps where one more lost sample is allowed, and falls a little
until the next one is. What is asked for here is the number *from which on* a power holds, at each larger number, too,
and not the first tooth that reaches it: who collects ten more than were asked for must not be worse off. It is found by
going down, sample by sample, from a number at which the power would hold with one lost sample fewer: no larger number
has less, not even in the trough of its tooth. Where more than a few samples are gained, the teeth of their counts fall
into one another's gaps, so that there is nothing to go down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy.special import bdtr, ndtr, ndtri

from prune_audit.core import Array, Correction, Floats
from prune_audit.stats import _binomial, _margin_test, _tango
from prune_audit.stats._adjust import next_level
from prune_audit.stats._root import HALVINGS, first_count

POWER = 0.8
"""The usual convention for a planned study: found in four of five cases."""

MOST = 1 << 20
"""Samples of a class beyond which no plan is sought."""

FAR = 20_000
"""Beyond so many samples the teeth are below a hundredth of them, and the normal curve says the number."""

LEFT_OUT = 1e-4
"""Of the chance that a plan may miss, what is left out of a sum over what may be gained."""

TOGETHER, STRIDE, STEPS = 128, 16, 3
"""Classes in one table of outcomes; sizes of each looked at together, going down; steps to where a power is reached."""

TEETH, GRAIN = 5.0, 200
"""Where fewer samples are gained, each number is looked at down to the last trough, of larger ones each 200th part."""

Boundary: TypeAlias = Callable[[Floats, Floats, Floats], Floats]
"""The fewest lost that are not fine any more, or that convict, of what is gained, of all samples and of the most."""


# ------------------------------------------------------------------------------------------------------ one class


def chance_fine(n: int, lost: float, gained: float, limit: float, confidence: float = 0.95) -> float:
    """P(the interval of the drop lies below ``limit``), where these shares of ``n`` samples are lost and gained."""
    of = _likely(n, gained)  # (J,)
    too_many = _not_fine(limit, confidence)(of, np.full_like(of, n), n - of)
    return float(_binomial.mass(of, n, gained) @ _below(too_many, n - of, _given(*_shares(lost, gained))))


def chance_regressed(
    n: int,
    lost: float,
    gained: float,
    margin: float,
    confidence: float = 0.95,
    classes: int = 1,
    correction: Correction = "fdr_bh",
) -> float:
    """P(the drop is shown beyond ``margin``, interval and exact p), by a class that is corrected as one of ``classes``.

    p is held against its share of the level, as where no other class regressed.
    """
    of = _likely(n, gained)
    enough = _enough(n, of, margin, confidence, classes, correction)
    return float(_binomial.mass(of, n, gained) @ (1 - _below(enough, n - of, _given(*_shares(lost, gained)))))


def smallest_drop_convicted(
    n: int,
    churn: float,
    margin: float,
    *,
    classes: int = 1,
    power: float = POWER,
    confidence: float = 0.95,
    correction: Correction = "fdr_bh",
) -> float | None:
    """The smallest true drop that reads `regressed` with ``power``, to 1e-4; None where not even all lost would.

    The churn is what is seen where nothing is lost on balance: half of it is gained, and the drop is lost besides.
    """
    gained = churn / 2
    of = _likely(n, gained)
    mass, enough = _binomial.mass(of, n, gained), _enough(n, of, margin, confidence, classes, correction)

    def found(drop: float) -> bool:
        return float(mass @ (1 - _below(enough, n - of, _given(*_shares(gained + drop, gained))))) >= power

    low, high = margin, 1 - 2 * gained
    if high <= low or not found(high):
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def _enough(n: int, of: Floats, margin: float, confidence: float, classes: int, correction: Correction) -> Floats:
    """How many lost samples (J,) convict beside each of ``of`` (J,) gained, by the interval and the exact p."""
    z, alpha = _tango.two_sided(confidence), 1 - confidence
    level, share = next_level(correction, alpha, classes, 0), alpha / (1 if correction == "none" else classes)
    size = np.full_like(of, n)

    def shown(at: Floats) -> Array:
        beyond = _tango.score(at, of, size, margin) > z
        p = np.ones_like(of)
        p[beyond] = _margin_test.p_values(at[beyond], of[beyond], size[beyond], margin, share)
        return np.asarray(p <= level)

    return first_count(_convicted(margin, z, -float(ndtri(level)))(of, size, n - of), shown, n - of)


def _shares(lost: float, gained: float) -> tuple[Floats, Floats]:
    return np.array(lost), np.array(gained)


def _likely(n: int, share: float) -> Floats:
    """How many of ``n`` samples may be gained, (J,): the chance of any other number is below 1e-14."""
    sd = np.sqrt(n * share * (1 - share))
    low, high = max(0, int(n * share - 8 * sd - 10)), min(n, int(n * share + 8 * sd + 25))
    return np.arange(low, high + 1.0)


# --------------------------------------------------------------------------------------------------- many classes


def samples_for_fine(
    limit: float, churn: float, *, classes: int = 1, power: float = POWER, confidence: float = 0.95
) -> int | None:
    """How many samples a class, or more, make all of ``classes`` unchanged ones read `fine` with ``power``.

    Half of the ``churn`` is lost and half gained. None where it takes more than `MOST`.
    """
    half = np.array([churn / 2])
    found = samples_to_settle(
        np.zeros(1),
        half,
        half,
        margin=0.0,
        limit=limit,
        confidence=confidence,
        power=power ** (1 / classes),
        exact=True,
    )
    return int(found[0]) if np.isfinite(found[0]) else None


def samples_to_settle(
    n: Floats,
    lost: Floats,
    gained: Floats,
    *,
    margin: float,
    limit: float,
    level: float = 0.0,
    confidence: float = 0.95,
    power: float = POWER,
    exact: bool = False,
) -> Floats:
    """How many samples (K,), more than ``n`` (K,), or any larger number, settle classes with ``power``.

    ``lost`` and ``gained`` (K,) are shares of samples. Unless it is to be ``exact``, which takes 20 times as long, the
    number is so where it is below 200 and few samples are gained, and else within 3 % for 98 of 100 classes drawn at
    random (8 % at most). Settled is `fine` where the drop is below ``limit``, and `regressed` where it is beyond
    ``margin``, whichever of the two comes out where it is between; a verdict that would be wrong settles nothing.
    `regressed` is held against ``level`` by the score corrected for skewness, which is within a few lost samples of the
    exact p; that would take seconds for a thousand classes. Infinite where it takes more than `MOST`.
    """
    z, z_level = _tango.two_sided(confidence), -float(ndtri(level)) if level > 0 else np.inf
    below, above = (_tango.score(lost, gained, np.ones_like(lost), at) for at in (limit, margin))  # of one sample
    drop = lost - gained
    fine, convicted = drop < limit, (drop > margin) & (level > 0)
    below, above = np.where(fine, below, 0), np.where(convicted, above, 0)
    curve, slope = _on_the_curve(np.maximum(n, 1.0), below, above, z, max(z, z_level), power)
    needed = np.where(curve > MOST, np.inf, np.ceil(curve))
    teeth = (curve * gained < TEETH) | exact
    not_fine, enough = _not_fine(limit, confidence), _convicted(margin, z, z_level)
    for these, too_many, convicting in (
        (fine & ~convicted, not_fine, None),
        (~fine & convicted, None, enough),
        (fine & convicted, not_fine, enough),
    ):
        for some in (these & teeth, these & ~teeth):
            at = (some & (curve <= FAR)).nonzero()[0]
            at = at[np.argsort(curve[at], kind="stable")]  # like with like: a table is as wide as its widest row
            for part in np.array_split(at, -(-len(at) // TOGETHER)) if len(at) else ():
                rates = _Rates(lost[part], gained[part], too_many, convicting, LEFT_OUT * (1 - power))
                if teeth[part[0]]:
                    needed[part] = _held_from(n[part], curve[part], rates, power, exact=exact)
                else:
                    needed[part] = _crossing(n[part], curve[part], slope[part], rates, power)
    return needed


def _not_fine(limit: float, confidence: float) -> Boundary:
    z = _tango.two_sided(confidence)

    def boundary(gained: Floats, n: Floats, most: Floats) -> Floats:
        near = _tango.boundary(gained, n, limit, -z)
        return first_count(near, lambda at: np.asarray(_tango.score(at, gained, n, limit) >= -z), most)

    return boundary


def _convicted(margin: float, z: float, z_level: float) -> Boundary:
    def boundary(gained: Floats, n: Floats, most: Floats) -> Floats:
        def shown(at: Floats) -> Array:
            plain, corrected = _tango.with_corrected(at, gained, n, margin)
            return np.asarray((plain > z) & (corrected >= z_level))

        near = _tango.boundary(gained, n, margin, max(z, z_level))
        if z_level > z:
            sd = np.maximum(near - gained - n * margin, 1.0) / z_level  # of the difference, at that score
            at = np.clip(near, 0, most)
            near = at + (z_level - _tango.skewness_corrected(at, gained, n, margin)) * sd
        return first_count(near, shown, most)

    return boundary


def _on_the_curve(n: Floats, below: Floats, above: Floats, z: float, z_c: float, power: float) -> tuple[Floats, Floats]:
    """The sizes (K,), at least ``n``, at which the normal curve has ``power``; beyond `MOST` where none has.

    ``below`` and ``above`` (K,) are the scores of one sample at the limit and at the margin, 0 where they settle
    nothing; the score of k samples is the square root of k times that. Given, too, is how fast the probit of the power
    rises there with that root, (K,).
    """

    def settled(root: Floats) -> Floats:
        return np.where(below < 0, ndtr(-z - below * root), 0) + np.where(above > 0, ndtr(above * root - z_c), 0)

    low, high = np.log(n), np.full_like(n, np.log(2.0 * MOST))
    for _ in range(HALVINGS // 2):
        middle = (low + high) / 2
        short = settled(np.exp(middle / 2)) < power
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    root = np.exp(high / 2)
    ends = (np.clip(settled(at * root), 1e-9, 1 - 1e-9) for at in (0.95, 1.05))
    lower, upper = (ndtri(chance) for chance in ends)
    return np.maximum(n, np.exp(high)), np.maximum((upper - lower) / (0.1 * root), 1e-9)


def _crossing(start: Floats, guess: Floats, slope: Floats, rates: _Rates, power: float) -> Floats:
    """The number above ``start`` (K,) at which the classes are settled with ``power``, (K,), where there are no teeth.

    The probit of the power is nearly a straight line over the square root of n, of the ``slope`` (K,) at first.
    """
    least, wanted = np.floor(start) + 1, float(ndtri(power))
    n = np.maximum(np.ceil(guess), least)
    for _ in range(STEPS):
        chance = np.clip(_Outcomes.at(n, rates).chance(), 1e-6, 1 - 1e-6)
        root = np.sqrt(n) - (ndtri(chance) - wanted) / slope
        n = np.maximum(np.ceil(np.clip(root, np.sqrt(n) / 2, 2 * np.sqrt(n)) ** 2), least)
    found: Floats = n
    return found


def _held_from(start: Floats, guess: Floats, rates: _Rates, power: float, *, exact: bool) -> Floats:
    """The number above ``start`` (K,) from which on the classes are settled with ``power``, (K,)."""
    least = np.floor(start) + 1
    low, high = least - 1, np.maximum(np.ceil(1.05 * guess) + 8, least)
    short = np.arange(len(high))
    while len(short):  # upwards, to where one lost sample fewer would do
        short = short[_Outcomes.at(high[short], rates.of(short)).chance(spared=1) < power]
        low[short], high[short] = high[short], np.ceil(1.2 * high[short]) + 8
    while (wide := high - low > np.maximum(8, high // 16)).any():  # and nearer to the first such number
        at = wide.nonzero()[0]
        middle = np.floor((low[at] + high[at]) / 2)
        held = _Outcomes.at(middle, rates.of(at)).chance(spared=1) >= power
        high[at[held]], low[at[~held]] = middle[held], middle[~held]
    at = np.arange(len(high))
    while len(at):  # down, to the first trough that does not
        step = np.ones(len(at)) if exact else np.maximum(high[at] // GRAIN, 1)
        fewer = high[at, None] - step[:, None] * np.arange(1.0, STRIDE + 1)  # (k, STRIDE)
        chance = _Outcomes.at(np.maximum(fewer, 1).ravel(), rates.of(at.repeat(STRIDE))).chance()
        held = (chance.reshape(fewer.shape) >= power) & (fewer >= least[at, None])
        all_ = held.all(axis=1)
        high[at] -= step * np.where(all_, STRIDE, held.argmin(axis=1))
        at = at[all_]
    found: Floats = high
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Rates:
    """What classes lose and gain, shares (K,); what is not fine any more, and what convicts, None where neither."""

    lost: Floats
    gained: Floats
    too_many: Boundary | None
    enough: Boundary | None
    left_out: float

    def of(self, at: Array) -> _Rates:
        """Those of the classes ``at`` (k,) alone."""
        return replace(self, lost=self.lost[at], gained=self.gained[at])


@dataclass(frozen=True, slots=True, eq=False)
class _Outcomes:
    """Outcomes of ``n`` (K,) samples: ``gained``, where ``likely``, and how many lost are not fine any more or convict.

    Each is (K, J).
    """

    n: Floats
    rates: _Rates
    gained: Floats
    likely: Array
    too_many: Floats | None
    enough: Floats | None

    @classmethod
    def at(cls, n: Floats, rates: _Rates) -> _Outcomes:
        z = -float(ndtri(rates.left_out / 2))
        mean = n * rates.gained
        low = np.maximum(np.floor(mean - z * np.sqrt(mean)), 0)
        high = np.where(mean > 0, np.minimum(np.ceil(mean + z * np.sqrt(mean) + z * z / 4), n), 0)  # (K,)
        of = low[:, None] + np.arange(float((high - low).max()) + 1)  # (K, J), as wide as the widest
        left = np.maximum(n[:, None] - of, 0)

        size = np.broadcast_to(n[:, None], of.shape)
        too_many, enough = (None if each is None else each(of, size, left) for each in (rates.too_many, rates.enough))
        return cls(n, rates, of, of <= high[:, None], too_many, enough)

    def chance(self, spared: int = 0) -> Floats:
        """P(settled), (K,), each boundary being ``spared`` lost samples farther away than it is."""
        n = self.n[:, None]
        left, share = n - self.gained, _given(self.rates.lost, self.rates.gained)[:, None]
        mass = np.where(self.likely, _binomial.mass(np.minimum(self.gained, n), n, self.rates.gained[:, None]), 0.0)
        left, settled = np.maximum(left, 0), np.zeros_like(mass)
        if self.too_many is not None:
            settled += _below(self.too_many - spared, left, share)
        if self.enough is not None:
            settled += 1 - _below(self.enough + spared, left, share)
        chance: Floats = (mass * np.minimum(settled, 1.0)).sum(axis=1)
        return chance


def _given(lost: Floats, gained: Floats) -> Floats:
    """P(lost) of a sample that is not gained, for each class."""
    return np.where(gained < 1, np.minimum(lost / np.where(gained < 1, 1 - gained, 1.0), 1.0), 0.0)


def _below(first: Floats, left: Floats, share: Floats) -> Floats:
    """P(X < first), X ~ Binomial(left, share), of the shape that all have together."""
    none, all_ = first <= 0, first > left
    inside = np.where(none | all_, 1, first)
    return np.where(none, 0.0, np.where(all_, 1.0, bdtr(inside - 1, np.maximum(left, 1).astype(np.int64), share)))
