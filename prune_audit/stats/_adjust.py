"""p-values corrected for how many strata were looked at.

Benjamini and Hochberg 1995 (share of false flags, the default), Benjamini and Yekutieli 2001 (the same under any
dependence), Holm 1979 and Bonferroni (no false flag at all); of e-values, Wang and Ramdas 2022. A hypothesis that could
not be tested is NaN and no member of the family: counting it would hide true findings behind empty classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prune_audit.core import Correction, Floats


def adjusted(p: Floats, correction: Correction) -> Floats:
    """Corrected p-values (S,), NaN where ``p`` is NaN; at most 1."""
    q = np.full_like(p, np.nan)
    tested = ~np.isnan(p)
    m = int(tested.sum())
    if not m:
        return q
    order = np.argsort(p[tested], kind="stable")
    rising = p[tested][order]  # (m,)
    rank = np.arange(1, m + 1)
    match correction:
        case "fdr_bh" | "fdr_by":
            penalty = float((1 / rank).sum()) if correction == "fdr_by" else 1.0
            corrected = np.minimum.accumulate((rising * m * penalty / rank)[::-1])[::-1]
        case "holm":
            corrected = np.maximum.accumulate(rising * (m - rank + 1))
        case "bonferroni":
            corrected = rising * m
        case "none":
            corrected = rising
    back = np.empty(m)
    back[order] = np.minimum(corrected, 1.0)
    q[tested] = back
    return q


def next_level(correction: Correction, alpha: float, tested: int, rejected: int) -> float:
    """The p-value at which one more of ``tested`` hypotheses would be rejected beside ``rejected`` others."""
    match correction:
        case "fdr_bh":
            return alpha * (rejected + 1) / tested
        case "fdr_by":
            return alpha * (rejected + 1) / tested / float((1 / np.arange(1, tested + 1)).sum())
        case "holm":
            return alpha / max(tested - rejected, 1)
        case "bonferroni":
            return alpha / tested
        case "none":
            return alpha


def e_bh(log_e: Floats, alpha: float) -> npt.NDArray[np.bool_]:
    """Which of C hypotheses are rejected by their e-values, given as logarithms (C,).

    The k largest, for the largest k of which all are at least C / (k alpha). The share of false ones among them is at
    most ``alpha`` on average, however the e-values depend on each other (Wang, Ramdas, Journal of the Royal
    Statistical Society B 84 (2022) 822-852).
    """
    count = len(log_e)
    order = np.argsort(-log_e, kind="stable")
    enough = log_e[order] >= np.log(count / (np.arange(1, count + 1) * alpha))
    rejected = np.zeros(count, bool)
    rejected[order[: int(enough.nonzero()[0].max(initial=-1)) + 1]] = True
    return rejected
