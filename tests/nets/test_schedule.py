"""When masks are updated, against the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prune_audit.nets.schedule import Kind, plan, triggered


def test_one_shot_cuts_before_the_first_step() -> None:
    assert plan("one-shot", 0.1, steps=100, rounds=5) == ((0, 0.1),)


def test_iterative_cuts_the_same_share_each_time_with_equal_trainings_between() -> None:
    found = plan("iterative", 0.0625, steps=80, rounds=4)
    assert [step for step, _ in found] == [0, 20, 40, 60]
    assert [density for _, density in found] == pytest.approx([0.5, 0.25, 0.125, 0.0625])


def test_gradual_is_the_cubic_of_zhu_and_gupta_over_the_first_half() -> None:
    """s_t = s_f + (s_i - s_f) (1 - (t - t_0) / (n dt))^3 with s_i = 0."""
    found = plan("gradual", 0.1, steps=200, rounds=10)
    assert [step for step, _ in found] == list(range(10, 101, 10))
    for step, density in found:
        assert 1 - density == pytest.approx(0.9 + (0 - 0.9) * (1 - step / 100) ** 3)
    assert found[-1][1] == pytest.approx(0.1)


def test_surgery_updates_as_often_as_its_probability_says() -> None:
    """The number of updates is a sum of independent draws: within five of its standard deviations."""
    steps, gamma = 20_000, 1e-3
    chances = 1 / (1 + gamma * np.arange(steps))
    spread = math.sqrt((chances * (1 - chances)).sum())
    for seed in range(5):
        found = triggered(steps, seed, gamma)
        assert found[0] == 0
        assert abs(len(found) - chances.sum()) < 5 * spread
        early = sum(step < steps // 10 for step in found)
        assert early / (steps // 10) > len(found) / steps
    assert triggered(steps, 0, gamma) == triggered(steps, 0, gamma) != triggered(steps, 1, gamma)


def test_surgery_stops_halfway_and_keeps_its_density() -> None:
    found = plan("surgery", 0.2, steps=1000, rounds=3, seed=1)
    assert max(step for step, _ in found) < 500
    assert {density for _, density in found} == {0.2}


@pytest.mark.parametrize("kind", ["one-shot", "iterative", "gradual", "surgery"])
def test_without_training_all_cuts_come_first_and_end_at_the_density(kind: Kind) -> None:
    found = plan(kind, 0.3, steps=0, rounds=4)
    assert {step for step, _ in found} == {0}
    assert found[-1][1] == pytest.approx(0.3)
    densities = [density for _, density in found]
    assert densities == sorted(densities, reverse=True)
