"""Gates: against brute force over all masks, and what was closed opens again."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit import pruning
from prune_audit.errors import ModelError
from prune_audit.nets import masking
from prune_audit.nets.companion import Course
from prune_audit.nets.examples import Examples
from prune_audit.pruning import Cut, autoprune_style, magnitude
from prune_audit.pruning.autoprune_style import Gates
from tests.pruning.networks import examples, network


class Quadratic(Examples):
    """T(t) = |t - w|^2 / 2 of an orthonormal regression: a closed gate costs w^2 / 2."""

    def loss(self, model: nn.Module, inputs: object, labels: torch.Tensor) -> torch.Tensor:
        del inputs
        return len(labels) * (model.get_parameter("weight") - WEIGHT).square().sum() / 2


WEIGHT = torch.tensor([[0.1, -0.3, 0.6, -1.0, 1.5, 0.2, -0.7, 0.05]])
PLAIN = examples(torch.randn(4, 8), torch.tensor([0, 0, 1, 1]), size=2)
OWN = Quadratic(labels=PLAIN.labels, rows=PLAIN.rows, read=PLAIN.read, forward=PLAIN.forward, size=2)


def gates(density: float, steps: int, lr: float) -> tuple[nn.Linear, Gates]:
    model = nn.Linear(8, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(WEIGHT)
    course = Course(
        examples=OWN, own=OWN, steps=2 * steps, per_epoch=steps, until=steps, density=density, lr=lr, seed=0
    )
    return model, Gates(model, masking.whole(model, ["weight"]), course, OWN)


@pytest.mark.parametrize("kept", [2, 3, 5])
def test_what_stays_open_is_the_best_mask_whatever_gates_begin_with(kept: int) -> None:
    """An open gate has no gradient here, a closed one rises by |w|, all sink alike: the larger, the more often open.

    Against brute force over all masks of as many weights.
    """
    model, made = gates(kept / 8, 240, 0.02)
    made.gates["weight"].copy_(0.1 - WEIGHT.abs() / 50)  # the least first
    opened = np.zeros(8)
    for step in range(240):
        made.stepped(step, {})
        if step >= 180:
            opened += (made.gates["weight"] > 0).numpy()[0] / 60
    w = WEIGHT.numpy()[0].astype(float)
    best = min(combinations(range(8), kept), key=lambda mask: sum(w[n] ** 2 for n in range(8) if n not in mask))
    assert set(np.argsort(-opened)[:kept].tolist()) == set(best)
    assert opened.sum() == pytest.approx(kept, abs=0.2)  # the last quarter of the cubic
    assert torch.equal(model.weight.detach(), WEIGHT)


def test_gates_close_by_the_cubic_and_none_where_all_is_kept() -> None:
    _, made = gates(0.25, 40, 0.0)
    for step in range(40):
        made.stepped(step, {})
        closed = round(6 * (1 - (1 - (step + 1) / 40) ** 3))
        assert int((made.gates["weight"] <= 0).sum()) == closed
    assert (made.gates["weight"] > 0).nonzero()[:, 1].tolist() == [3, 4]  # the largest weights
    _, made = gates(1.0, 20, 0.1)
    for step in range(20):
        made.stepped(step, {})
    assert torch.equal(made.gates["weight"], WEIGHT.abs())


def test_a_gate_that_was_closed_on_a_weight_that_is_needed_opens_again() -> None:
    model, made = gates(0.5, 100, 0.1)
    made.gates["weight"][0, 3] = -0.2
    made.gates["weight"][0, [5, 7]] = 0.5
    with torch.no_grad():
        made.show()
    assert float(model.weight.detach()[0, 3]) == 0
    with torch.no_grad():
        model.weight.copy_(WEIGHT)
    made.stepped(0, {})
    assert float(made.gates["weight"][0, 3]) > -0.2  # the sign: removing it raises the loss
    for step in range(1, 20):
        made.stepped(step, {})
    assert float(made.gates["weight"][0, 3]) > 0


def test_gates_rank_first_and_sizes_among_equal_ones() -> None:
    model, made = gates(0.5, 100, 0.1)
    masks = masking.whole(model, ["weight"])
    made.gates["weight"].fill_(0.1)
    equal = pruning.cut(autoprune_style, model, masks, 0.5, None, Cut(companion=made))
    plain = pruning.cut(magnitude, model, masks, 0.5, None, Cut())
    assert torch.equal(equal["weight"], plain["weight"])
    made.gates["weight"][0, 7] = 0.2  # the smallest weight
    found = pruning.cut(autoprune_style, model, masks, 1 / 8, None, Cut(companion=made))["weight"]
    assert found.nonzero().tolist() == [[0, 7]]


def test_two_samples_of_each_class_are_needed() -> None:
    few = examples(torch.randn(3, 1, 6, 6), torch.tensor([0, 0, 1]))
    course = Course(examples=few, own=few, steps=10, per_epoch=5, until=5, density=0.5, lr=0.1, seed=0)
    model = network()
    with pytest.raises(ModelError, match="fewer than 2 samples there of class 1, counted from 0"):
        autoprune_style.accompany(model, masking.whole(model, ["5.weight"]), Cut(), course)
