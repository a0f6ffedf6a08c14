"""Gates: against brute force over all masks, and what was closed opens again."""

from __future__ import annotations

from itertools import product

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
from prune_audit.pruning.autoprune_style import GATE, Gates
from tests.pruning.networks import examples, network


class Quadratic(Examples):
    """T(t) = |t - w|^2 / 2 of an orthonormal regression: a closed gate costs w^2 / 2."""

    def loss(self, model: nn.Module, inputs: object, labels: torch.Tensor) -> torch.Tensor:
        del inputs
        return len(labels) * (model.get_parameter("weight") - WEIGHT).square().sum() / 2


WEIGHT = torch.tensor([[0.1, -0.3, 0.6, -1.0, 1.5, 0.2, -0.7, 0.05]])
PLAIN = examples(torch.randn(4, 8), torch.tensor([0, 0, 1, 1]), size=2)
OWN = Quadratic(labels=PLAIN.labels, rows=PLAIN.rows, read=PLAIN.read, forward=PLAIN.forward, size=2)


def gates(mu: float, steps: int, eta: float, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Linear, Gates]:
    monkeypatch.setattr(autoprune_style, "ETA", eta)
    model = nn.Linear(8, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(WEIGHT)
    # Below any density that is reached, mu would change.
    course = Course(own=OWN, steps=2 * steps, per_epoch=2 * steps + 1, until=steps, density=0.5, lr=0.1, seed=0)
    made = Gates(model, masking.whole(model, ["weight"]), course, OWN)
    made.load(made.state() | {"mu": torch.tensor(mu, dtype=torch.float64)})
    return model, made


@pytest.mark.parametrize("mu", [0.04, 0.15, 0.55])
def test_what_stays_open_half_the_time_is_worth_its_price(mu: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open gate has no gradient here and sinks by mu, a closed one rises by |w| - mu: those with |w| < mu stay shut.

    The best mask of all 2^8 by T + mu |w| / 2 for each weight kept, the price that the gradient of a closed gate sees.
    """
    model, made = gates(mu, 400, 0.05, monkeypatch)
    opened = np.zeros(8)
    for step in range(400):
        made.stepped(step, {})
        if step >= 200:
            opened += (made.gates["weight"] > 0).numpy()[0] / 200
    w = WEIGHT.numpy()[0].astype(float)

    def cost(kept: tuple[int, ...]) -> float:
        return float(sum(mu * abs(v) / 2 if k else v**2 / 2 for k, v in zip(kept, w, strict=True)))

    best = min(product((0, 1), repeat=8), key=cost)
    assert ((opened > 0.01) == np.array(best, bool)).all()
    assert torch.equal(model.weight.detach(), WEIGHT)


def test_without_a_price_no_gate_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    _, made = gates(0.0, 20, 0.1, monkeypatch)
    for step in range(20):
        made.stepped(step, {})
    assert torch.equal(made.gates["weight"], torch.full((1, 8), GATE))


def test_a_gate_that_was_closed_on_a_weight_that_is_needed_opens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model, made = gates(0.0, 100, 0.1, monkeypatch)
    made.gates["weight"][0, 3] = -0.2
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


def test_gates_rank_first_and_sizes_among_equal_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    model, made = gates(0.0, 100, 0.1, monkeypatch)
    masks = masking.whole(model, ["weight"])
    equal = pruning.cut(autoprune_style, model, masks, 0.5, None, Cut(companion=made))
    plain = pruning.cut(magnitude, model, masks, 0.5, None, Cut())
    assert torch.equal(equal["weight"], plain["weight"])
    made.gates["weight"][0, 7] = 0.2  # the smallest weight
    found = pruning.cut(autoprune_style, model, masks, 1 / 8, None, Cut(companion=made))["weight"]
    assert found.nonzero().tolist() == [[0, 7]]


def test_two_samples_of_each_class_are_needed() -> None:
    few = examples(torch.randn(3, 1, 6, 6), torch.tensor([0, 0, 1]))
    course = Course(own=few, steps=10, per_epoch=5, until=5, density=0.5, lr=0.1, seed=0)
    model = network()
    with pytest.raises(ModelError, match="fewer than 2 samples there of class 1, counted from 0"):
        autoprune_style.accompany(model, masking.whole(model, ["5.weight"]), Cut(), course)
