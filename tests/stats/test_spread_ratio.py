"""The ratio of spreads against its definition in matrices, brute-force leave-one-out, and draws of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from prune_audit.core import Array, Floats, Measure, Pair, Settings
from prune_audit.stats import alpha, spread_ratio
from prune_audit.stats._alpha import squares
from prune_audit.stats._column import no_flips
from tests.stats.pairs import measured, pairs, quick, same


def by_definition(cells: Array, mass: Array) -> Floats:
    """Dense and pruned sums of squares without noise, and their ratio (3,), with the matrices of derivatives."""
    n = cells.sum(1).astype(float)
    w = mass * n / (mass @ n)
    found = []
    for other in (1, 2):
        q = (cells[:, 0] + cells[:, other]) / n
        derivatives, balance, variances = gradient(q, w), q / (w @ q) - 1, q * (1 - q) / np.maximum(n - 1, 1)
        found.append(float(balance @ balance - (derivatives**2 @ variances).sum()))
    return np.array([*found, found[1] / found[0]])


def gradient(q: Floats, w: Floats) -> Floats:
    """Derivatives (C, C) of the balances by the recalls ``q`` (C,)."""
    level = w @ q
    made: Floats = (np.eye(len(q)) - np.outer(q / level, w)) / level
    return made


def by_leaving_out(cells: Array, mass: Array) -> tuple[Floats, float]:
    """Covariances (3, 3) of `by_definition` by leaving out every sample in turn, and the ratio's freedom."""
    total, of_ratio = np.zeros((3, 3)), []
    for c, own in enumerate(cells):
        without = []
        for kind in range(4):
            one = np.zeros(cells.shape, int)
            one[c, kind] = 1
            without += [by_definition(cells - one, mass)] * own[kind] if own[kind] else []
        n, away = len(without), np.array(without) - np.mean(without, axis=0)
        total += (n - 1) / n * away.T @ away
        of_ratio.append(((n - 1) / n * (away[:, 2] ** 2).sum(), n - 1))
    return total, sum(v for v, _ in of_ratio) ** 2 / sum(v * v / free for v, free in of_ratio)


def draw(seed: int, sizes: Array, grown: float = 1.0) -> Array:
    """Counts (C, 4) of classes whose balances are about ``grown`` times as far apart after pruning."""
    return np.random.default_rng(seed).multinomial(sizes, truth(len(sizes), 0.25, grown))


def truth(classes: int, gap: float, grown: float, *, reverse: bool = False) -> Floats:
    """Shares (C, 4) of kinds: balances even over +-``gap``, then ``grown`` times that, in reverse where asked."""
    x = np.linspace(-gap, gap, classes)
    p, q = 0.72 * (1 + x), 0.68 * (1 + grown * (-x if reverse else x))
    both = p * q + 0.5 * np.sqrt(p * (1 - p) * q * (1 - q))
    both = np.minimum(np.maximum(both, p + q - 1), np.minimum(p, q))
    return np.stack([both, p - both, q - both, 1 - p - q + both], axis=1)


def ratio_of(cells: Array, settings: Settings | None = None) -> Measure:
    return measured(Pair.of(cells), settings, only=spread_ratio)["spread_ratio"]


SIZES = [np.full(4, 14), np.array([2, 6, 41, 26]), np.array([60, 60, 8])]


@pytest.mark.parametrize("sizes", SIZES)
def test_squares_and_their_covariances_are_those_of_leaving_out_every_sample_in_turn(sizes: Array) -> None:
    cells, mass = draw(31, sizes), np.linspace(1, 3, len(sizes))
    found, (covariances, freedom) = squares(cells, mass), by_leaving_out(cells, mass)
    dense, pruned, _ = by_definition(cells, mass)
    # Sums of squares lose digits to their noise, and a jackknife's square loses them again.
    assert (found.dense, found.pruned) == pytest.approx((dense, pruned), rel=1e-9)
    assert found.variance == pytest.approx((covariances[0, 0], covariances[1, 1]), rel=1e-7)
    assert found.covariance == pytest.approx(covariances[0, 1], rel=1e-7)
    assert found.freedom == pytest.approx(freedom, rel=1e-7)


