"""Deadwooding-style: what a quadratic keeps, gradients by torch's own, and the loss under attack by its formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

from prune_audit.core import Preprocess
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking
from prune_audit.nets.attack import Box, attacked
from prune_audit.nets.companion import Course, Teacher
from prune_audit.nets.examples import Examples
from prune_audit.pruning import Cut, deadwooding_style
from prune_audit.pruning.deadwooding_style import BETA, TEMPERATURE, Dual, Options
from tests.pruning.networks import examples, forward, network

BATCHES = examples(torch.rand(40, 1, 6, 6), size=16)
COURSE = Course(
    examples=BATCHES,
    own=None,
    preprocess=Preprocess(),
    steps=400,
    per_epoch=10,
    until=200,
    density=0.3,
    lr=0.1,
    seed=0,
)
FLAT = replace(COURSE, examples=examples(torch.rand(9, 10)))


def dual(model: nn.Module, options: Options | None = None, course: Course = COURSE) -> Dual:
    masks = masking.whole(model, masking.prunable(model))
    made = deadwooding_style.accompany(model, masks, Cut(options=options), course)
    assert isinstance(made, Dual)
    assert isinstance(made, Teacher)
    return made


def test_of_a_quadratic_those_are_kept_whose_loss_would_cost_most() -> None:
    """min sum h (W - T)^2 / 2: the k largest h T^2 stay, three of which are not among the k largest abs(T)."""
    model = nn.Linear(10, 1, bias=False)
    target = torch.tensor([[3.0, 2.9, 2.8, 1.4, 1.3, 1.2, 0.5, 0.4, 0.3, 0.2]])
    steep = torch.tensor([[0.02, 0.02, 0.02, 4.0, 4.0, 4.0, 0.5, 0.5, 0.5, 0.5]])
    with torch.no_grad():
        model.weight.copy_(target)
    made = dual(model, Options(robust_radius="0"), replace(FLAT, lr=0.02))
    multipliers = []
    for step in range(200):
        model.weight.grad = steep * (model.weight.detach() - target)
        made.stepped(step, {})
        multipliers.append(float(made.multiplier))
        with torch.no_grad():
            model.weight -= 0.1 * model.weight.grad
    wanted = (steep * target.square()).flatten().topk(3).indices.tolist()
    assert sorted(model.weight.detach().abs().flatten().topk(3).indices.tolist()) == sorted(wanted) == [3, 4, 5]
    assert multipliers == sorted(multipliers)
    assert multipliers[9] == 0.0 < multipliers[10]


def test_gradients_are_of_the_multiplier_times_the_violation() -> None:
    """By torch's own gradient of the soft count, with the tau of the step, where no weight would be moved beyond 0."""
    torch.manual_seed(0)
    model = nn.Linear(10, 7, bias=False)
    made = dual(model, Options(robust_radius="0"), FLAT)
    made.load({"multiplier": torch.tensor(0.05, dtype=torch.float64)})
    model.weight.grad = torch.ones_like(model.weight)
    made.stepped(55, {})
    weight = model.weight.detach().clone().requires_grad_(True)
    tau = 0.1 ** (55 / 200) * float(np.std(weight.detach().numpy()))
    violation = ((weight.square() / (weight.square() + tau**2)).sum() - 21) / 21
    [wanted] = torch.autograd.grad(0.05 * violation, weight)
    assert float(violation.detach()) > 0
    torch.testing.assert_close(model.weight.grad, 1 + wanted)


def test_no_step_of_the_penalty_carries_a_weight_beyond_nought() -> None:
    """At a rate r with momentum .9 a gradient of w (1 - .9) / r, kept up, comes to 0."""
    model = nn.Linear(10, 1, bias=False)
    made = dual(model, Options(robust_radius="0"), FLAT)
    made.load({"multiplier": torch.tensor(1e9, dtype=torch.float64)})
    model.weight.grad = torch.zeros_like(model.weight)
    made.stepped(5, {})
    torch.testing.assert_close(model.weight.grad, model.weight.detach())  # (1 - .9) / .1 is 1


def test_few_enough_weights_are_left_alone_and_so_are_all_after_the_cut() -> None:
    model = nn.Linear(10, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -1.0, 1.0, 0, 0, 0, 0, 0, 0, 0]]))
    made = dual(model, Options(robust_radius="0"), FLAT)
    for step in (10, 300):
        model.weight.grad = torch.zeros_like(model.weight)
        made.stepped(step, {})
        assert not model.weight.grad.any()
    assert float(made.multiplier) == 0.0


