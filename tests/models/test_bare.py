"""Files of weights alone: layers by names and shapes, as the network that was saved counts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

from prune_audit import models
from prune_audit.core import ModelCard, ModelSource, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets.module import layers, parameters


class Network(nn.Module):
    """A layer of every kind, and a table whose name is no weight's; six tenths of the weights are zero."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(11, 6)
        self.conv = nn.Conv1d(6, 5, 3)
        self.norm = nn.BatchNorm1d(5)
        self.rnn = nn.LSTM(5, 4, bidirectional=True, proj_size=2)
        self.attention = nn.MultiheadAttention(4, 2)
        self.places = nn.Parameter(torch.randn(1, 7, 4))
        self.head = nn.Linear(4, 3)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if "weight" in name and parameter.ndim > 1:
                    parameter[torch.rand_like(parameter) < 0.6] = 0


def shown(path: Path, key: str | None = None) -> ModelCard:
    card = models.bare(ModelSource(name="m", path=path), Settings(state_key=() if key is None else (key,)))
    assert card is not None
    return card


def counts(card: ModelCard) -> dict[str, tuple[str, int, int]]:
    return {layer.name: (layer.kind, layer.nonzero, layer.total) for layer in card.layers}


def of(network: nn.Module) -> dict[str, tuple[str, int, int]]:
    return {layer.name: (layer.kind, layer.nonzero, layer.total) for layer in layers(network)}


WRAPPED: dict[str, Callable[[nn.Module, torch.optim.Optimizer], Any]] = {
    "plain": lambda m, o: m.state_dict(),
    "parallel": lambda m, o: {"state_dict": {f"module.{k}": v for k, v in m.state_dict().items()}, "best": 0.5},
    "training": lambda m, o: {"net": m.state_dict(), "optimizer": o.state_dict(), "best": torch.tensor(0.5)},
    "twice": lambda m, o: {"model": m.state_dict(), "model_ema": m.state_dict(), "optim": o.state_dict()},
}


@pytest.mark.parametrize("how", WRAPPED)
def test_counts_as_the_network_does(how: str, tmp_path: Path) -> None:
    network = Network()
    optimiser = torch.optim.Adam(network.parameters())
    sum(p.sum() for p in network.parameters()).backward()  # type: ignore[union-attr]  # a tensor
    optimiser.step()
    network = Network()
    torch.save(WRAPPED[how](network, optimiser), tmp_path / "m")
    card = shown(tmp_path / "m")
    own = {n: p.detach().numpy() for n, p in network.named_parameters() if "weight" in n and p.ndim > 1}
    assert counts(card) == of(network)
    assert {name: found[1:] for name, found in counts(card).items()} == {
        name: (int(np.count_nonzero(array)), array.size) for name, array in own.items()
    }
    assert card.uncounted == ("places (1 x 7 x 4)",)
    assert card.parameters == parameters(network)
    assert card.format == "torch.save"


def test_safetensors_likewise(tmp_path: Path) -> None:
    network = Network()
    save_file(dict(network.state_dict()), tmp_path / "m")
    card = shown(tmp_path / "m")
    assert counts(card) == of(network)
    assert (card.format, card.uncounted) == ("safetensors", ("places (1 x 7 x 4)",))


def test_masks_beside_weights_are_applied(tmp_path: Path) -> None:
    network = Network()
    prune.random_unstructured(network.conv, "weight", 0.5)
    torch.save({"weights": network.state_dict(), "optimizer": {"state": {0: torch.ones(3, 3)}}}, tmp_path / "m")
    assert counts(shown(tmp_path / "m")) == of(network)


def test_halves_of_weight_norm_count_by_their_direction(tmp_path: Path) -> None:
    network = nn.utils.parametrizations.weight_norm(nn.Linear(6, 5))
    torch.save({"fc." + k: v for k, v in network.state_dict().items()}, tmp_path / "m")
    [found] = shown(tmp_path / "m").layers
    assert (found.kind, found.total) == ("linear", 30)


