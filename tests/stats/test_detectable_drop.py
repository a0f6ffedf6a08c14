"""The smallest detectable drop against the worked table, Connor's equation, and the power of McNemar's test itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prune_audit.core import Pair, Settings
from prune_audit.stats import _planning, detectable_drop
from prune_audit.stats._mcnemar import mid_p
from tests.stats.pairs import measured

ALONE = Settings(correction="none")


def detectable(n: int, churn: float, settings: Settings = ALONE, classes: int = 1) -> float | None:
    flips = round(n * churn)
    found = measured(Pair.of([(n - flips, flips, 0, 0)] * classes), settings, detectable_drop)[
        "detectable_drop"
    ].by_stratum[0]
    return None if found is None else float(found)


def power(n: int, churn: float, drop: float, level: float) -> float:
    """How often McNemar's mid-p finds a loss, summed over every number of flips and every split of them."""
    flips = np.arange(n + 1)[:, None]
    lost = np.arange(n + 1)[None, :]
    p = mid_p(lost * 1.0, np.maximum(flips - lost, 0) * 1.0)
    found = (p <= level) & (2 * lost > flips) & (lost <= flips)
    loss = min((churn + drop) / (2 * churn), 1.0)  # of a flip
    chance = stats.binom.pmf(flips, n, churn) * stats.binom.pmf(lost, flips, loss)
    return float(chance[found].sum())


@pytest.mark.parametrize(
    ("n", "points"),
    [
        (100, (None, None, 8.8, 12.4)),
        (200, (None, 4.8, 6.2, 8.8)),
        (1000, (1.25, 2.2, 2.8, 4.0)),
        (5000, (0.56, 0.97, 1.25, 1.8)),
    ],
)
def test_worked_table(n: int, points: tuple[float | None, ...]) -> None:
    """Beyond the churn that was seen, where the table has none, the drop brings its own."""
    for churn, expected in zip((0.02, 0.06, 0.10, 0.20), points, strict=True):
        found = detectable(n, churn)
        assert found is not None
        assert found > churn if expected is None else found == pytest.approx(expected / 100, abs=6e-4)


@pytest.mark.parametrize("classes", [1, 100])
def test_it_solves_connors_equation(classes: int) -> None:
    """Shared by all classes where the flags are corrected for them."""
    n, churn = 1000, 0.1
    drop = detectable(n, churn, Settings(), classes)
    assert drop is not None
    z_a, z_b = stats.norm.isf(0.025 / classes), stats.norm.ppf(0.8)
    assert n * drop**2 == pytest.approx((z_a * np.sqrt(churn) + z_b * np.sqrt(churn - drop**2)) ** 2)


def test_no_root_of_the_squared_equation_alone_is_taken() -> None:
    """12 samples of one in 100 classes, all flipped: z_a^2 is 12.1, and not even the loss of all is a solution."""
    assert detectable(12, 1, Settings(), 100) == 1
    assert power(12, 1, 1, 0.05 / 100) == 1


@pytest.mark.parametrize("n", [5, 8, 15, 30, 100, 300])
def test_where_nothing_flipped_it_is_found_in_four_of_five(n: int) -> None:
    for classes in (1, 10, 100, 1000):
        drop = detectable(n, 0, Settings(), classes)
        if drop is None:
            assert power(n, 1, 1, 0.05 / classes) == 0
        else:
            assert power(n, drop, drop, 0.05 / classes) == pytest.approx(0.8)


@pytest.mark.parametrize("classes", [1, 10, 100])
@pytest.mark.parametrize("n", [10, 30, 50, 100, 200])
def test_at_any_usual_churn_it_is_found_in_four_of_five(n: int, classes: int) -> None:
    """Where it is not exact, as the churn that was seen is planned for, it errs towards the larger drop."""
    for flips in np.linspace(0, 0.7 * n, 8).astype(int).tolist():
        drop = detectable(n, flips / n, Settings(), classes)
        if drop is not None:
            assert 0.795 <= power(n, max(flips / n, drop), drop, 0.05 / classes) <= 0.985, (flips, drop)


def test_where_every_sample_flipped_it_is_found_in_seven_of_ten() -> None:
    """The worst case of the approximation, which the docstring owns up to."""
    drop = detectable(10, 1)
    assert drop is not None
    assert power(10, 1, drop, 0.05) == pytest.approx(0.706, abs=1e-3)


def test_it_rises_with_the_churn_without_a_jump() -> None:
    strata = [(10_000 - flips, flips, 0, 0) for flips in range(40)]
    drops = measured(Pair.of(strata), ALONE, detectable_drop)["detectable_drop"].by_stratum
    steps = np.diff(np.array(drops, float))
    assert steps.min() >= 0
    assert steps.max() <= 1.01e-4  # a flip in 10,000


def test_undetectable_says_so() -> None:
    found = measured(Pair.of([(97, 3, 0, 0), (100, 0, 0, 0), (0, 0, 0, 0), (2, 0, 1, 0)]))["detectable_drop"]
    assert [value is None for value in found.by_stratum] == [False, False, True, True]
    assert found.absent == {2: "no samples", 3: "undetectable: even if all samples were lost, it could be chance"}


@pytest.mark.parametrize(("n", "absent"), [(4, True), (5, False)])
def test_five_samples_are_the_fewest_that_can_show_anything(n: int, absent: bool) -> None:
    """All lost, mid-p is 1/16 with four and 1/32 with five."""
    found = measured(Pair.of([(n, 0, 0, 0)]))
    assert (found["detectable_drop"].by_stratum[0] is None) == absent
    assert (measured(Pair.of([(0, n, 0, 0)]))["p_value"].by_stratum[0] > 0.05) == absent  # type: ignore[operator]  # a number


def test_found_is_not_convicted() -> None:
    """What the docstring says of one in 100 classes of 100 samples."""
    found = detectable(100, 0.06, Settings(), 100)
    convicted = _planning.smallest_drop_convicted(100, 0.06, 0.02, classes=100)
    assert found == pytest.approx(0.13, abs=0.005)
    assert convicted == pytest.approx(0.22, abs=0.005)
    assert detectable(1000, 0.06, Settings(), 100) == pytest.approx(0.033, abs=0.0005)
