"""Did pruning push the class down within its model: harmed, no harm shown, or cannot tell.

A class that kept 80 % of its recall where the rest kept 95 % has a retention of .84: it paid more for the pruning than
others did. It is harmed where the samples show that its retention is below the margin of .95, not where they hint it.

    retention = (pruned recall / dense recall) / (the same of the rest)
    harmed: retention shown below the margin, q <= .05, samples were lost

A harmed class bears the name of what happened to it, where the dense model's own interval shows where it stood:
`intensified` (weak before, weaker now: what Good et al. 2022 mean), `flipped` (strong before, weak now), `created`
(level before, within 1 - margin of the accuracy), else plain `harmed`. A class that is shown to end above its model is
not harmed. `no harm shown` says that a retention below the margin is ruled out, or that a class kept less only because
the rest gained, and lost nothing on balance. No flips are no proof: without any, it takes some 75 to 80 samples that
the dense model got right, and with fewer the class reads `cannot tell`. `levelled down` (strong, and fell towards the
rest) and `held better` describe and never gate: where some classes are harmed, all others truly gain in relative terms.

Retention of 1 says the same as an unchanged normalised balance, but does not shrink with the size of the rest. Score
test with a closed-form fit (Nam, Blackwelder 2002, for the paired ratio), one-sided, corrected within this variant
and stratification; its interval inverts it. The test of harm is corrected for skewness (Gart, Nam 1988), the interval
is not. With two classes there is one hypothesis, tested once. `balance_change`
is the paper's scale: pruned balance - dense balance.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from prune_audit.core import CANNOT_TELL, HARMED, Array, Distortion, Measure, Pair, Settings
from prune_audit.stats import _balance_interval, _retention
from prune_audit.stats._adjust import adjusted
from prune_audit.stats._balance import balance
from prune_audit.stats._clusters import DENSE, PRUNED
from prune_audit.stats._collapse import collapsed
from prune_audit.stats._column import SAME, column, nothing_to_lose, without_samples
from prune_audit.stats._effective_counts import share_of, sides, student, too_few
from prune_audit.stats._retention import Side

RANK = 100

LEVELLED: Distortion = "levelled down"
BETTER: Distortion = "held better"
NO_HARM: Distortion = "no harm shown"


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Distortion with its reason, retention with its interval, q of the test of harm, standing, change of balance."""
    (own, rest), (own_at, rest_at) = (sides(pair, settings, confidence=c) for c in (None, settings.confidence))
    absent = _absent(pair, own, rest, settings)
    tested = np.ones(len(pair.strata), bool)
    tested[list(absent)] = False
    # Strata without a verdict get counts that every formula can digest; their results are not shown.
    filler = Side(**dict.fromkeys(("both", "lost", "gained", "n"), np.ones(len(tested))))
    own, rest, own_at, rest_at = (filler.where(tested, side) for side in (own, rest, own_at, rest_at))

    margin, alpha = settings.retention_margin, 1 - settings.confidence
    value, low, high = _retention.interval(own_at, rest_at, settings.confidence)
    p = student(pair, ndtr(_retention.skewness_corrected(own, rest, np.full(len(tested), margin))), "both")
    p = np.where(tested, p, np.nan)
    # Two classes cannot both be harmed relative to each other, so there is nothing to correct for.
    two = int((pair.support > 0).sum()) == int(tested.sum()) == 2
    q = p if two else adjusted(p, settings.correction)
    if pair.same_model:
        value, low, high = np.ones((3, len(tested)))
        q = np.where(tested, 1.0, np.nan)

    dense, dense_absent = _standing_of(pair, "dense", settings)
    after, _ = _standing_of(pair, "pruned", settings)
    shown = (q <= alpha) & (high < margin)
    fell = pair.lost > pair.gained
    harmed = shown & fell & (after != "strong")
    kinds: list[Distortion] = [*HARMED, LEVELLED, CANNOT_TELL, LEVELLED, BETTER]
    distortion = np.select(
        [
            harmed & (dense == "weak"),
            harmed & (dense == "strong") & (after == "weak"),
            harmed & (dense == "level"),
            harmed,
            shown & fell,
            ~shown & (low < margin) & ((high >= margin) | fell),
            (dense == "strong") & (high < 1) & fell,
            low > 1,
        ],
        kinds,
        NO_HARM,
    )
    m = int(tested.sum())
    many, things = pair.task.strata(pair.by)[1], pair.task.thing[1]

    def reason(i: int) -> str:
        if pair.same_model:
            return SAME
        found = (
            f"kept {100 * value[i]:.1f} % of what the rest kept, "
            f"{100 * settings.confidence:g} % interval {100 * low[i]:.1f} to {100 * high[i]:.1f} %"
        )
        if distortion[i] == CANNOT_TELL:
            few = high[i] >= margin
            found = (
                f"{too_few(pair, i)}: {found}" if few else f"suspect: {found}, but not after correction for {m} {many}"
            )
        elif shown[i] and not fell[i]:
            found += f", without losing {things} on balance"
        elif shown[i] and not harmed[i]:
            found += ", and still stands above the model"
        return f"{found}; this row and the other are one finding" if two else found

    (before, no_before), (now, no_now) = balance(pair, "dense", settings), balance(pair, "pruned", settings)
    return (
        column("distortion", "distortion", "label", distortion, absent),
        column("distortion_reason", "why", "label", np.array([reason(i) for i in range(len(tested))], object), absent),
        column("retention", "retention", "ratio", value, absent, limits=(low, high)),
        column("q_harmed", "q (harmed)", "p", q, absent),
        column("dense_standing", "stood before", "label", dense, dense_absent),
        column("balance_change", "change of balance", "ratio", now - before, no_before | no_now),
    )


def _alone(pair: Pair) -> str:
    return f"there are no other {pair.task.thing[1]} to compare with"


def _absent(pair: Pair, own: Side, rest: Side, settings: Settings) -> dict[int, str]:
    """Why a stratum has no distortion, the first reason that applies."""
    why_not = collapsed(pair, settings)
    reasons: dict[int, str] = {}
    for mask, reason in (
        (rest.pruned == 0, "the rest kept nothing"),
        (rest.dense == 0, "the dense model is never right on the rest"),
        (own.dense == 0, nothing_to_lose(pair)),
        (rest.n == 0, _alone(pair)),
        (np.full(len(own.n), why_not is not None), why_not or ""),
    ):
        reasons |= {int(i): reason for i in mask.nonzero()[0]}
    return reasons | without_samples(pair)


def _standing_of(pair: Pair, which: str, settings: Settings) -> tuple[Array, dict[int, str]]:
    """`weak`, `strong`, `level` or `unknown` per stratum (S,): only what the balance's own interval shows."""
    contrast = DENSE if which == "dense" else PRUNED
    own, rest = sides(pair, settings, contrast, confidence=settings.confidence)
    right, rest_right = (own.dense, rest.dense) if which == "dense" else (own.pruned, rest.pruned)
    absent = {int(i): f"the {which} model is never right" for i in (right + rest_right == 0).nonzero()[0]}
    absent |= {int(i): _alone(pair) for i in (rest.n == 0).nonzero()[0]} | without_samples(pair)
    usable = np.ones(len(right), bool)
    usable[list(absent)] = False
    a, b, c, d = (np.where(usable, counts, 1) for counts in (right, own.n, rest_right, rest.n))
    low, high = _balance_interval.interval(a, b, c, d, share_of(pair, settings), settings.confidence)
    band = 1 - settings.retention_margin
    standing = np.select([high < 0, low > 0, (low >= -band) & (high <= band)], ["weak", "strong", "level"], "unknown")
    return standing, absent
