"""The constraint on excess drops against counts by hand and a problem that is solved by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.errors import UsageError
from prune_audit.mitigations import Asked, ceag
from prune_audit.mitigations._multipliers import MOST
from prune_audit.nets.examples import cross_entropy
from tests.mitigations.known import Bias, known, trained


def asked(step: float = 0.01, tolerance: float = 0.0, window: int = 40) -> Asked:
    return Asked(step=step, tolerance=tolerance, options=ceag.Options(window=window))


@given(st.lists(st.lists(st.floats(0, 1), max_size=7), max_size=9), st.integers(1, 12))
def test_the_mean_of_the_last_so_many(parts: list[list[float]], size: int) -> None:
    recent = ceag.Recent(size)
    for part in parts:
        recent.add(part)
    flat = [value for part in parts for value in part]
    assert recent.mean == (pytest.approx(np.mean(flat[-size:])) if len(flat) >= size else None)


def scores_that_are(right: list[bool], labels: torch.Tensor) -> torch.Tensor:
    """Scores (B, 2) that predict the label of a sample or the other class."""
    predicted = torch.where(torch.tensor(right), labels, 1 - labels)
    return torch.nn.functional.one_hot(predicted, 2).double()


def test_a_step_by_hand() -> None:
    """The dense model is right on all; group a on 1 of 4 samples, b on all: psi is .75 - .375 and 0 - .375."""
    labels = torch.tensor([0, 1] * 4)
    made = ceag.objective(known([0] * 4 + [1] * 4), asked(step=0.1, tolerance=0.05, window=4))
    hits = [True, False, False, False, True, True, True, True]
    scores = scores_that_are(hits, labels)
    # The window of all samples holds the last four, all of b.
    expected = np.array([0.75 - 0.0, 0.0 - 0.0]) - 0.05
    each = cross_entropy(scores, labels).numpy()
    gap = each[:4].mean() - each.mean()
    found = float(made.loss(scores, labels, torch.arange(8)))
    assert found == pytest.approx(each.mean() + 0.1 * expected[0] * gap)  # the dual step comes first
    made.ended()
    assert [m.multiplier for m in made.multipliers] == pytest.approx([0.1 * expected[0], 0.0])
    assert [m.violation for m in made.multipliers] == pytest.approx([0.75, 0.0])


def test_a_window_that_is_not_full_moves_nothing_and_a_small_group_has_a_smaller_one() -> None:
    groups = [0] * 6 + [1] * 2
    made = ceag.objective(known(groups), asked(step=1.0, window=4))
    labels = torch.zeros(8, dtype=torch.int64)
    wrong = scores_that_are([False] * 8, labels)
    made.loss(wrong[:3], labels[:3], torch.arange(3))
    made.ended()
    assert [m.multiplier for m in made.multipliers] == [0.0, 0.0]
    assert [m.violation for m in made.multipliers] == [None, None]
    made.loss(wrong[6:], labels[6:], torch.tensor([6, 7]))  # all of b, and 5 of all
    made.ended()
    assert made.multipliers[-2].violation is None
    assert made.multipliers[-1].violation == pytest.approx(0.0)


def test_a_drop_that_is_the_same_for_all_moves_nothing() -> None:
    labels = torch.tensor([0, 1] * 8)
    made = ceag.objective(known([0, 0, 1, 1] * 4), asked(step=1.0, window=8))
    for _ in range(4):
        made.loss(scores_that_are([True, False] * 8, labels), labels, torch.arange(16))
    made.ended()
    assert [m.multiplier for m in made.multipliers] == [0.0, 0.0]
    assert [m.violation for m in made.multipliers] == [0.0, 0.0]


def test_multipliers_fall_again_to_0_and_are_clipped() -> None:
    labels = torch.zeros(8, dtype=torch.int64)
    made = ceag.objective(known([0, 1] * 4), asked(step=100.0, window=4))
    made.loss(scores_that_are([False, True] * 4, labels), labels, torch.arange(8))
    made.ended()
    made.loss(scores_that_are([True, False] * 4, labels), labels, torch.arange(8))
    made.ended()
    values = np.array([m.multiplier for m in made.multipliers]).reshape(2, 2)
    assert values[0] == pytest.approx([MOST, 0.0])
    assert values[1] == pytest.approx([0.0, MOST])


def test_it_turns_a_bias_to_the_group_that_lost_more() -> None:
    """A classifier of one bias calls all samples alike, so one group keeps all and the other nothing; the constraint
    drives the bias to where they change places, which is 0."""
    labels = torch.tensor([0] * 30 + [1] * 10)
    made = ceag.objective(known([0] * 30 + [1] * 10), asked(step=0.01))
    model = Bias()
    trained(model, made, torch.zeros(40, 1, dtype=torch.float64), labels, epochs=1200, lr=0.0005)
    assert abs(model.bias.item()) < 0.15
    plain = np.log(10 / 30)
    assert plain < -1


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="--window"):
        ceag.Options(window=0)
