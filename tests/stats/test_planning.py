"""Plans against every outcome of the multinomial as the verdict judges it, and against known sizes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from prune_audit.core import Array, Pair, Settings
from prune_audit.stats import _planning, verdict
from tests.stats.test_margin_test import outcomes

ALONE = Settings(correction="none")


@cache
def said(n: int) -> tuple[Array, Array]:
    """Of every outcome (K,) of ``n`` samples, how many were lost, gained, and neither (K, 3), and the verdict (K,)."""
    a, b = outcomes(n)
    neither = n - a - b  # right in both models, so that there is something to lose
    pair = Pair.of(np.stack([neither, a, b, np.zeros_like(a)], axis=1))
    answers = np.array(verdict.judgements(pair, ALONE)[0].by_stratum, object)
    return np.stack([a, b, neither], axis=1), answers


def chance(answer: str, n: int, lost: float, gained: float) -> float:
    """The probability of a verdict: of every outcome, by what the audit says of it."""
    counts, answers = said(n)
    of = np.asarray(stats.multinomial.pmf(counts, n, [lost, gained, 1 - lost - gained]))
    return float(of[answers == answer].sum())


@pytest.mark.parametrize("n", [20, 60, 100])
@pytest.mark.parametrize(("lost", "gained"), [(0.03, 0.03), (0.01, 0.0), (0.2, 0.02), (0.0, 0.05)])
def test_chances_are_those_of_the_verdict(n: int, lost: float, gained: float) -> None:
    """All gained is no verdict, and has no chance here that counts."""
    assert _planning.chance_fine(n, lost, gained, 0.05) == pytest.approx(chance("fine", n, lost, gained), abs=1e-12)
    found = _planning.chance_regressed(n, lost, gained, 0.02)
    assert found == pytest.approx(chance("regressed", n, lost, gained), abs=1e-12)


@pytest.mark.parametrize(("n", "power"), [(50, 0.12), (100, 0.38), (200, 0.74), (500, 0.99)])
def test_an_unchanged_class_is_fine_as_often_as_the_design_says(n: int, power: float) -> None:
    assert _planning.chance_fine(n, 0.03, 0.03, 0.05) == pytest.approx(power, abs=0.005)


@pytest.mark.parametrize(
    ("limit", "churn", "sizes"),
    [
        (0.05, 0.02, (124, 212, 293)),
        (0.05, 0.06, (232, 436, 623)),
        (0.05, 0.10, (339, 666, 963)),
        (0.02, 0.06, (1231, 2446, 3549)),
    ],
)
def test_sizes_for_one_ten_and_a_hundred_classes(limit: float, churn: float, sizes: tuple[int, int, int]) -> None:
    """Known sizes were sought in steps and are within half a tooth of ours, from which it holds to the end of sight."""
    for classes, known in zip((1, 10, 100), sizes, strict=True):
        n = _planning.samples_for_fine(limit, churn, classes=classes)
        assert n is not None
        assert n == pytest.approx(known, abs=0.5 / limit)
        wanted = 0.8 ** (1 / classes)
        power = [_planning.chance_fine(size, churn / 2, churn / 2, limit) for size in range(n - 1, n + int(4 / limit))]
        assert power[0] < wanted <= min(power[1:])


def test_without_churn_it_is_the_size_from_which_no_flips_are_fine() -> None:
    assert _planning.samples_for_fine(0.05, 0.0, classes=100) == 73
    assert _planning.samples_for_fine(0.02, 0.0) == 189


def test_more_classes_more_power_and_smaller_limits_never_take_fewer_samples() -> None:
    def size(limit: float = 0.05, churn: float = 0.06, classes: int = 10, power: float = 0.8) -> int:
        found = _planning.samples_for_fine(limit, churn, classes=classes, power=power)
        assert found is not None
        return found

    for sizes in (
        [size(classes=classes) for classes in (1, 2, 3, 10, 30, 1000)],
        [size(power=power) for power in (0.5, 0.6, 0.8, 0.9, 0.99)],
        [size(limit=limit) for limit in (0.1, 0.08, 0.05, 0.04, 0.02)],
    ):
        assert sizes == sorted(sizes)


def settled(n: int, lost: float, gained: float, margin: float, limit: float, level: float) -> float:
    """P(a verdict that is right), of one class, p being held against ``level``: what `chance_*` count out."""
    fine = _planning.chance_fine(n, lost, gained, limit) if lost - gained < limit else 0.0
    classes = round(0.05 / level)
    beyond = lost - gained > margin
    return fine + (_planning.chance_regressed(n, lost, gained, margin, classes=classes) if beyond else 0.0)


def needed(n: int, lost: int, gained: int, margin: float, limit: float, level: float, power: float = 0.8) -> float:
    counts = (np.array([x]) for x in (float(n), lost / n, gained / n))
    return float(_planning.samples_to_settle(*counts, margin=margin, limit=limit, level=level, power=power)[0])


@pytest.mark.parametrize(("n", "lost", "gained"), [(107, 1, 0), (110, 2, 0), (60, 0, 0), (50, 1, 1), (80, 0, 1)])
def test_samples_needed_for_fine_are_the_first_from_which_it_holds(n: int, lost: int, gained: int) -> None:
    found = int(needed(n, lost, gained, 0.02, 0.05, 0.05))
    power = [settled(size, lost / n, gained / n, 0.02, 0.05, 0.05) for size in range(found - 1, found + 200)]
    assert found == n + 1 or power[0] < 0.8
    assert min(power[1:]) >= 0.8


def test_where_many_are_gained_the_number_is_within_a_few_hundredths() -> None:
    """Of 60 classes drawn at random; of 1,658 the extremes were -7.7 and +3.9 %, 98 in 100 within 3 %."""
    rng = np.random.default_rng(3)
    n = rng.integers(100, 400, 60)
    rows = np.array([rng.multinomial(size, [0.05, 0.04, 0.91]) for size in n])
    lost, gained = rows[:, 0] / n, rows[:, 1] / n
    quick, whole = (
        _planning.samples_to_settle(
            n.astype(np.float64), lost, gained, margin=0.02, limit=0.05, level=1e-9, exact=exact
        )
        for exact in (False, True)
    )
    assert (quick != whole).any()
    np.testing.assert_allclose(quick, whole, rtol=0.08)
    assert (abs(quick / whole - 1) < 0.03).mean() > 0.9


@pytest.mark.parametrize(("n", "lost", "gained"), [(100, 8, 1), (50, 3, 0), (200, 20, 6), (100, 4, 0)])
@pytest.mark.parametrize("classes", [1, 20])
def test_samples_needed_to_convict_do_so_by_the_exact_p(n: int, lost: int, gained: int, classes: int) -> None:
    """The corrected score stands in for the exact p: what is promised as .8 is .74 to .88, teeth included."""
    found = int(needed(n, lost, gained, 0.02, 0.05, 0.05 / classes))
    assert 0.74 <= settled(found, lost / n, gained / n, 0.02, 0.05, 0.05 / classes) <= 0.88


def test_a_drop_between_margin_and_limit_is_settled_by_whichever_verdict_comes() -> None:
    """Waiting for either alone takes twice as many."""
    both = needed(200, 12, 5, 0.02, 0.05, 0.05)
    fine, convicted = (needed(200, 12, 5, *limits, 0.05) for limits in ((0.04, 0.05), (0.02, 0.03)))
    assert both < 0.6 * min(fine, convicted)


def test_far_away_the_curve_says_what_the_count_does(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = needed(1000, 30, 20, 0.0, 0.012, 1e-9)
    assert 15_000 < counted < _planning.FAR
    monkeypatch.setattr(_planning, "FAR", 1)
    assert needed(1000, 30, 20, 0.0, 0.012, 1e-9) == pytest.approx(counted, rel=0.01)


def test_nothing_settles_what_lies_on_margin_and_limit_at_once() -> None:
    assert np.isinf(needed(50, 1, 0, 0.02, 0.02, 0.05))


def test_many_classes_at_once_are_as_each_alone() -> None:
    rng = np.random.default_rng(7)
    n = rng.integers(20, 300, 60)
    rows = np.array([rng.multinomial(size, [0.05, 0.02, 0.93]) for size in n])
    rows = rows[rows[:, 0] > 0]
    n = rows.sum(axis=1).astype(np.float64)
    lost, gained = rows[:, 0] / n, rows[:, 1] / n
    together = _planning.samples_to_settle(n, lost, gained, margin=0.02, limit=0.05, level=0.001)
    alone = [needed(int(size), row[0], row[1], 0.02, 0.05, 0.001) for size, row in zip(n, rows, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-3)


def test_no_plan_where_none_would_do() -> None:
    assert _planning.samples_for_fine(1e-5, 0.5) is None
    assert _planning.smallest_drop_convicted(3, 0.02, 0.02, classes=1000) is None


@pytest.mark.parametrize(("n", "classes"), [(50, 1), (100, 100), (300, 10)])
def test_the_smallest_drop_convicted_has_the_power_and_a_smaller_one_has_not(n: int, classes: int) -> None:
    drop = _planning.smallest_drop_convicted(n, 0.06, 0.02, classes=classes)
    assert drop is not None
    assert _planning.chance_regressed(n, 0.03 + drop, 0.03, 0.02, classes=classes) >= 0.8
    assert _planning.chance_regressed(n, 0.03 + drop - 2e-4, 0.03, 0.02, classes=classes) < 0.8
