"""The bias of the last layer: found by what it does, whatever the network is made of."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from prune_audit.errors import ModelError
from prune_audit.nets import head

OFFSETS = torch.tensor([0.5, -1.0, 0.25, 0.0], dtype=torch.float64)


def networks() -> list[nn.Module]:
    torch.manual_seed(0)
    return [
        nn.Linear(4, 4),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)),
        nn.Sequential(nn.Linear(4, 4), nn.LogSoftmax(1)),
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, bias=False), nn.LayerNorm(4), nn.Linear(4, 4)).double(),
    ]


@pytest.mark.parametrize("at", range(5))
def test_scores_are_higher_by_the_offsets_and_one_parameter_has_changed(at: int) -> None:
    model = networks()[at].train()
    x = torch.randn(9, 4, dtype=next(model.parameters()).dtype)
    before, parameters = copy.deepcopy(model).eval(), copy.deepcopy(list(model.parameters()))
    head.shift(model, lambda: model(x), OFFSETS, "it")
    assert model.training
    apart = (model.eval()(x) - before(x)).double().detach()
    apart = apart - apart.mean(1, keepdim=True)
    torch.testing.assert_close(apart, (OFFSETS - OFFSETS.mean()).expand(9, 4), atol=1e-5, rtol=0)
    assert sum(not torch.equal(*pair) for pair in zip(model.parameters(), parameters, strict=True)) == 1


def test_a_binary_classifier() -> None:
    model, x = nn.Linear(3, 1), torch.randn(5, 3)
    before = model(x).detach()
    head.shift(model, lambda: model(x), torch.tensor([0.75]), "it")
    torch.testing.assert_close(model(x), before + 0.75)


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(4, 4, bias=False),
        nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4, bias=False)),
    ],
)
def test_a_head_that_cannot_be_seen_is_refused_and_left_as_it_was(model: nn.Module) -> None:
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ModelError, match="no last layer whose bias"):
        head.shift(model, lambda: model(torch.randn(6, 4)), OFFSETS, "it")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
