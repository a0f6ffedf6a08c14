"""Error spent over a stream of hypotheses whose end nobody knows: e-LOND, on e-values that depend on each other.

Releases that are judged on the same samples share their luck, so that their e-values depend on each other in ways that
nobody can tell. e-LOND needs to know nothing of that (Xu, Ramdas, Online multiple testing with e-values, AISTATS 2024);
LORD++ (Ramdas, Yang, Wainwright, Jordan 2017) would need p-values that are independent. Hypothesis t is rejected where
e_t >= 1 / alpha_t, with

    alpha_t = alpha g_t (R_(t-1) + 1),  g_t = 6 / (pi^2 t^2)

R_(t-1) being how many were rejected before, and the g_t having a sum of 1. A false rejection has alpha_t e_t >= 1, and
of all that are rejected there are at least R_(t-1) + 1, so that its share of them is at most alpha g_t e_t; the mean of
e_t is at most 1, and the sum of all at most alpha.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prune_audit.core import Floats

Flags = npt.NDArray[np.bool_]


def shares(count: int) -> Floats:
    """The shares g_t of the budget that hypotheses 1 to ``count`` have, (T,)."""
    found: Floats = 6 / (np.pi * np.arange(1, count + 1)) ** 2
    return found


def e_lond(log_e: Floats, asked: Flags, alpha: float) -> tuple[Floats, Flags]:
    """The level alpha_t of each of T hypotheses, in their order, and which of them are rejected, (T,) each.

    Of the ``log_e`` (T,), natural logarithms, only those count that were ``asked`` (T,): the others use up their share
    of the budget, and are not rejected.
    """
    levels, rejected, before = np.empty(len(log_e)), np.zeros(len(log_e), bool), 0
    for t, share in enumerate(shares(len(log_e))):
        levels[t] = alpha * share * (before + 1)
        rejected[t] = asked[t] and log_e[t] >= -np.log(levels[t])
        before += int(rejected[t])
    return levels, rejected


def log_mean_e(log_e: Floats) -> float:
    """The logarithm of the mean of e-values, given as logarithms (S,); -inf is an e-value of 0.

    A mean of e-values is one, however they depend on each other: it is against all of their hypotheses at once (Vovk,
    Wang, Annals of Statistics 49 (2021) 1736-1754).
    """
    most = float(np.max(log_e))
    return most if np.isneginf(most) else most + float(np.log(np.exp(log_e - most).mean()))
