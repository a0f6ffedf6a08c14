"""What layers give, against torch's own passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prune_audit import networks
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import activations
from tests.pruning.networks import examples, network


def test_layers_and_blocks() -> None:
    assert activations.layers(network()) == ("0", "5", "8")
    assert activations.layers(networks.lenet5(10)) == ("conv1", "conv2", "fc1", "fc2", "fc3")
    resnet = networks.resnet(8, 10)
    found = activations.layers(resnet)
    blocks = [name for name, each in resnet.named_modules() if type(each).__name__ == "_Block"]
    assert len(blocks) == 3
    assert [name for name in found if name in blocks] == blocks
    assert len(found) == 5  # with the first convolution and the last layer


def test_patterns_choose_any_module() -> None:
    assert activations.layers(network(), ["2", "5"]) == ("2", "5")
    with pytest.raises(UsageError, match="no layer is called 'x\\*'"):
        activations.layers(network(), ["x*"])
    with pytest.raises(ModelError, match="no layers with weights"):
        activations.layers(nn.Sequential(nn.ReLU()))


def test_what_they_give_is_averaged_over_positions() -> None:
    model = network().train()
    batches = examples(size=7)
    found = activations.seen(model, ["0", "5", "8"], batches)
    x = torch.cat([inputs["image"] for inputs, _ in batches])
    model.eval()
    with torch.no_grad():
        conv = model[0](x)
        for name, expected in (("0", conv.mean((2, 3))), ("8", model(x))):
            assert found[name].dtype == np.float64
            # Single precision, in batches of other sizes.
            np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)
    assert found["5"].shape == (40, 7)
    assert not any(each._forward_hooks for each in model.modules())


class Tokens(nn.Module):
    """(N, 5) to (N, 5, 4), a convolution over time and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.time = nn.Linear(1, 4), nn.Conv1d(4, 3, 2)
        self.idle, self.last = nn.Linear(2, 2), nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = self.time(self.embed(x.flatten(1)[:, :5, None]).transpose(1, 2))  # (N, 3, 4)
        scores: torch.Tensor = self.last(functional.relu(steps).mean(2))
        return scores


def test_texts_and_sounds_have_channels_where_their_layers_have() -> None:
    found = activations.seen(Tokens(), ["embed", "time", "idle", "last"], examples())
    assert {name: each.shape for name, each in found.items()} == {"embed": (40, 4), "time": (40, 3), "last": (40, 4)}
