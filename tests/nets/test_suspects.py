"""What draws random numbers or looks at the batch is seen in a pass of torch, and nothing else is."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from torch import nn

from prune_audit.nets.suspects import suspects

CPU = torch.device("cpu")


class Ends(nn.Module):
    """A linear layer, and what is done to its result."""

    def __init__(self, end: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.end = end

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(self.layer(x))


class Stubborn(nn.BatchNorm1d):
    """One that stays in training mode, as those of frozen backbones are kept out of it."""

    def train(self, mode: bool = True) -> Stubborn:
        self.training = True
        return self


def drop_path(x: torch.Tensor) -> torch.Tensor:
    """As timm's."""
    return x * x.new_empty((len(x), 1)).bernoulli_(0.8)


def skipping(x: torch.Tensor) -> torch.Tensor:
    """As transformers' layer drop: it draws in every mode, and looks in training alone."""
    torch.rand([])
    return x


def found(module: nn.Module, *shape: int) -> list[tuple[str, str]]:
    x = torch.randn(shape or (4, 6), generator=torch.Generator().manual_seed(1))
    return [(each.kind, each.where) for each in suspects(module, lambda: module(x), CPU)]


@pytest.mark.parametrize(
    ("module", "kind", "where"),
    [
        (Ends(lambda x: F.dropout(x, 0.2)), "dropout", "bernoulli in the forward of Ends"),
        (Ends(lambda x: F.alpha_dropout(x, 0.2, training=True)), "dropout", "bernoulli in the forward of Ends"),
        (Ends(drop_path), "dropout", "bernoulli in the forward of Ends"),
        (Ends(lambda x: x + torch.randn(6)), "random", "randn in the forward of Ends"),
        (Ends(lambda x: x + torch.empty(6).uniform_()), "random", "uniform in the forward of Ends"),
        (Ends(skipping), "random", "rand in the forward of Ends"),
        (nn.Sequential(nn.Linear(6, 6), Stubborn(6)), "batch", "native_batch_norm in 1 (Stubborn)"),
        (
            nn.Sequential(nn.BatchNorm1d(6, track_running_stats=False)),
            "batch",
            "native_batch_norm in 0 (BatchNorm1d)",
        ),
    ],
)
def test_what_is_suspect_is_named_with_its_module(module: nn.Module, kind: str, where: str) -> None:
    assert found(module.eval()) == [(kind, where)]


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.BatchNorm1d(6), nn.AlphaDropout(0.1)), (4, 6)),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.Dropout2d(0.3)), (4, 3, 8, 8)),
        (nn.Sequential(nn.GroupNorm(3, 6), nn.LayerNorm(6), nn.RReLU()), (4, 6)),
        (nn.TransformerEncoderLayer(8, 2, dropout=0.4, batch_first=True), (4, 5, 8)),
        (nn.LSTM(6, 6, num_layers=2, dropout=0.4, batch_first=True), (4, 5, 6)),
        (Ends(lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None])[0]), (4, 6)),
        (Ends(lambda x: F.dropout(x, 0.0)), (4, 6)),
        (Ends(lambda x: F.dropout(x, 0.5, training=False)), (4, 6)),
    ],
)
def test_what_is_at_rest_in_evaluation_is_not(module: nn.Module, shape: tuple[int, ...]) -> None:
    assert found(module.eval(), *shape) == []


def test_dynamic_quantisation_is_seen_eager_and_scripted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates what people still have files of
        module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(6, 6)), {nn.Linear})
        script = torch.jit.script(module)
    assert found(module) == [("dynamic", "linear_dynamic in 0 (Linear)")]
    assert found(script) == [("dynamic", "the operator linear_dynamic")]


def test_graphs_name_the_operator() -> None:
    noisy = Ends(lambda x: x + torch.rand_like(x)).eval()
    program = torch.export.export(noisy, (torch.zeros(4, 6),)).module()
    assert found(program) == [("random", "the operator rand_like")]


def test_nothing_is_changed_and_a_fault_is_left_to_the_run() -> None:
    module = Ends(lambda x: F.dropout(x, 0.2))
    before = torch.get_rng_state()
    assert found(module)
    assert torch.equal(before, torch.get_rng_state())
    assert found(Ends(lambda x: F.dropout(x, 0.2).view(7))) == []