def loss_of(made: Dual, model: nn.Module, batches: Examples, rows: torch.Tensor) -> float:
    loss = made.loss(200, batches, batches.read(rows), rows)
    assert loss is not None
    return float(loss.detach())


def formula(scores: torch.Tensor, dense: torch.Tensor, labels: torch.Tensor) -> float:
    given, to = (log_softmax(each.detach().double().numpy() / TEMPERATURE, axis=1) for each in (scores, dense))
    own = -log_softmax(scores.detach().double().numpy(), axis=1)[np.arange(len(labels)), labels.numpy()].mean()
    return float((1 - BETA) * own + BETA * TEMPERATURE**2 * (np.exp(to) * (to - given)).sum(axis=1).mean())


def test_what_is_kept_learns_under_attack_what_the_dense_network_said_without() -> None:
    model, batches = network().eval(), BATCHES
    made = dual(model)
    rows = torch.tensor([3, 30, 17, 4, 9])
    inputs, labels = batches.read(rows), batches.labels[rows]
    dense = forward(model, inputs).detach()
    masking.apply(model, {"5.weight": torch.rand(7, 80) < 0.3})
    assert made.loss(199, batches, inputs, rows) is None  # that of the task, before the cut
    box = Box.of(Preprocess(), radius=8 / 255, steps=10, step=2 / 255)
    moved = attacked(model, batches, inputs, labels, box)
    expected = formula(forward(model, moved), dense, labels)
    assert loss_of(made, model, batches, rows) == pytest.approx(expected, rel=1e-4)  # in single precision
    assert expected > formula(forward(model, inputs), dense, labels) + 1e-3


def test_without_a_radius_samples_are_shown_as_they_are() -> None:
    model, batches = network().eval(), BATCHES
    made = dual(model, Options(robust_radius="0"), replace(COURSE, preprocess=None))
    rows = torch.arange(8)
    dense = forward(model, batches.read(rows)).detach()
    masking.apply(model, {"5.weight": torch.rand(7, 80) < 0.3})
    expected = formula(forward(model, batches.read(rows)), dense, batches.labels[rows])
    assert loss_of(made, model, batches, rows) == pytest.approx(expected, rel=1e-4)


def test_as_many_samples_are_attacked_as_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batches = network().eval(), BATCHES
    made, seen = dual(model, Options(robust_samples=12)), []

    def see(*given: object) -> dict[str, torch.Tensor]:
        inputs = given[2]
        assert isinstance(inputs, dict)
        seen.append(len(inputs["image"]))
        return inputs

    monkeypatch.setattr("prune_audit.nets.attack.attacked", see)
    for rows in torch.arange(40).split(16):
        loss_of(made, model, batches, rows)
    assert sum(seen) == 12


def test_a_binary_classifier_is_one_of_two_classes() -> None:
    """One score z is as the scores 0 and z."""
    torch.manual_seed(0)
    one, two = nn.Linear(6, 1), nn.Linear(6, 2)
    with torch.no_grad():
        two.weight.copy_(torch.cat([torch.zeros_like(one.weight), one.weight]))
        two.bias.copy_(torch.cat([torch.zeros_like(one.bias), one.bias]))
    batches = examples(torch.rand(30, 6), torch.randint(0, 2, (30,)))
    losses = []
    for model in (one, two):
        made = dual(model, Options(robust_radius="0"), replace(COURSE, examples=batches))
        with torch.no_grad():
            model.weight *= 0.5
        losses.append(loss_of(made, model, batches, torch.arange(30)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_what_has_no_pixels_cannot_be_attacked() -> None:
    with pytest.raises(ModelError, match="attacks pixels"):
        dual(network(), course=replace(COURSE, preprocess=None))


@pytest.mark.parametrize("radius", ["-1", "1.5", "8/0", "x", "8/255:0"])
def test_a_radius_that_is_none_is_refused(radius: str) -> None:
    with pytest.raises(UsageError, match="--robust-radius: expected a radius from 0 to 1"):
        Options(robust_radius=radius)


def test_the_number_of_attacked_samples_is_positive() -> None:
    with pytest.raises(UsageError, match="--robust-samples: expected 1 or more, found 0"):
        Options(robust_samples=0)


@pytest.mark.parametrize("steps", [0, 7, 100])
def test_it_cuts_once_after_the_first_half(steps: int) -> None:
    assert deadwooding_style.schedule(0.2, steps=steps, rounds=4, seed=0) == ((steps // 2, 0.2),)
