"""With --until-settled: verdicts that may be looked at all the while, and the samples that they spared.

To look again and again at an interval that was made for one look is to convict and acquit by luck. These verdicts stay
right however often one looks and whenever one stops, so that no sample is run that is not needed any more.

    e = mean over bets of the product of 1 + bet / (1 + m) (outcome - m)
    regressed: e at the margin >= 2 / (1 - confidence), and in the e-BH set
    fine: e of bets below the assurance limit >= 2 / (1 - confidence)

An e-value is what a capital of 1 has become that was bet on the samples, one after the other, at odds that are fair if
the class lost just the limit (m); the outcome is 1 for a sample that is lost, -1 for one that is gained, else 0. Its
average is at most 1 then, whenever one looks, so that it ever reaches 40 in at most 2.5 % of classes (Ville 1939;
Waudby-Smith, Ramdas 2024). e (regressed) is against a drop of at most the margin, e (fine) against one of at least the
assurance limit. The interval of the change is the confidence sequence, all changes that neither has refuted: it holds
at all times at once, which an interval does not, and is wider for it. Regressed must hold for a list of classes, too:
those of the k largest e-values, of C classes, that are at least 20 C / k each (e-BH: Wang, Ramdas 2022), of which 5 %
are false on average. An e-value beyond 1e300 stands as 1e300.

They speak of new samples, not of what an audit of all these data would say. Which samples were run depends on what
came before, so that the recalls, the change seen and all that is made of them are biased (a true drop of 10 points
reads 11.7 when it is settled), and are left out: run all data for them. Samples spared were there and were not run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prune_audit.core import CANNOT_TELL, FINE, REGRESSED, Array, Counts, Floats, Measure, Pair, Settings
from prune_audit.stats import _betting
from prune_audit.stats._adjust import e_bh
from prune_audit.stats._column import SAME, column, without_samples

RANK = 300
SEQUENTIAL = "only"
MOST = 1e300  # that an e-value is shown as
BIASED = "a change that was seen until it was settled is biased: read the confidence sequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of C classes at some time: e-values as logarithms, and which verdicts they settle, each (C,).

    ``beyond`` says that a drop beyond the margin is shown of the class by itself, ``regressed`` that it is within the
    e-BH set as well.
    """

    log_e_regressed: Floats
    log_e_fine: Floats
    beyond: npt.NDArray[np.bool_]
    regressed: npt.NDArray[np.bool_]
    fine: npt.NDArray[np.bool_]

    @property
    def settled(self) -> npt.NDArray[np.bool_]:
        """Which classes need no further sample (C,)."""
        return self.regressed | self.fine


def evidence(lost: Array, gained: Array, n: Array, drawn_from: Array, settings: Settings) -> Evidence:
    """The evidence on classes, from their counts (C,); those with something to draw from are the family of the list."""
    alpha = 1 - settings.confidence
    up = _betting.log_e(lost, gained, n, settings.margin)
    down = _betting.log_e(gained, lost, n, -settings.assure)
    beyond, fine = up >= np.log(2 / alpha), down >= np.log(2 / alpha)
    family, listed = np.asarray(drawn_from) > 0, np.zeros(len(up), bool)
    listed[family] = e_bh(up[family], alpha)
    regressed = beyond & listed
    return Evidence(log_e_regressed=up, log_e_fine=down, beyond=beyond, regressed=regressed, fine=fine & ~regressed)


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Verdict with its reason, the confidence sequence of the change, both e-values, and samples spared."""
    n = pair.support  # (S,)
    there: Counts = n if pair.drawn_from is None else pair.drawn_from
    found = evidence(pair.lost, pair.gained, n, there, settings)
    low, high = _betting.sequence(pair.lost, pair.gained, n, settings.confidence)
    if pair.same_model:
        low, high = np.zeros(len(n)), np.zeros(len(n))
    absent, size = without_samples(pair), int((there > 0).sum())
    verdict = np.select([found.regressed, found.fine | pair.same_model], [REGRESSED, FINE], CANNOT_TELL)
    margin, assure = f"{100 * settings.margin:g}", f"{100 * settings.assure:g}"
    classes = "1 class" if size == 1 else f"{size:,} classes"

    def reason(i: int) -> str:
        if pair.same_model:
            return SAME
        sure = f"{100 * settings.confidence:g} % confidence sequence of the drop"
        said = f"{sure} {100 * low[i]:.1f} to {100 * high[i]:.1f} points"
        if found.regressed[i]:
            return f"{said}, beyond the margin of {margin}"
        if found.fine[i]:
            return f"{said}, below {assure}"
        if found.beyond[i]:
            return f"suspect: {said}, beyond the margin of {margin}, but not in the e-BH set of {classes}"
        return f"{'not settled' if there[i] > n[i] else 'too few samples'}: {said}"

    def e_value(logs: Floats) -> Floats:
        return np.minimum(np.exp(np.minimum(logs, 700)), MOST)  # e^709 is more than a double holds

    biased = dict.fromkeys(range(len(n)), BIASED) | absent
    change = column("change", "change", "points", np.zeros(len(n)), biased)
    some = n > 0
    return (
        column("verdict", "verdict", "label", verdict, absent),
        column("reason", "why", "label", np.array([reason(i) for i in range(len(n))], object), absent),
        Measure(
            name=change.name,
            title=change.title,
            unit=change.unit,
            by_stratum=change.by_stratum,
            low=_limits(-high, some),
            high=_limits(-low, some),
            absent=change.absent,
        ),
        column("e_regressed", "e (regressed)", "ratio", e_value(found.log_e_regressed), absent),
        column("e_fine", "e (fine)", "ratio", e_value(found.log_e_fine), absent),
        column("samples_spared", "samples spared", "count", there - n, {}, overall=int((there - n).sum())),
    )


def _limits(values: Floats, some: Array) -> tuple[float | None, ...]:
    """Limits (S,) where there are ``some`` samples; no change is 0, not -0."""
    return tuple(0.0 + value if seen else None for value, seen in zip(values.tolist(), some.tolist(), strict=True))
