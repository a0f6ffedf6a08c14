"""Excess drops: a uniform fall has none, and they sum to nothing."""

from __future__ import annotations

import pytest
from hypothesis import given

from prune_audit.core import Pair
from prune_audit.stats import excess_drop
from tests.stats.pairs import measured, pairs, quick


def test_a_drop_that_all_share_is_no_excess() -> None:
    found = measured(Pair.of([(80, 10, 0, 10), (8, 1, 0, 1)]))["excess_drop"]
    assert found.by_stratum == pytest.approx((0, 0), abs=1e-15)


def test_worse_than_the_model_is_positive() -> None:
    found = measured(Pair.of([(50, 50, 0, 0), (100, 0, 0, 0)]))["excess_drop"]
    assert found.by_stratum == (0.25, -0.25)


@quick
@given(pairs(least=1))
def test_weighted_excess_drops_sum_to_nothing(pair: Pair) -> None:
    found = measured(pair, only=excess_drop)["excess_drop"]
    total = sum(int(n) * float(v or 0) for n, v in zip(pair.support, found.by_stratum, strict=True))
    assert total / max(int(pair.support.sum()), 1) == pytest.approx(0, abs=1e-12)
