"""Normalised recall balances: the paper's example and their sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from prune_audit.core import Pair
from prune_audit.stats import balance
from tests.stats.pairs import measured, pairs, quick


def test_the_papers_example() -> None:
    """A = .8 with recalls .9 and .7, A' = .6 with recalls .7 and .5: balances of 1/8 and 1/6."""
    found = measured(Pair.of([(70, 20, 0, 10), (50, 20, 0, 30)]))
    assert found["dense_balance"].by_stratum == pytest.approx((1 / 8, -1 / 8))
    assert found["pruned_balance"].by_stratum == pytest.approx((1 / 6, -1 / 6))


@quick
@given(pairs(least=1))
def test_weighted_balances_sum_to_nothing(pair: Pair) -> None:
    for name in ("dense_balance", "pruned_balance"):
        column = measured(pair, only=balance)[name]
        present = [i for i in range(len(pair.strata)) if i not in column.absent]
        if present:
            total = sum(int(pair.support[i]) * float(column.by_stratum[i] or 0) for i in present)
            assert total / pair.support.sum() == pytest.approx(0, abs=1e-12)


def test_standing_at_the_accuracy_is_exactly_zero() -> None:
    """Thirds of thirds: in floating point 1/3 over 1/3 would do, 7/9 over 7/9 by other sums would not."""
    found = measured(Pair.of([(7, 0, 0, 2), (49, 0, 0, 14), (70, 0, 0, 20)]))
    assert found["dense_balance"].by_stratum == (0.0, 0.0, 0.0)


def test_a_model_that_is_never_right_has_no_balances() -> None:
    found = measured(Pair.of([(0, 5, 0, 5), (0, 3, 0, 0), (0, 0, 0, 0)]))
    assert found["pruned_balance"].by_stratum == (None, None, None)
    assert found["pruned_balance"].absent[0] == "the pruned model is never right"
    assert found["pruned_balance"].absent[2] == "no samples"
    assert not np.isnan(float(found["dense_balance"].by_stratum[0] or 0))