def test_noise_is_that_of_the_matrix_of_covariances() -> None:
    cells, mass = draw(32, np.array([12, 300, 45, 90, 7])), np.array([1.0, 2.0, 0.5, 1.0, 4.0])
    n = cells.sum(1)
    q, w = (cells[:, 0] + cells[:, 2]) / n, mass * n / (mass @ n)
    covariances = gradient(q, w) @ np.diag(q * (1 - q) / (n - 1)) @ gradient(q, w).T
    expected = np.trace(covariances), np.trace(covariances @ covariances)
    assert squares(cells, mass).noise == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("sizes", "grown"), [(np.full(8, 400), 1.4), (np.full(8, 400), 0.7), (np.full(3, 700), 1.5)])
def test_limits_are_where_the_difference_is_t_standard_errors_from_nothing(sizes: Array, grown: float) -> None:
    cells = draw(33, sizes, grown)
    found, (covariances, freedom) = ratio_of(cells), by_leaving_out_fast(cells)
    dense, pruned, ratio = by_definition(cells, np.ones(len(cells)))
    assert found.overall == pytest.approx(math.sqrt(ratio), rel=1e-9)
    assert found.overall_low is not None
    assert found.overall_high is not None
    for limit, side in ((found.overall_low, 1), (found.overall_high, -1)):
        error = math.sqrt(covariances[1, 1] - 2 * limit**2 * covariances[0, 1] + limit**4 * covariances[0, 0])
        assert (pruned - limit**2 * dense) / error == pytest.approx(side * stats.t.isf(0.025, freedom), rel=1e-6)


def by_leaving_out_fast(cells: Array) -> tuple[Floats, float]:
    """`by_leaving_out`, where the test above has shown that the closed form is it."""
    found = squares(cells, np.ones(len(cells)))
    (dense, pruned), both = found.variance, found.covariance
    return np.array([[dense, both], [both, pruned]]), found.freedom


CELLS = [
    # classes, samples, gap, truth: of two classes, few samples, next to nothing left, and none left
    (2, 800, 0.25, 1.3, False),
    (10, 150, 0.3, 1.0, False),
    (10, 800, 0.2, 0.6, False),
    (40, 60, 0.35, 1.3, False),
    (2, 800, 0.25, 0.1, False),
    (4, 300, 0.25, 0.3, False),
    (10, 800, 0.25, 1.3, True),
]


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize(("classes", "size", "gap", "grown", "reverse"), CELLS)
def test_what_is_printed_holds_the_truth(classes: int, size: int, gap: float, grown: float, reverse: bool) -> None:
    """Nominal .95; 200 draws have a standard error of 1.5 points."""
    rng = np.random.default_rng(34)
    shares = truth(classes, gap, grown, reverse=reverse)
    found = [ratio_of(rng.multinomial(size, shares)) for _ in range(200)]
    printed = [
        (m.overall_low, math.inf if m.overall_high is None else m.overall_high)
        for m in found
        if m.overall_low is not None
    ]
    assert len(printed) > 140
    assert np.mean([low <= grown <= high for low, high in printed]) >= 0.925
    middle = np.median([m.overall for m in found if isinstance(m.overall, float)])
    if grown >= 0.5:
        assert middle == pytest.approx(grown, rel=0.05)


def test_a_slope_below_one_may_stand_beside_gaps_that_grew() -> None:
    """Classes that changed places: what alpha cannot tell apart from gaps that shrank."""
    rng = np.random.default_rng(35)
    order = np.array([0, 1, 2, 3, 4, 9, 8, 7, 6, 5])
    shares = truth(10, 0.25, 1.0)
    p, q = shares[:, 0] + shares[:, 1], 0.68 * (1 + 1.4 * np.linspace(-0.25, 0.25, 10))[order]
    both = np.maximum(p + q - 1, 0.9 * np.minimum(p, q))
    cells = rng.multinomial(2000, np.stack([both, p - both, q - both, 1 - p - q + both], axis=1))
    slope = measured(Pair.of(cells), only=alpha)["alpha_corrected"].overall
    ratio = ratio_of(cells)
    assert isinstance(slope, float)
    assert slope < 1.2
    assert ratio.overall_low is not None
    assert ratio.overall_low > 1.2


def test_without_a_shown_dense_spread_there_is_a_lower_limit_alone() -> None:
    """One small class makes all of the dense spread, and does not show it."""
    cells = np.array([(4, 2, 0, 4), *[(170, 8, 6, 16)] * 5])
    found = ratio_of(cells)
    assert isinstance(found.overall, float)
    assert found.overall_low is not None
    assert found.overall_low <= found.overall
    assert found.overall_high is None
    assert found.overall_absent is None


