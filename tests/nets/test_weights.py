"""Which tensors of a module are weights: by numpy's count of what the layer multiplies with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from prune_audit.nets import weights


class Masked(nn.Module):
    """A layer that torch does not know, with a weight of its own and a table that may be one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))
        self.table = nn.Parameter(torch.randn(1, 7, 3))
        self.scale = nn.Parameter(torch.randn(1, 3, 1, 1))


KINDS: dict[str, tuple[Callable[[], nn.Module], list[tuple[str, str, tuple[int, ...]]]]] = {
    "lstm": (
        lambda: nn.LSTM(4, 6, num_layers=2, bidirectional=True, proj_size=3),
        [
            (f"weight_{part}_l{layer}{end}", "recurrent", shape)
            for layer, width in ((0, 4), (1, 6))
            for end in ("", "_reverse")
            for part, shape in (("ih", (24, width)), ("hh", (24, 3)), ("hr", (3, 6)))
        ],
    ),
    "gru": (lambda: nn.GRU(5, 2), [("weight_ih_l0", "recurrent", (6, 5)), ("weight_hh_l0", "recurrent", (6, 2))]),
    "relu": (
        lambda: nn.RNN(5, 2, nonlinearity="relu"),
        [("weight_ih_l0", "recurrent", (2, 5)), ("weight_hh_l0", "recurrent", (2, 2))],
    ),
    "cell": (lambda: nn.LSTMCell(3, 2), [("weight_ih", "recurrent", (8, 3)), ("weight_hh", "recurrent", (8, 2))]),
    "attention": (
        lambda: nn.MultiheadAttention(6, 2, kdim=5, vdim=4),
        [
            ("q_proj_weight", "linear", (6, 6)),
            ("k_proj_weight", "linear", (6, 5)),
            ("v_proj_weight", "linear", (6, 4)),
            ("out_proj.weight", "linear", (6, 6)),
        ],
    ),
    "transposed": (lambda: nn.ConvTranspose2d(3, 4, 2), [("weight", "convolution", (3, 4, 2, 2))]),
    "norm": (lambda: nn.LayerNorm((3, 4, 5)), []),
    "own": (Masked, [("weight", "other", (4, 3))]),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_weight_counts_once(name: str) -> None:
    make, expected = KINDS[name]
    module = make()
    found = list(weights.weights(module))
    assert [(w.name, w.kind, tuple(w.values.shape)) for w in found] == expected
    assert all(w.cuttable and w.parameter is module.get_parameter(w.name) for w in found)
    shared = nn.ModuleList([module, module])
    assert len(list(weights.weights(shared))) == len(expected)


def test_what_may_be_a_weight_is_named_with_its_shape() -> None:
    assert weights.uncounted(Masked()) == ("table (1 x 7 x 3)",)
    assert weights.uncounted(nn.Sequential(nn.LSTM(3, 2), nn.LayerNorm((2, 3)), nn.BatchNorm2d(4))) == ()


@pytest.mark.parametrize("layer", [lambda: nn.LSTM(5, 4), lambda: nn.Linear(5, 4)])
def test_masks_of_torchs_pruning_are_applied(layer: Callable[[], nn.Module]) -> None:
    module = layer()
    name = next(name for name, _ in module.named_parameters() if "weight" in name)
    kept = np.random.default_rng(3).random(tuple(module.get_parameter(name).shape)) < 0.3
    prune.custom_from_mask(module, name, torch.from_numpy(kept))
    found = {w.name: w for w in weights.weights(module)}
    assert int(found[name].values.count_nonzero()) == int(kept.sum())
    assert found[name].parameter is module.get_parameter(f"{name}_orig")
    assert not found[name].cuttable
    assert weights.uncounted(module) == ()


def test_a_weight_that_is_computed_counts_as_it_will_be_used() -> None:
    """Weight norm rewrites the attribute only in the next forward pass, so the halves are what is loaded."""
    with pytest.warns(FutureWarning):
        old = nn.utils.weight_norm(nn.Linear(6, 5))
    cut = np.random.default_rng(4).random((5, 6)) < 0.5
    with torch.no_grad():
        old.get_parameter("weight_v")[torch.from_numpy(cut)] = 0
    for module in (old, parametrizations.weight_norm(nn.Linear(6, 5))):
        [found] = weights.weights(module)
        assert (found.name, found.kind, found.cuttable) == ("weight", "linear", False)
        assert weights.uncounted(module) == ()
        assert int(found.values.count_nonzero()) == (int((~cut).sum()) if module is old else 30)
