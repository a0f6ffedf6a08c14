"""The authors' public form of undecayed pruning."""

from __future__ import annotations

import torch

from prune_audit import pruning
from prune_audit.nets import masking
from prune_audit.nets.gradients import task_gradients
from prune_audit.pruning import Cut, undecayed, undecayed_released
from tests.nets.test_gradients import logistic
from tests.pruning.networks import examples
from tests.pruning.test_undecayed import largest, stationary


def test_the_scores_are_those_of_the_formula() -> None:
    model, x, y, gradient = logistic()
    theta, decay = model.weight.detach(), 0.3
    for density in (0.1, 0.5, 0.8):
        found = pruning.cut(
            undecayed_released,
            model,
            masking.whole(model, ["weight"]),
            density,
            examples(x, y),
            Cut(weight_decay=decay),
        )
        assert torch.equal(found["weight"], largest((-theta * gradient + decay * theta**2).abs(), round(18 * density)))


def test_at_a_minimum_with_decay_it_is_twice_the_papers_score() -> None:
    decay = 0.05
    model, x, y = stationary(decay)
    theta = model.weight.detach()
    gradient = task_gradients(model, ["weight"], examples(x, y))["weight"]
    released = (-theta * gradient + decay * theta**2).abs()
    torch.testing.assert_close(released, 2 * decay * theta**2, rtol=1e-5, atol=1e-10)
    masks = masking.whole(model, ["weight"])
    found = pruning.cut(undecayed_released, model, masks, 0.4, examples(x, y), Cut(weight_decay=decay))
    assert torch.equal(found["weight"], pruning.cut(undecayed, model, masks, 0.4, examples(x, y), Cut())["weight"])


def test_away_from_a_minimum_it_ranks_otherwise() -> None:
    model, x, y, _ = logistic()
    masks = masking.whole(model, ["weight"])
    found = pruning.cut(undecayed_released, model, masks, 0.4, examples(x, y), Cut(weight_decay=0.3))["weight"]
    assert not torch.equal(found, pruning.cut(undecayed, model, masks, 0.4, examples(x, y), Cut())["weight"])
