"""The simulation of a cluster against what can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks import cluster
from tests.benchmarks.cluster import Costs, simulated

COSTS = Costs(first=10.0, each=0.5)


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that do not differ, and are never lost."""
    monkeypatch.setattr(cluster, "SPREAD", 0.0)
    monkeypatch.setattr(cluster, "SLOW", np.inf)
    monkeypatch.setattr(cluster, "LOST", np.inf)


@pytest.mark.usefixtures("alike")
@pytest.mark.parametrize(("once", "starting"), [(False, 20 * 10.0), (True, 5 * 10.0)])
def test_equal_machines_share_equal_parts(once: bool, starting: float) -> None:
    found = simulated(COSTS, 1000, 5, 20, np.random.default_rng(1), once=once)
    assert found.whole == pytest.approx((starting + 500) / 5)
    assert found.starting == pytest.approx(starting)
    assert found.working == pytest.approx(500)
    assert found.waiting == pytest.approx(0, abs=1e-9)


@pytest.mark.usefixtures("alike")
def test_a_slow_machine_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are three times slower but the parts are one fewer than machines fill: 3 parts by 2 machines."""
    monkeypatch.setattr(cluster, "SLOW", 1.0)
    found = simulated(COSTS, 300, 2, 3, np.random.default_rng(1), once=False)
    assert found.whole == pytest.approx(2 * 3 * (10 + 50))
    assert found.waiting == pytest.approx(3 * 60)


def test_what_is_lost_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a machine lives for a minute in the mean, a part of 60 s is lost more often than not."""
    monkeypatch.setattr(cluster, "LOST", 1 / 60)
    found = simulated(COSTS, 1000, 5, 10, np.random.default_rng(1), once=False)
    assert found.lost > 0
    spent = found.starting + found.working + found.lost + found.waiting
    assert spent == pytest.approx(5 * found.whole)
