"""The score test of relative retention: its closed-form fit, its inversion, and its error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats

from prune_audit.core import Floats
from prune_audit.stats import _retention
from prune_audit.stats._retention import Side
from tests.stats.pairs import quick


def side(both: float, lost: float, gained: float, n: float) -> Side:
    return Side(both=np.array([both]), lost=np.array([lost]), gained=np.array([gained]), n=np.array([n]))


sides = st.builds(
    lambda b, lo, g, o: side(b, lo, g, b + lo + g + o),
    st.integers(0, 60),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 30),
)
ratios = st.floats(0.05, 20)


@quick
@given(own=sides, k=ratios)
def test_fit_is_the_root_of_the_published_quadratic(own: Side, k: float) -> None:
    assume((own.both + own.lost + own.gained)[0] > 0)
    both, lost, gained, n = (float(v[0]) for v in (own.both, own.lost, own.gained, own.n))
    s, a = (both + lost + gained) / n, n * (1 + k)
    b, c = (both + lost) * k**2 - (both + gained + 2 * lost), lost * (1 - k) * s
    p_lost = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)
    p = (s - p_lost) / k
    np.testing.assert_allclose([v[0] for v in _retention.fit(own, np.array([k]))], [p, p_lost, s - p], atol=1e-9)


@pytest.mark.parametrize("k", [0.5, 0.95, 1.0, 1.3])
@pytest.mark.parametrize("counts", [(40, 12, 2, 60), (30, 1, 4, 50), (5, 5, 5, 20)])
def test_fit_is_the_likeliest(counts: tuple[int, int, int, int], k: float) -> None:
    """Against nested general optimisers over the two free parameters, p and P(both)."""
    both, lost, gained, n = counts
    seen = np.array([both, lost, gained, n - both - lost - gained])

    def best_given(p: float) -> optimize.OptimizeResult:
        def minus_log_likelihood(p_both: float) -> float:
            cells = np.array([p_both, p - p_both, k * p - p_both, 1 - p - k * p + p_both])
            return -float(seen @ np.log(np.maximum(cells, 1e-12)))

        bounds = (max(0.0, p + k * p - 1), min(p, k * p))
        return optimize.minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-10})

    most = min(1.0, 1 / k)
    p = optimize.minimize_scalar(
        lambda x: best_given(x).fun, bounds=(0.0, most), method="bounded", options={"xatol": 1e-9}
    ).x
    p_both = best_given(p).x
    found = [v[0] for v in _retention.fit(side(*counts), np.array([k]))]
    np.testing.assert_allclose(found, [p, p - p_both, k * p - p_both], atol=2e-5)


@pytest.mark.parametrize("own", [side(40, 12, 2, 60), side(8, 0, 0, 10), side(400, 20, 30, 460), side(0, 5, 0, 9)])
def test_interval_inverts_the_test(own: Side) -> None:
    rest = side(150, 20, 12, 200)
    grid = np.geomspace(0.01, 100, 4001)
    value, low, high = _retention.interval(own, rest, 0.95)
    accepted = np.abs(_retention.score(*_repeated(own, rest, len(grid)), grid)) <= stats.norm.isf(0.025)
    np.testing.assert_array_equal(accepted, (grid >= low) & (grid <= high))
    assert low[0] <= value[0] <= high[0]


def _repeated(own: Side, rest: Side, times: int) -> tuple[Side, Side]:
    none = np.zeros(times, bool)
    return own.where(none, own), rest.where(none, rest)


@quick
@given(a=sides, b=sides)
def test_two_sides_are_one_hypothesis(a: Side, b: Side) -> None:
    assume(min(a.both[0], b.both[0]) > 0)
    assume(any(getattr(a, f)[0] != getattr(b, f)[0] for f in ("both", "lost", "gained", "n")))
    value, low, high = _retention.interval(a, b, 0.95)
    back, back_low, back_high = _retention.interval(b, a, 0.95)
    assert value[0] * back[0] == pytest.approx(1)
    assert low[0] * back_high[0] == pytest.approx(1, rel=1e-6)
    assert high[0] * back_low[0] == pytest.approx(1, rel=1e-6)
    one = np.ones(1)
    assert _retention.score(a, b, one)[0] == pytest.approx(-_retention.score(b, a, one)[0], abs=1e-12)


@quick
@given(a=sides, b=sides)
def test_swapping_the_models_inverts_retention(a: Side, b: Side) -> None:
    """Exactly where the class supplies the fit; the roles are decided by sizes, which do not change."""
    assume(min(a.both[0], b.both[0]) > 0)
    assume(a.n[0] != b.n[0])
    back_a, back_b = (side(s.both[0], s.gained[0], s.lost[0], s.n[0]) for s in (a, b))
    assert _retention.score(a, b, np.ones(1))[0] == pytest.approx(-_retention.score(back_a, back_b, np.ones(1))[0])


def test_nothing_flipped_anywhere_is_no_evidence() -> None:
    assert _retention.score(side(10, 0, 0, 12), side(90, 0, 0, 100), np.ones(1))[0] == 0


def _false_alarms(support: int, delta_method: bool) -> float:
    """Share of classes that a two-sided 5 % test rejects in a model in which every class kept 80 % alike."""
    rng = np.random.default_rng(5)
    classes, draws, p, kept = 10, 2000, 0.9, 0.8
    cells = [p * kept, p * (1 - kept), 0.0, 1 - p]
    counts = rng.multinomial(support, cells, size=(draws, classes)).astype(np.float64)  # (draws, C, 4)
    both, lost, gained = (counts[..., i] for i in range(3))
    own = Side(both=both, lost=lost, gained=gained, n=np.full_like(both, support))
    rest = Side(**{f: getattr(own, f).sum(1, keepdims=True) - getattr(own, f) for f in ("both", "lost", "gained", "n")})
    z = _delta_z(both, lost, gained, support) if delta_method else _retention.score(own, rest, np.ones(both.shape))
    return float((np.abs(z) > stats.norm.isf(0.025)).mean())


def _delta_z(both: Floats, lost: Floats, gained: Floats, n: int) -> Floats:
    """D = q_c / A' - p_c / A over its plain delta-method error, for equal class sizes (methods: S.5)."""
    p, q, classes = (both + lost) / n, (both + gained) / n, both.shape[1]
    a, b = p.mean(1, keepdims=True), q.mean(1, keepdims=True)
    vp, vq, cov = p * (1 - p), q * (1 - q), both / n - p * q
    total = np.zeros_like(p)
    for j in range(classes):
        here = np.eye(classes)[j]
        gp, gq = -(here / a - p / classes / a**2), here / b - q / classes / b**2
        one = slice(j, j + 1)
        total += (gq**2 * vq[:, one] + gp**2 * vp[:, one] + 2 * gp * gq * cov[:, one]) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        z: Floats = np.nan_to_num((q / b - p / a) / np.sqrt(total))
    return z


