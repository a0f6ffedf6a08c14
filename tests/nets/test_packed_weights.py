"""What torch's quantised layers pack: by the weights that were quantised."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.nets import packed_weights
from prune_audit.nets.module import layers, parameters


class Network(nn.Module):
    def __init__(self, kind: type[nn.GRU | nn.LSTM]) -> None:
        super().__init__()
        self.rnn = kind(5, 7, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(14, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.rnn(x)[0][:, -1])
        return scores


def quantised(network: nn.Module, dtype: torch.dtype = torch.qint8) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: nn.Module = torch.ao.quantization.quantize_dynamic(network, {nn.GRU, nn.LSTM, nn.Linear}, dtype=dtype)
    return made


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_dynamic_recurrent_layers_hold_what_was_quantised(kind: type[nn.GRU | nn.LSTM], dtype: torch.dtype) -> None:
    torch.manual_seed(4)
    network = Network(kind).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "weight" in name:
                parameter[parameter.abs() < parameter.abs().quantile(0.8)] = 0
    made = quantised(network, dtype)
    found = layers(made)
    own = [p.detach().numpy() for n, p in network.named_parameters() if "weight" in n]
    assert sorted(layer.shape for layer in found) == sorted(array.shape for array in own)
    assert sum(layer.nonzero for layer in found) == sum(np.count_nonzero(array) for array in own)
    assert [layer.rounded for layer in found] == [0] * len(found)
    assert {layer.kind for layer in found} == {"recurrent", "linear"}
    assert parameters(made) == sum(p.numel() for p in network.parameters())


def test_static_layers_and_embeddings_unpack() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = nn.Sequential(
            torch.ao.nn.quantized.Conv2d(2, 3, 3),
            torch.ao.nn.quantized.ConvTranspose2d(3, 4, 2),
            torch.ao.nn.quantized.Linear(6, 5),
            torch.ao.nn.quantized.Embedding(10, 12),
        )
    assert [(layer.name, layer.kind, layer.shape) for layer in layers(made)] == [
        ("0.weight", "convolution", (3, 2, 3, 3)),
        ("1.weight", "convolution", (3, 4, 2, 2)),
        ("2.weight", "linear", (5, 6)),
        ("3.weight", "embedding", (10, 12)),
    ]
    assert packed_weights.sealed(made) == ()
    assert parameters(made) == 54 + 3 + 48 + 4 + 30 + 5 + 120