def test_sets_that_differ_are_asked_for_and_optimisers_are_none(tmp_path: Path) -> None:
    one, other = Network(0), Network(1)
    torch.save({"model": one.state_dict(), "ema": other.state_dict()}, tmp_path / "m")
    with pytest.raises(ModelError, match="2 sets of weights that differ: model, ema") as caught:
        shown(tmp_path / "m")
    assert caught.value.hint == "say which to show: --state-key model or --state-key ema"
    assert counts(shown(tmp_path / "m", "ema")) == of(other)
    with pytest.raises(UsageError, match="no weights 'net'"):
        shown(tmp_path / "m", "net")


@pytest.mark.parametrize("value", [0.5, float("nan")])
def test_two_sets_that_are_equal_are_one(tmp_path: Path, value: float) -> None:
    sets = [Network(0).state_dict() for _ in range(2)]
    for each in sets:
        next(iter(each.values())).flatten()[0] = value
    torch.save({"model": sets[0], "ema": sets[1]}, tmp_path / "m")
    assert counts(shown(tmp_path / "m")) == of(Network(0))


def test_weights_that_were_packed_into_integers_are_named(tmp_path: Path) -> None:
    packed = torch.zeros(8, 16, dtype=torch.int32)
    save_file({"fc.qweight": packed, "fc.g_idx": packed.clone(), "head.weight": torch.ones(2, 3)}, tmp_path / "m")
    card = shown(tmp_path / "m")
    assert counts(card) == {"head.weight": ("linear", 6, 6)}
    assert card.uncounted == ("fc.qweight (8 x 16)",)


def test_what_holds_a_network_or_was_given_one_is_not_bare(tmp_path: Path, sample_models: Path) -> None:
    assert models.bare(ModelSource(name="m", path=sample_models / "dense.onnx"), Settings()) is None
    torch.save(Network().state_dict(), tmp_path / "m")
    source = ModelSource(name="m", path=tmp_path / "m", factory="nets:build")
    assert models.bare(source, Settings()) is None
    torch.save({"epoch": 3}, tmp_path / "none")
    assert models.bare(ModelSource(name="m", path=tmp_path / "none"), Settings()) is None
    torch.save({"bias": torch.ones(3)}, tmp_path / "vectors")
    with pytest.raises(ModelError, match="no weights of layers"):
        shown(tmp_path / "vectors")


class Quantised(nn.Module):
    """Two convolutions' worth of a network that torch quantises, with a linear layer at its end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.quant = torch.ao.quantization.QuantStub()
        self.conv = nn.Conv2d(2, 5, 3)
        self.head = nn.Linear(5, 40)
        self.dequant = torch.ao.quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.dequant(self.head(self.conv(self.quant(x)).mean((2, 3))))
        return y


@pytest.mark.filterwarnings("ignore")  # torch means to do without such networks
@pytest.mark.parametrize("within", [None, "state_dict"])
def test_pairs_of_quantised_layers_are_weights_and_steps_are_not(tmp_path: Path, within: str | None) -> None:
    network = Quantised().eval()
    network.qconfig = torch.ao.quantization.get_default_qconfig("qnnpack")
    torch.ao.quantization.prepare(network, inplace=True)
    network(torch.rand(6, 2, 7, 7))
    torch.ao.quantization.convert(network, inplace=True)
    state = network.state_dict()
    torch.save(state if within is None else {within: state}, tmp_path / "q.pth")
    card = shown(tmp_path / "q.pth")
    totals = {layer.name: (layer.kind, layer.total) for layer in card.layers}
    assert totals == {"conv.weight": ("convolution", 90), "head.weight": ("linear", 200)}
    assert card.parameters == 90 + 5 + 200 + 40
    assert {each.name: each.rounded for each in card.layers} == {each.name: each.rounded for each in layers(network)}
    assert sum(each.rounded for each in card.layers) > 0
