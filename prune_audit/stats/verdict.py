"""Has the class lost more than the margin: regressed, fine, or cannot tell.

Regressed says that a drop beyond the margin (2 points unless set) is shown, fine that a drop beyond the assurance limit
(5 points unless set) is ruled out. Cannot tell says that these samples show neither.

    regressed: low > margin and q <= .05
    fine: high < assurance limit
    low, high: the 95 % interval of the drop, (lost - gained) / n

What fails and what is assured are two numbers (2 and 5 points unless set), because proving the absence of a 2-point
drop takes thousands of samples per class. The interval alone would convict too many among many classes and the
corrected p-value alone could contradict the interval, so conviction needs both; both come from one score function
(Tango 1998). p is one-sided at the margin: the chance of such a score where the drop is just that, counted out for
whatever share may be gained (Berger, Boos 1994), because far in the tail no normal curve holds. With --cluster the
score is corrected for skewness instead (Gart, Nam 1988) and is held to Student's t; below 10 clusters a class that
cannot be told has too few clusters. p is corrected within this variant, this verdict and this
stratification; one above .1 stands as 1, since it decides nothing. Fine is a claim about each class by itself: of 1,000
classes that all lost 3 points, some 30 would read fine at 2. A class that the dense model never gets right has nothing
to lose: it has no verdict and is not counted among the others.

The worst plausible drop is the upper limit of the interval; over the model it is the largest of all classes' upper
limits at a confidence that holds for all of them at once (Bonferroni): no class with a verdict lost more. A pass is
no clearance: it is bounded by that number. The samples needed, in all, would settle a cannot tell in four of five
cases if lost and gained keep their rates, and so would any larger number: every outcome of so many samples is counted
out, and settled is fine where the drop seen is below the assurance limit and regressed where it is beyond the margin,
whichever comes where it is between. The number is exact where few are gained, and within a few per cent elsewhere.
Counts are whole, so that some smaller numbers may do as well by luck: after 107 samples with one lost and none gained
142 to 164 would, 165 to 172 would not, and 173 and all larger ones do. Who collects more must not be worse off.

Where classes share a highest score exactly, the lower index counts as predicted. Where that alone decides a verdict,
the reason says so, and gives the verdict on the counts as they are on average if ties are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prune_audit.core import CANNOT_TELL, FINE, REGRESSED, Array, Floats, Measure, Pair, Settings, Value
from prune_audit.stats import _margin_test, _tango
from prune_audit.stats._adjust import adjusted, next_level
from prune_audit.stats._column import NO_TIES, SAME, column, no_things, nothing_to_lose, without_samples
from prune_audit.stats._effective_counts import sides, student, too_few
from prune_audit.stats._mcnemar import mid_p
from prune_audit.stats._planning import MOST, POWER, samples_to_settle

RANK = 90

SETTLED = "settled"


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Verdict with its reason, q of the test at the margin, worst plausible drop, samples needed to settle."""
    judged = judgements(pair, settings)
    return (*judged[:-1], needed(pair, settings, judged[0].by_stratum), judged[-1])


