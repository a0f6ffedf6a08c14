"""All columns together: their order, and what holds of every one of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats import measures
from tests.stats.pairs import measured, pairs, quick, same, table


def test_columns_come_in_the_order_of_a_report() -> None:
    """Those that reports promise, as they come among the rest."""
    promised = [
        *("support", "both", "lost", "gained", "neither", "dense_recall", "pruned_recall", "change", "p_value"),
        *("q_value", "dense_balance", "pruned_balance", "intensification", "excess_drop", "detectable_drop"),
        *("verdict", "distortion"),
    ]
    found = [m.name for m in measures(Pair.of([(1, 1, 1, 1)]), Settings())]
    assert [name for name in found if name in promised] == promised
    assert len(set(found)) == len(found)


def _well_formed(measure: Measure, strata: int) -> None:
    numbers = [*measure.by_stratum, *measure.low, *measure.high]
    numbers += [measure.overall, measure.overall_low, measure.overall_high]
    assert all(math.isfinite(v) for v in numbers if isinstance(v, float)), measure.name
    assert all(v is None or type(v) in (int, float, str) for v in numbers), measure.name
    assert len(measure.by_stratum) in (0, strata)
    assert len(measure.low) == len(measure.high)
    assert len(measure.low) in (0, strata)
    missing = {i for i, v in enumerate(measure.by_stratum) if v is None}
    assert missing == set(measure.absent), measure.name
    assert all(measure.absent.values())
    for i, (low, value, high) in enumerate(zip(measure.low, measure.by_stratum, measure.high, strict=False)):
        if i not in missing and isinstance(value, float):
            assert low is not None
            assert high is not None
            assert low <= value <= high, measure.name
    assert not (measure.overall is not None and measure.overall_absent), measure.name


@quick
@given(pairs(most=4))
def test_what_is_absent_says_why_and_nothing_is_nan(pair: Pair) -> None:
    for each in (pair, replace(pair, by="group"), same(pair)):
        for measure in measures(each, Settings()):
            _well_formed(measure, len(pair.strata))


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [(0, 0, 0, 0)],
        [(1, 0, 0, 0)],
        [(0, 1, 0, 0)],
        [(0, 0, 1, 0)],
        [(0, 0, 0, 1)],
        [(0, 5, 0, 0), (0, 5, 0, 0)],
        [(5, 0, 0, 0), (0, 0, 0, 5)],
        [(0, 0, 3, 2), (0, 4, 0, 0)],
        [(10**9, 10**7, 10**7, 10**8), (1, 0, 0, 0)],
    ],
)
def test_corners(counts: list[tuple[int, int, int, int]]) -> None:
    for measure in measures(Pair.of(counts), Settings()):
        _well_formed(measure, len(counts))


@quick
@given(pairs(least=1))
def test_order_of_the_classes_does_not_matter(pair: Pair) -> None:
    there, back = measured(pair), measured(Pair.of(table(pair)[::-1]))
    for name, measure in there.items():
        for a, b in zip(measure.by_stratum, reversed(back[name].by_stratum), strict=True):
            assert a == (pytest.approx(b, rel=1e-9, abs=1e-12) if isinstance(b, float) else b), name


def test_two_runs_are_equal_to_the_last_bit() -> None:
    pair = Pair.of(np.random.default_rng(0).multinomial(50, [0.8, 0.05, 0.03, 0.12], size=50))
    assert measures(pair, Settings()) == measures(pair, Settings())
