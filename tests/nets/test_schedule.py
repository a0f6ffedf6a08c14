"""When masks are updated, against the formulas."""

from __future__ import annotations

import pytest

from prune_audit.nets.schedule import gradual, iterative, one_shot


def test_one_shot_cuts_before_the_first_step() -> None:
    assert one_shot(0.1, steps=100, rounds=5, seed=0) == ((0, 0.1),)


def test_iterative_cuts_the_same_share_each_time_with_equal_trainings_between() -> None:
    found = iterative(0.0625, steps=80, rounds=4, seed=0)
    assert [step for step, _ in found] == [0, 20, 40, 60]
    assert [density for _, density in found] == pytest.approx([0.5, 0.25, 0.125, 0.0625])


def test_gradual_is_the_cubic_of_zhu_and_gupta_over_the_first_half() -> None:
    """s_t = s_f + (s_i - s_f) (1 - (t - t_0) / (n dt))^3 with s_i = 0."""
    found = gradual(0.1, steps=200, rounds=10, seed=0)
    assert [step for step, _ in found] == list(range(10, 101, 10))
    for step, density in found:
        assert 1 - density == pytest.approx(0.9 + (0 - 0.9) * (1 - step / 100) ** 3)
    assert found[-1][1] == pytest.approx(0.1)
