"""Intervals of a share against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from prune_audit.stats import _wilson


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_intervals_are_those_of_statsmodels(confidence: float) -> None:
    right, n = np.array([0, 1, 7, 30, 30]), np.array([30, 30, 9, 30, 3000])
    np.testing.assert_allclose(
        _wilson.interval(right, n, confidence),
        proportion_confint(right, n, alpha=1 - confidence, method="wilson"),
        atol=1e-12,
    )