def test_the_lower_limit_alone_is_one_that_the_data_bear_out() -> None:
    """Where (pruned - r dense)^2 meets t^2 of its variance from below, a little less is ruled out."""
    for seed in range(200):
        cells = draw(seed, np.array([9, 90, 90]), 1.8)
        found, limits = squares(cells, np.ones(3)), ratio_of(cells)
        if limits.overall_high is None and limits.overall_low:
            t = stats.t.isf(0.025, found.freedom)
            r = limits.overall_low**2
            variance = found.variance[1] - 2 * r * found.covariance + r * r * found.variance[0]
            assert found.pruned - r * found.dense == pytest.approx(t * math.sqrt(variance), rel=1e-6)
            return
    pytest.fail("no draw had a lower limit alone")


@quick
@given(pairs(least=1))
def test_limits_hold_the_ratio_and_nothing_is_negative(pair: Pair) -> None:
    found = measured(pair, only=spread_ratio)["spread_ratio"]
    assert (found.overall is None) == (found.overall_absent is not None)
    if isinstance(found.overall, float) and found.overall_low is not None:
        high = math.inf if found.overall_high is None else found.overall_high
        assert 0 <= found.overall_low <= found.overall + 1e-9
        assert found.overall <= high + 1e-9


@pytest.mark.parametrize("sizes", [*SIZES, np.full(9, 200), np.array([1, 300, 300, 40])])
def test_recalls_alone_give_the_same_ratio(sizes: Array) -> None:
    cells = draw(38, sizes, 1.3)
    n = cells.sum(axis=1)
    found = spread_ratio.of_recalls(cells[:, :2].sum(axis=1) / n, cells[:, ::2].sum(axis=1) / n, n)
    expected = ratio_of(cells)
    if isinstance(expected.overall, float):
        assert found == pytest.approx(expected.overall, rel=1e-9)
    else:
        assert found is None or "collapsed" in (expected.overall_absent or "")


def test_recalls_that_are_all_0_or_all_alike_have_no_ratio() -> None:
    none, some, n = np.zeros(3), np.array([0.5, 0.7, 0.9]), np.full(3, 500)
    assert spread_ratio.of_recalls(none, some, n) is None
    assert spread_ratio.of_recalls(some, none, n) is None
    assert spread_ratio.of_recalls(np.full(3, 0.5), some, n) is None
    assert spread_ratio.of_recalls(some, some, np.ones(3, int)) is None


def test_more_confidence_is_wider() -> None:
    cells = draw(36, np.full(6, 500), 1.2)
    narrow, wide = (ratio_of(cells, Settings(confidence=level)) for level in (0.9, 0.99))
    assert wide.overall == narrow.overall
    assert (wide.overall_low or 0) < (narrow.overall_low or 0) < (narrow.overall_high or 0) < (wide.overall_high or 0)


def test_one_file_has_the_same_gaps() -> None:
    found = measured(same(Pair.of(draw(37, np.full(5, 60)))), only=spread_ratio)["spread_ratio"]
    assert (found.overall, found.overall_low, found.overall_high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ([(5, 1, 1, 3)], "fewer than two strata"),
        ([(8, 0, 0, 2), (80, 0, 0, 20)], "no gaps to intensify"),
        ([(1, 0, 0, 9), (0, 0, 0, 10)], "hardly ever right"),
        ([(10, 80, 0, 10)] * 10, "collapsed"),
        ([(5, 0, 0, 1), (4, 0, 0, 2), (6, 0, 0, 0)], no_flips(Pair.of([]))),
        ([(9, 1, 0, 0), (8, 1, 1, 0), (9, 0, 1, 0)], "not estimable: 0 % of the spread is real"),
        ([(90, 0, 0, 0), (0, 90, 0, 0), (90, 0, 0, 0), (0, 0, 0, 90)], "no recall shows sampling noise"),
    ],
)
def test_what_cannot_be_told_says_why(counts: list[tuple[int, int, int, int]], why: str) -> None:
    found = ratio_of(np.array(counts))
    assert (found.overall, found.overall_low, found.overall_high) == (None, None, None)
    assert why in (found.overall_absent or "")
