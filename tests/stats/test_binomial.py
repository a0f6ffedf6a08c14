"""The binomial mass against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prune_audit.stats import _binomial


@pytest.mark.parametrize("n", [1, 17, 1000])
def test_it_is_that_of_scipy(n: int) -> None:
    of = np.arange(n + 1.0)
    for share in (0.0, 0.02, 0.5, 0.999, 1.0):
        np.testing.assert_allclose(_binomial.mass(of, n, share), stats.binom.pmf(of, n, share), rtol=1e-9, atol=1e-300)
    shares = np.array([[0.1], [0.7]])
    np.testing.assert_allclose(_binomial.mass(of, n, shares), stats.binom.pmf(of, n, shares), rtol=1e-9, atol=1e-300)
