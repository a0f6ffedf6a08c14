"""Undecayed pruning: the formula of the paper, against closed forms."""

from __future__ import annotations

import torch
from torch import nn

from prune_audit import pruning
from prune_audit.nets import masking
from prune_audit.nets.gradients import task_gradients
from prune_audit.pruning import Cut, magnitude, undecayed
from tests.nets.test_gradients import logistic
from tests.pruning.networks import examples


def largest(scores: torch.Tensor, count: int) -> torch.Tensor:
    kept = torch.zeros(scores.numel(), dtype=torch.bool)
    kept[scores.flatten().argsort(descending=True, stable=True)[:count]] = True
    return kept.view(scores.shape)


def stationary(decay: float) -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    """A linear classifier at the minimum of T + decay / 2 ||theta||^2, where dT = -decay theta."""
    model, x, y, _ = logistic()
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=500, tolerance_grad=1e-14, tolerance_change=0)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        found = nn.functional.cross_entropy(model(x), y) + decay / 2 * sum(p.square().sum() for p in model.parameters())
        found.backward()
        return found

    optimiser.step(loss)
    return model, x, y


def test_the_scores_are_weight_times_gradient() -> None:
    model, x, y, gradient = logistic()
    for density in (0.1, 0.5, 0.8):
        found = pruning.cut(
            undecayed, model, masking.whole(model, ["weight"]), density, examples(x, y), Cut(weight_decay=0.9)
        )
        wanted = largest((model.weight.detach() * gradient).abs(), round(18 * density))
        assert torch.equal(found["weight"], wanted)


def test_the_papers_two_ways_of_writing_it_are_one() -> None:
    """|-theta dL + eps theta^2| = |theta dT|, as dL = dT + eps theta."""
    model, _, _, task = logistic()
    theta, decay = model.weight.detach(), 0.03
    full = task + decay * theta
    torch.testing.assert_close((-theta * full + decay * theta**2).abs(), (theta * task).abs(), rtol=0, atol=1e-12)


def test_at_a_minimum_with_decay_it_is_the_order_of_magnitude() -> None:
    decay = 0.05
    model, x, y = stationary(decay)
    theta = model.weight.detach()
    gradient = task_gradients(model, ["weight"], examples(x, y))["weight"]
    torch.testing.assert_close((theta * gradient).abs(), decay * theta**2, rtol=1e-5, atol=1e-10)
    masks = masking.whole(model, ["weight"])
    for density in (0.2, 0.5):
        found = pruning.cut(undecayed, model, masks, density, examples(x, y), Cut())
        assert torch.equal(found["weight"], pruning.cut(magnitude, model, masks, density, None, Cut())["weight"])
