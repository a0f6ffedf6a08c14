"""Tests and intervals of single classes: false alarms and coverage, beside the rivals' on the same draws."""

from __future__ import annotations

import numpy as np

from prune_audit.core import Pair
from prune_audit.stats import _balance_interval, _retention, change, mcnemar, verdict
from tests.benchmarks import _rivals
from tests.benchmarks._audits import ALONE, DEFAULT, EQUAL, LEVELS, Found, flattened, floats, named, p_of_harm, sides
from tests.benchmarks._bars import Row, rate
from tests.benchmarks._draws import MARGIN, RETAINED, Cell


def per_class(section: str, cell: Cell) -> list[Row]:
    """Tests and intervals of single classes, wherever the truth makes them null."""
    draws, out = cell.draw(), Found(section, cell)
    focus = cell.focus
    shape = (cell.audits, int(focus.sum()))
    seen = draws[:, focus]
    flat = flattened(seen)

    unchanged = np.abs(cell.drop[focus]) < EQUAL
    if unchanged.all():
        p = floats(named(mcnemar.measure(flat, ALONE))["p_value"].by_stratum).reshape(shape)
        out.levels("McNemar", p, most=0.06)
        out.add("unpaired 5 %", rate(_rivals.two_sided(_rivals.unpaired(seen)) <= 0.05))
    if np.abs(cell.drop).max() < EQUAL:
        out.add("naive rule", rate(_rivals.naive(draws)[:, focus]))
    at_margin, at_assure = (np.abs(cell.drop[focus] - at) < EQUAL for at in (MARGIN, DEFAULT.assure))
    if unchanged.all() or at_margin.all() or at_assure.all():
        judged = named(verdict.judgements(flat, ALONE))
        p = floats(judged["q_regressed"].by_stratum).reshape(shape)
        said = np.array(judged["verdict"].by_stratum, object).reshape(shape)
        if unchanged.all():
            out.alarms("margin test 5 %", p <= 0.05, ~np.isnan(p), most=0.06)
        if at_margin.all():
            out.levels("at the margin", p, most=0.07, counted=~np.isnan(p))
            out.alarms("convicted at the margin", said == "regressed", ~np.isnan(p))
        if at_assure.all():
            out.alarms("falsely fine", said == "fine", ~np.isnan(p), most=0.035)

    moved = named(change.measure(flat, DEFAULT))["change"]
    low, high = (floats(limits).reshape(shape) for limits in (moved.low, moved.high))
    out.coverage("interval of change", low, high, -cell.drop[focus])
    if cell.audits >= 1000:
        whole = named(change.measure(Pair.of(draws.sum(axis=1)), DEFAULT))["change"]
        truth = -float(cell.n @ cell.drop) / float(cell.n.sum())
        found = rate((floats(whole.low) <= truth + EQUAL) & (truth - EQUAL <= floats(whole.high)))
        out.add("interval of accuracy", found, least=0.925 if cell.n.sum() >= 30 else None)

    own, rest, usable = sides(draws, focus)
    counted = usable.reshape(shape)
    if (np.abs(cell.retention[focus] - 1) < EQUAL).all():
        z = _retention.score(own, rest, np.ones(len(usable))).reshape(shape)
        out.levels("retention", _rivals.two_sided(z), most=0.06, counted=counted)
        for level, name in LEVELS:
            p = _rivals.two_sided(_rivals.delta(draws)[:, focus])
            out.add(f"delta method {name}", rate(p <= level))
    if (cell.retention[focus] >= RETAINED - EQUAL).all():
        at = (np.abs(cell.retention[focus] - RETAINED) < EQUAL).all()
        out.levels("harm", p_of_harm(draws, focus), most=0.07 if at else 0.06, counted=counted)
    _, low, high = _retention.interval(own, rest, DEFAULT.confidence)
    low, high = (np.where(counted, limits.reshape(shape), np.nan) for limits in (low, high))
    out.coverage("interval of retention", low, high, cell.retention[focus])

    right, rest_right = own.dense, rest.dense
    low, high = _balance_interval.interval(
        right, own.n, rest_right, rest.n, own.n / (own.n + rest.n), DEFAULT.confidence
    )
    low, high = (np.where(counted, limits.reshape(shape), np.nan) for limits in (low, high))
    out.coverage("interval of balance", low, high, cell.balance(cell.dense)[focus])
    return out.rows
