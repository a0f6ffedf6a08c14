"""Gradient pruning with the decay in the loss, against the loss written out."""

from __future__ import annotations

import torch
from torch import nn

from prune_audit import pruning
from prune_audit.nets import masking
from prune_audit.pruning import Cut, gradient_full, undecayed
from tests.nets.test_gradients import logistic
from tests.pruning.networks import examples
from tests.pruning.test_undecayed import largest


def test_the_scores_are_weight_times_gradient_of_the_loss_with_decay() -> None:
    """The gradient of cross-entropy plus the decay term, by torch from the written out loss."""
    model, x, y, _ = logistic()
    decay = 0.7
    loss = nn.functional.cross_entropy(model(x), y) + decay / 2 * model.weight.square().sum()
    [full] = torch.autograd.grad(loss, [model.weight])
    for density in (0.1, 0.5, 0.8):
        found = pruning.cut(
            gradient_full, model, masking.whole(model, ["weight"]), density, examples(x, y), Cut(weight_decay=decay)
        )
        assert torch.equal(found["weight"], largest((model.weight.detach() * full).abs(), round(18 * density)))


def test_without_decay_it_is_undecayed_and_with_it_another() -> None:
    model, x, y, _ = logistic()
    masks = masking.whole(model, ["weight"])
    plain = pruning.cut(undecayed, model, masks, 0.5, examples(x, y), Cut())["weight"]
    assert torch.equal(pruning.cut(gradient_full, model, masks, 0.5, examples(x, y), Cut())["weight"], plain)
    decayed = pruning.cut(gradient_full, model, masks, 0.5, examples(x, y), Cut(weight_decay=0.5))["weight"]
    assert not torch.equal(decayed, plain)
