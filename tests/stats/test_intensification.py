"""The paper's ratio and slope against its example, numpy's least squares, and what must not move them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given

from prune_audit.core import Pair
from prune_audit.stats import intensification
from tests.stats.pairs import measured, pairs, quick, same, table


def test_the_papers_example() -> None:
    found = measured(Pair.of([(70, 20, 0, 10), (50, 20, 0, 30)]))
    assert found["intensification"].by_stratum == pytest.approx((4 / 3, 4 / 3))
    assert found["intensification"].overall == pytest.approx(4 / 3)
    assert found["r_squared"].overall == pytest.approx(1)


def test_alpha_is_least_squares_through_the_origin() -> None:
    rng = np.random.default_rng(3)
    pair = Pair.of(rng.multinomial(200, [0.7, 0.1, 0.05, 0.15], size=12))
    found = measured(pair)
    x, y = (np.array(found[f"{m}_balance"].by_stratum, float) for m in ("dense", "pruned"))
    slope, residual, *_ = np.linalg.lstsq(x[:, None], y, rcond=None)
    assert found["intensification"].overall == pytest.approx(slope[0], rel=1e-12)
    assert found["r_squared"].overall == pytest.approx(1 - residual[0] / (y @ y), rel=1e-9)


@pytest.mark.parametrize("stretch", [0.5, 1.0, 1.5])
def test_stretched_balances_give_the_stretch(stretch: float) -> None:
    """q_c = A' (1 + s balance_c) with A' = A / 2: alpha is s."""
    dense = np.array([400, 500, 600] * 3)  # nine classes: half the accuracy is still above guessing
    pruned = np.rint(250 * (1 + stretch * (dense / 500 - 1))).astype(int)
    pair = Pair.of([(q, p - q, 0, 1000 - p) for p, q in zip(dense, pruned, strict=True)])
    found = measured(pair)["intensification"]
    assert found.overall == pytest.approx(stretch)
    assert found.by_stratum[1] is None
    assert found.absent[1] == "the class stood exactly at the dense model's accuracy"
    assert [found.by_stratum[i] for i in (0, 2)] == pytest.approx([stretch, stretch])


def test_a_class_that_crossed_is_negative() -> None:
    found = measured(Pair.of([(90, 0, 0, 10), (60, 0, 30, 10), (60, 30, 0, 10), (60, 0, 0, 40)]))
    ratios = found["intensification"].by_stratum
    assert float(ratios[1] or 0) < 0
    assert float(ratios[2] or 0) < 0


@quick
@given(pairs(least=2))
def test_order_of_classes_does_not_matter_and_one_file_has_alpha_one(pair: Pair) -> None:
    alpha = measured(pair, only=intensification)["intensification"].overall
    back = measured(Pair.of(table(pair)[::-1]), only=intensification)["intensification"].overall
    assert back == pytest.approx(alpha) if alpha is not None else back is None
    itself = measured(same(pair), only=intensification)
    assume(itself["intensification"].overall is not None)
    assert itself["intensification"].overall == 1
    assert itself["r_squared"].overall == pytest.approx(1)


def test_no_gaps_have_no_slope() -> None:
    found = measured(Pair.of([(8, 0, 0, 2), (80, 0, 0, 20)]))
    assert found["intensification"].overall is None
    assert "no gaps to intensify" in (found["intensification"].overall_absent or "")
    assert found["r_squared"].overall is None