@pytest.mark.parametrize("support", [10, 30, 100])
def test_false_alarms_stay_at_their_rate(support: int) -> None:
    """20,000 class tests a cell: .05 with a standard error of .0015."""
    assert _false_alarms(support, delta_method=False) <= 0.06


def test_the_delta_method_does_not() -> None:
    """A fixture that can fail: the same draws separate the two methods."""
    assert _false_alarms(10, delta_method=True) > 0.10


@pytest.mark.parametrize("counts", [(40, 12, 2, 60), (30, 1, 4, 50), (25, 5, 0, 30)])
def test_the_correction_is_that_of_the_skewness_of_the_fitted_multinomial(counts: tuple[int, int, int, int]) -> None:
    """Against moments over the four outcomes of a sample, and the root of z = s + g (s^2 - 1) by bisection."""
    own, rest, rho = side(*counts), side(90_000, 3_000, 2_000, 100_000), np.array([0.95])
    k = float((rho * rest.pruned / rest.dense)[0])
    p, lost, gained = (float(values[0]) for values in _retention.fit(own, np.array([k])))
    chances = np.array([p - lost, lost, gained, 1 - p - gained])
    kept = np.array([1 - k, -k, 1, 0])
    assert chances @ kept == pytest.approx(0, abs=1e-12)
    n, z = counts[3], float(_retention.score(own, rest, rho)[0])
    of_k = (float((own.pruned - k * own.dense)[0]) / n / z) ** 2  # the variance of all, that of the rest included
    skew = float(chances @ kept**3) / n**2 / (6 * of_k**1.5)
    expected = optimize.brentq(lambda s: s + skew * (s * s - 1) - z, z - 1.5, z + 1.5)
    assert _retention.skewness_corrected(own, rest, rho)[0] == pytest.approx(expected, abs=1e-9)
    assert expected != pytest.approx(z, abs=0.01)


@pytest.mark.parametrize("p", [0.9, 0.95])
def test_by_enumeration_harm_is_found_in_five_percent_of_classes_at_the_margin(p: float) -> None:
    """Classes of 30 that kept .95 of what a rest without noise kept, 3 % gained: the plain score finds up to 8 %."""
    n, k, g = 30, 0.95, 0.03
    lost = p - k * p + g
    counts = np.array(
        [(b, x, y) for b in range(n + 1) for x in range(min(n - b, 14) + 1) for y in range(min(n - b - x, 9) + 1)]
    )
    chance = stats.multinomial.pmf(np.column_stack([counts, n - counts.sum(axis=1)]), n, [p - lost, lost, g, 1 - p - g])
    usable = counts[:, 0] + counts[:, 1] > 0
    b, x, y = counts[usable].T
    own = Side(both=b, lost=x, gained=y, n=np.full(len(b), n))
    rest = Side(both=0 * b + 10**9, lost=0 * b, gained=0 * b, n=0 * b + 10**9)
    z = stats.norm.isf(0.05)
    plain = chance[usable] @ (_retention.score(own, rest, np.full(len(b), k)) <= -z)
    corrected = chance[usable] @ (_retention.skewness_corrected(own, rest, np.full(len(b), k)) <= -z)
    assert chance.sum() == pytest.approx(1, abs=1e-3)
    assert corrected <= 0.06
    assert corrected <= plain


@quick
@given(a=sides, b=sides)
def test_the_corrected_statistics_of_two_classes_are_opposite(a: Side, b: Side) -> None:
    assume(min(a.dense[0], b.dense[0], a.pruned[0], b.pruned[0]) > 0)
    assume(any(getattr(a, name)[0] != getattr(b, name)[0] for name in ("both", "lost", "gained", "n")))
    rho = np.array([0.95])
    found, other = (_retention.skewness_corrected(*sides) for sides in ((a, b, rho), (b, a, 1 / rho)))
    assert found[0] == pytest.approx(-other[0], abs=1e-9) or np.isinf(found[0])
