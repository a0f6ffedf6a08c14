"""Lists of flags as they are printed: false discovery, false alarms under Holm, and what they find.

Verdicts are read from the very columns that a report prints. An audit whose corrected p-values are all above .05 can
bear no flag, so that only the others are measured in full.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Array, Correction, Counts, Floats, Pair, Settings
from prune_audit.stats import distortion, mcnemar, verdict
from prune_audit.stats._adjust import adjusted
from tests.benchmarks import _rivals
from tests.benchmarks._audits import ALONE, DEFAULT, EQUAL, HARMED, Found, flattened, floats, named, p_of_harm
from tests.benchmarks._bars import Row, mean, rate
from tests.benchmarks._draws import MARGIN, RETAINED, Cell


def convicted(draws: Counts, p: Floats, name: str, settings: Settings) -> Array:
    """Which classes (A, C) the verdict ``name`` convicts, as a report would print it."""
    flagged = np.zeros(p.shape, bool)
    fails = {"verdict": ("regressed",), "distortion": HARMED}[name]
    module = {"verdict": verdict, "distortion": distortion}[name]
    for i, row in enumerate(p):
        # Two classes are one hypothesis of harm, which `distortion` does not correct.
        correction: Correction = "none" if len(row) == 2 else settings.correction
        if not (adjusted(row, correction) <= 1 - settings.confidence).any():
            continue
        labels = named(module.measure(Pair.of(draws[i]), settings))[name].by_stratum
        flagged[i] = [label in fails for label in labels]
    return flagged


def p_at_margin(draws: Counts) -> Floats:
    """One-sided p (A, C) of a drop beyond the margin, each class as one of its audit's; NaN where it was never right.

    A sum of outcomes with a part that depends on the number of classes: `ALONE` would ask for another one.
    """
    both, lost, gained, neither = draws.reshape(-1, 4).T
    p = verdict.at_margin(lost, gained, both + lost + gained + neither, DEFAULT, draws.shape[1])
    return np.where(both + lost > 0, p, np.nan).reshape(draws.shape[:2])


def _false_share(flagged: Array, false: Array) -> tuple[float, float]:
    """False discovery rate of ``flagged`` (A, C)."""
    return mean((flagged & false).sum(axis=1) / np.maximum(flagged.sum(axis=1), 1))


def flag_lists(section: str, cell: Cell) -> list[Row]:
    """False discovery and false alarms of whole lists, as they are printed, and what of the truth they find."""
    draws, out = cell.draw(), Found(section, cell)
    everything = np.ones(len(cell.n), bool)
    shape = draws.shape[:2]
    flat = flattened(draws)
    p = floats(named(mcnemar.measure(flat, ALONE))["p_value"].by_stratum).reshape(shape)
    q = np.array([adjusted(row, "fdr_bh") for row in p])
    null = np.abs(cell.drop) < EQUAL
    at_boundary = 0.05 if null.all() else 0.07
    if null.any():
        out.add("FDR of q", _false_share(q <= 0.05, null), most=0.05)
    if null.all():
        holm = np.array([adjusted(row, "holm") for row in p])
        out.add("FWER of q, Holm", rate(np.any(holm <= 0.05, axis=1)), most=0.05)

    p_regressed = p_at_margin(draws)
    p_harmed = p_of_harm(draws, everything)
    strict = Settings(correction="holm")
    for name, verdict_name, p_list, false in (
        ("regressed", "verdict", p_regressed, cell.drop <= MARGIN + EQUAL),
        ("harmed", "distortion", p_harmed, cell.retention >= RETAINED - EQUAL),
    ):
        flagged = convicted(draws, p_list, verdict_name, DEFAULT)
        out.add(f"FDR of {name}", _false_share(flagged, false), most=at_boundary)
        by_holm = convicted(draws, p_list, verdict_name, strict)
        out.add(f"FWER of {name}, Holm", rate(np.any(by_holm & false, axis=1)), most=0.05)
        if not false.all():
            out.add(f"found {name}", rate(flagged[:, ~false]))

    z = _rivals.delta(draws)
    q_delta = np.array([adjusted(row, "fdr_bh") for row in _rivals.two_sided(z)])
    out.add("FDR of delta method", _false_share((q_delta <= 0.05) & (z < 0), cell.retention >= 1 - EQUAL))
    return out.rows


def power(section: str, quantity: str, cell: Cell) -> list[Row]:
    """How often what is there is found, beside the rival that would be asked instead."""
    draws, out = cell.draw(), Found(section, cell)
    if quantity == "fine":
        said = named(verdict.judgements(flattened(draws), ALONE))["verdict"].by_stratum
        out.add("found fine", rate(np.array(said, object).reshape(draws.shape[:2]) == "fine"), least=_floor(cell))
        return out.rows
    focus = cell.focus
    if quantity == "regressed":
        flagged = convicted(draws, p_at_margin(draws), "verdict", DEFAULT)
        out.add("found regressed", rate(flagged[:, focus]), least=_floor(cell))
        p = floats(named(mcnemar.measure(flattened(draws), ALONE))["p_value"].by_stratum).reshape(draws.shape[:2])
        for name, tested in (("McNemar's q", p), ("unpaired test", _rivals.two_sided(_rivals.unpaired(draws)))):
            q = np.array([adjusted(row, "fdr_bh") for row in tested])
            out.add(f"found by {name}", rate((q <= 0.05)[:, focus]))
        return out.rows
    flagged = convicted(draws, p_of_harm(draws, np.ones(len(cell.n), bool)), "distortion", DEFAULT)
    out.add("found harmed", rate(flagged[:, focus]))
    out.add("found by naive rule", rate(_rivals.naive(draws)[:, focus]))
    return out.rows


def _floor(cell: Cell) -> float | None:
    """The least power that is asked of a cell."""
    return {
        ("one class of 100 lost 30 points", "100 x 100"): 0.9,
        ("nothing changed, churn 6 %", "100 x 200"): 0.72,
    }.get((cell.row, cell.name))
