"""Connor's smallest detectable drop against the worked table and his equation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prune_audit.core import Pair, Settings
from tests.stats.pairs import measured

ALONE = Settings(correction="none")


def detectable(n: int, churn: float, settings: Settings = ALONE, classes: int = 1) -> float | None:
    flips = round(n * churn)
    found = measured(Pair.of([(n - flips, flips, 0, 0)] * classes), settings)["detectable_drop"].by_stratum[0]
    return None if found is None else float(found)


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
    for churn, expected in zip((0.02, 0.06, 0.10, 0.20), points, strict=True):
        found = detectable(n, churn)
        assert found is None if expected is None else found == pytest.approx(expected / 100, abs=6e-4)


@pytest.mark.parametrize("classes", [1, 100])
def test_it_solves_connors_equation(classes: int) -> None:
    """Shared by all classes where the flags are corrected for them."""
    n, churn = 1000, 0.1
    drop = detectable(n, churn, Settings(), classes)
    assert drop is not None
    z_a, z_b = stats.norm.isf(0.025 / classes), stats.norm.ppf(0.8)
    assert n * drop**2 == pytest.approx((z_a * np.sqrt(churn) + z_b * np.sqrt(churn - drop**2)) ** 2)


def test_undetectable_says_so() -> None:
    found = measured(Pair.of([(97, 3, 0, 0), (100, 0, 0, 0), (0, 0, 0, 0), (2, 0, 1, 0)]))["detectable_drop"]
    assert found.by_stratum == (None,) * 4
    assert found.absent[0] == "undetectable: with 3 of 100 samples flipped no drop can show"
    assert found.absent[1].startswith("undetectable")
    assert found.absent[2] == "no samples"
