"""Wanda: weights times norms of inputs, by hand, and against the columns that torch unfolds a convolution to."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from prune_audit import pruning
from prune_audit.errors import ModelError
from prune_audit.nets import masking
from prune_audit.pruning import Cut, magnitude, wanda
from tests.pruning.networks import examples, network


def test_two_outputs_of_three_inputs_by_hand() -> None:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0, 3.0], [-6.0, 1.0, 1.0]]))
    x = torch.tensor([[3.0, 1.0, 0.0], [4.0, 0.0, 2.0]])  # norms 5, 1, 2
    batches = examples(x, torch.tensor([0, 1]), size=1)
    scores = wanda.score(model, ["weight"], batches, Cut())["weight"]
    torch.testing.assert_close(scores, torch.tensor([[5.0, 2.0, 6.0], [30.0, 1.0, 2.0]]))
    found = pruning.cut(wanda, model, masking.whole(model, ["weight"]), 2 / 3, batches, Cut())
    # Two of each output, though the second best of the second is below the worst of the first.
    assert found["weight"].tolist() == [[True, False, True], [True, False, True]]


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_is_a_product_with_the_columns_that_it_unfolds_to(groups: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=groups)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(6 * 9, 3))
    x = torch.randn(10, 4, 6, 6)
    found = wanda.score(model, ["0.weight"], examples(x, torch.zeros(10, dtype=torch.long), size=4), Cut())["0.weight"]
    columns = functional.unfold(x, 3, stride=2, padding=1)  # (N, 36, L)
    norms = columns.square().sum((0, 2)).sqrt().reshape(4, 3, 3)
    own = torch.stack([norms[4 // groups * (o * groups // 6) :][: 4 // groups] for o in range(6)])
    torch.testing.assert_close(found, layer.weight.detach().abs() * own)


def test_with_equal_norms_it_is_magnitude_of_each_output() -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 5)
    batches = examples(torch.eye(8), torch.arange(8) % 5)
    found = pruning.cut(wanda, model, masking.whole(model, ["weight"]), 0.5, batches, Cut())["weight"]
    size = magnitude.score(model, ["weight"], None, Cut())["weight"]
    for kept, row in zip(found, size, strict=True):
        assert int(kept.sum()) == 4
        assert row[kept].min() > row[~kept].max()


def test_statistics_are_those_of_evaluation_and_nothing_is_left_behind() -> None:
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = wanda.score(model, ["5.weight"], examples(), Cut())["5.weight"]
    assert torch.equal(first, wanda.score(model.eval(), ["5.weight"], examples(), Cut())["5.weight"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_layer_whose_inputs_are_not_seen_is_named() -> None:
    model = nn.ModuleDict({"first": nn.Linear(2, 2), "table": nn.Embedding(3, 2)})
    model.forward = lambda image: model["first"](image)  # which never runs the other
    batches = examples(torch.randn(4, 2), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(ModelError, match=r"knows no inputs of table\.weight") as caught:
        wanda.score(model, ["first.weight", "table.weight"], batches, Cut())
    assert "--exempt" in str(caught.value.hint)