def judgements(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """All of `measure` but the samples needed, which take longer than the rest together."""
    some, tested = pair.support > 0, pair.both + pair.lost > 0  # (S,)
    absent = {int(i): nothing_to_lose(pair) for i in (~tested).nonzero()[0]} | without_samples(pair)
    m, alpha = int(tested.sum()), 1 - settings.confidence
    lost, gained, n = _counted(pair, settings, settings.confidence)
    low, high = _tango.interval(lost, gained, n, settings.confidence)
    shared = 1 - alpha / max(m, 1)
    worst = float(_tango.interval(*_counted(pair, settings, shared), shared)[1][tested].max()) if m else None
    q = _q(pair, _counted(pair, settings), tested, settings)
    drawn = _drawn(pair, settings)
    if pair.same_model:
        low, high, worst, q = np.zeros(len(n)), np.zeros(len(n)), 0.0 if m else None, np.where(tested, 1.0, np.nan)

    verdict = _judged(low, high, q, settings)
    regressed, fine = verdict == REGRESSED, verdict == FINE
    suspect = ~regressed & ~fine & (low > settings.margin)
    p = 2 * student(pair, mid_p(*_counted(pair, settings)[:2]) / 2)
    real = adjusted(np.where(some, p, np.nan), settings.correction) <= alpha
    noun = pair.task.strata(pair.by)[1]
    margin, assure = f"{100 * settings.margin:g}", f"{100 * settings.assure:g}"

    def reason(i: int) -> str:
        if drawn is None or drawn[i] == verdict[i]:
            return plain(i)
        return f"{plain(i)}; ties alone decide this: with ties shared equally {drawn[i]}"

    def plain(i: int) -> str:
        found = f"{100 * settings.confidence:g} % interval of the drop {100 * low[i]:.1f} to {100 * high[i]:.1f} points"
        if pair.same_model:
            return SAME
        if regressed[i]:
            return f"{found}, beyond the margin of {margin}"
        if fine[i]:
            small = "real but small: " if real[i] and lost[i] > gained[i] else ""
            return f"{small}{found}, below {assure}"
        if suspect[i]:
            return f"suspect: {found}, beyond the margin of {margin}, but not after correction for {m} {noun}"
        return f"{too_few(pair, i)}: {found}"

    return (
        column("verdict", "verdict", "label", verdict, absent),
        column("reason", "why", "label", np.array([reason(i) for i in range(len(n))], object), absent),
        column("q_regressed", "q (regressed)", "p", q, absent),
        column(
            "worst_plausible_drop",
            "worst plausible drop",
            "points",
            high,
            absent,
            overall=worst,
            overall_absent=None if m else nothing_to_lose(pair) if some.any() else no_things(pair),
        ),
        column(
            "verdict_ties_shared",
            "verdict if ties were shared",
            "label",
            verdict if drawn is None else drawn,
            (dict.fromkeys(range(len(n)), NO_TIES) if drawn is None else {}) | absent,
        ),
    )


def at_margin(lost: Array, gained: Array, n: Array, settings: Settings, classes: int) -> Floats:
    """One-sided p (S,) of a drop of at most the margin, for one of ``classes`` that are corrected together.

    1 where the drop is not far above the margin (`_margin_test.UNSEEN`); ``n`` must be positive.
    """
    level = (1 - settings.confidence) / (1 if settings.correction == "none" else max(classes, 1))
    least = min(_margin_test.UNSEEN, _tango.two_sided(settings.confidence))  # below it the interval holds the margin
    return _margin_test.p_values(lost, gained, n, settings.margin, level, least)


def _counted(pair: Pair, settings: Settings, confidence: float | None = None) -> tuple[Array, Array, Array]:
    """Lost, gained and n (S,) of each stratum, as `sides` has them; n is 1 where there are no samples."""
    own, _ = sides(pair, settings, confidence=confidence)
    return own.lost, own.gained, np.where(pair.support > 0, own.n, 1)


def _q(pair: Pair, counted: tuple[Array, Array, Array], tested: Array, settings: Settings) -> Floats:
    """Corrected p-values (S,) at the margin from lost, gained and n, (S,) each; NaN where nothing is ``tested``."""
    p = np.full(len(tested), np.nan)
    lost, gained, n = (counts[tested] for counts in counted)
    p[tested] = at_margin(lost, gained, n, settings, int(tested.sum()))
    return adjusted(student(pair, p), settings.correction)


def _judged(low: Floats, high: Floats, q: Floats, settings: Settings) -> Array:
    """The verdict (S,) on drops between ``low`` and ``high`` (S,), whose corrected p-value at the margin is ``q``."""
    regressed = (low > settings.margin) & (q <= 1 - settings.confidence)
    return np.select([regressed, high < settings.assure], [REGRESSED, FINE], CANNOT_TELL)


def _drawn(pair: Pair, settings: Settings) -> Array | None:
    """The verdict (S,) on the counts as they are on average if exact ties are drawn; None where there are none."""
    ties = pair.ties
    if ties is None or pair.same_model:
        return None

    def counted(confidence: float | None = None) -> tuple[Array, Array, Array]:
        n = _counted(pair, settings, confidence)[2]
        scale = n / np.maximum(pair.support, 1)
        return ties.lost * scale, ties.gained * scale, n

    low, high = _tango.interval(*counted(settings.confidence), settings.confidence)
    return _judged(low, high, _q(pair, counted(), pair.both + pair.lost > 0, settings), settings)


def needed(pair: Pair, settings: Settings, verdicts: Sequence[Value], power: float = POWER) -> Measure:
    """How many samples in all each stratum that is undecided by ``verdicts`` (S,) takes, settled with ``power``.

    Where samples belong to clusters, they are samples that belong together as those seen do, and as few clusters.
    """
    _, _, n = _counted(pair, settings, settings.confidence)
    open_ = np.array([label == CANNOT_TELL for label in verdicts], bool)
    judged = sum(label is not None for label in verdicts)
    convicted = sum(label == REGRESSED for label in verdicts)
    level = next_level(settings.correction, 1 - settings.confidence, max(judged, 1), convicted)
    shares = np.stack([n, pair.lost / np.maximum(pair.support, 1), pair.gained / np.maximum(pair.support, 1)])
    alike, which = np.unique(shares[:, open_], axis=1, return_inverse=True)
    worth = samples_to_settle(
        *alike, margin=settings.margin, limit=settings.assure, level=level, confidence=settings.confidence, power=power
    )
    samples = np.zeros(len(n))
    # What samples are worth comes from sums of squares of counts, in which the last digits are rounded.
    samples[open_] = np.ceil(worth[which.reshape(-1)] * pair.support[open_] / n[open_] * (1 - 1e-12))
    absent = {i: SETTLED for i, label in enumerate(verdicts) if label in (REGRESSED, FINE)}
    absent |= {i: nothing_to_lose(pair) for i, label in enumerate(verdicts) if label is None} | without_samples(pair)
    things = pair.task.thing[1]
    too_many = f"the drop seen is all but the margin: more than {MOST:,} {things}"
    hopeless = {int(i): too_many for i in np.isinf(samples).nonzero()[0]}
    return column("samples_needed", f"{things} needed", "count", _whole(samples), hopeless | absent)


def _whole(needed: Floats) -> Array:
    """The next whole numbers, (S,) as Python integers; infinities as they are."""
    return np.array([int(np.ceil(x)) if np.isfinite(x) else x for x in needed], object)
