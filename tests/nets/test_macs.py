import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.core import Array, Expects, ModelCard
from prune_audit.nets.module import TorchClassifier
from tests.benchmarks import mobilenet

CARD = ModelCard(name="m", path="m.pt", format="test", digest="", size=0)


def macs(module: nn.Module, *inputs: Array) -> int | None:
    return TorchClassifier(module, CARD, Expects()).macs(dict(zip(("x", "y", "z"), inputs, strict=False)))


def floats(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class Calling(nn.Module):
    """Gives back what a function makes of its one input."""

    def __init__(self, make: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: torch.Tensor) -> object:
        return self.make(x)


@pytest.mark.parametrize(
    ("module", "shape", "by_hand"),
    [
        # Every place of the output times the weights that meet there.
        (nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), (2, 4, 8, 8), 2 * 8 * 4 * 4 * (2 * 9)),
        (nn.Conv2d(4, 4, 5, padding=2, groups=4), (1, 4, 6, 7), 4 * 6 * 7 * 25),
        (nn.Conv1d(3, 4, 3, padding="same"), (2, 3, 9), 2 * 4 * 9 * 9),
        (nn.Conv3d(1, 2, 2, dilation=2), (1, 1, 4, 4, 4), 2 * 8 * 8),
        # Every place of the input times the weights that spread it.
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (2, 4, 5, 5), 2 * 4 * 25 * (3 * 9)),
        (nn.Linear(8, 3), (5, 8), 5 * 8 * 3),
        (nn.Linear(8, 3, bias=False), (2, 5, 8), 2 * 5 * 8 * 3),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU6(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2)), (1, 3, 8, 8), 0),
        (nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(1, 1, 1)), (1, 1, 3, 3), 36),
        (nn.LSTM(4, 6), (5, 2, 4), 5 * 2 * 4 * (4 * 6 + 6 * 6)),
        (nn.LSTM(4, 6, num_layers=2, bidirectional=True), (5, 2, 4), 10 * 2 * 4 * (4 * 6 + 36 + 12 * 6 + 36)),
        (nn.GRU(4, 6, batch_first=True), (2, 5, 4), 5 * 2 * 3 * (4 * 6 + 6 * 6)),
        (Calling(lambda x: x @ x.mT), (3, 4, 5), 3 * 4 * 4 * 5),
        (Calling(lambda x: x @ torch.ones(5)), (3, 4, 5), 3 * 4 * 5),
        (Calling(lambda x: torch.einsum("bik,bjk->bij", x, x)), (3, 4, 5), 3 * 4 * 4 * 5),
        (Calling(lambda x: x * 2 + x.cummax(1).values), (2, 3), 0),
    ],
)
def test_counts_by_hand(module: nn.Module, shape: tuple[int, ...], by_hand: int) -> None:
    assert macs(module, floats(*shape)) == by_hand


def test_attention_by_hand() -> None:
    # Queries, keys and values of (3, 2, 5, 4): each query meets each key, and each weight each value.
    def attend(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(x, x, x)

    assert macs(Calling(attend), floats(3, 2, 5, 4)) == 3 * 2 * 5 * 5 * (4 + 4)
    heads, width, inner, batch, length = 2, 8, 16, 3, 5
    attention = batch * (4 * length * width * width + 2 * length * length * width)
    layer = nn.TransformerEncoderLayer(width, heads, inner, batch_first=True)
    by_hand = attention + batch * length * 2 * width * inner
    assert macs(layer, floats(batch, length, width)) == by_hand
    many = nn.MultiheadAttention(width, heads, batch_first=True)
    assert macs(Calling(lambda x: many.eval()(x, x, x)[0]), floats(batch, length, width)) == attention
    # The layer's fused operator, and the plain ones that it falls back to.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        assert macs(layer, floats(batch, length, width)) == by_hand
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_a_mobilenet_by_the_formula() -> None:
    # Sandler et al. 2018, table 2 at 224 pixels: each layer is its output's pixels times its weights.
    side = 112
    total, channels = side**2 * 32 * 3 * 9, 32
    for expansion, outside, repeats, first in mobilenet.BLOCKS:
        for index in range(repeats):
            stride, wide = first if index == 0 else 1, channels * expansion
            total += side**2 * channels * wide if expansion > 1 else 0
            side //= stride
            total += side**2 * (wide * 9 + wide * outside)
            channels = outside
    total += side**2 * channels * 1280 + 1280 * 1000
    assert total == pytest.approx(300e6, rel=0.01)  # as the paper says
    assert macs(mobilenet.network(1000), floats(1, 3, 224, 224)) == total


@pytest.mark.parametrize("how", ["scripted", "traced", "frozen"])
def test_torchscript_counts_as_eager(
    conv_net: nn.Sequential, images: Array, script: Callable[..., Path], how: str
) -> None:
    wanted = macs(conv_net, images)
    assert wanted == 5 * (4 * 6 * 6 * 9 + 16 * 3)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.", category=DeprecationWarning)
        module: Any = torch.jit.load(str(script(conv_net, how, torch.from_numpy(images))))
    # Its first calls are profiled, the later ones optimised.
    assert [macs(module, images) for _ in range(4)] == [wanted] * 4


def test_an_exported_program_counts_as_eager(conv_net: nn.Sequential, images: Array) -> None:
    program = torch.export.export(conv_net, (torch.from_numpy(images),))
    assert macs(program.module(), images) == macs(conv_net, images)


def test_zeros_count(images: Array, conv_net: nn.Sequential) -> None:
    before = macs(conv_net, images)
    for parameter in conv_net.parameters():
        nn.init.zeros_(parameter)
    assert macs(conv_net, images) == before


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.fft.fft(x).real,
        lambda x: torch.linalg.inv(x @ x.mT),
        lambda x: torch.cdist(x, x),
        lambda x: torch.nn.functional.bilinear(x, x, torch.ones(2, 3, 3)),
        lambda x: torch.sparse.mm(torch.eye(4).to_sparse(), x),
        lambda x: x.missing,
    ],
)
def test_what_cannot_be_counted_has_no_number(make: Callable[[Any], object]) -> None:
    assert macs(Calling(lambda x: make(x @ torch.eye(3))), floats(4, 3)) is None


def test_operators_of_others_have_no_number() -> None:
    with torch.library._scoped_library("test_macs", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: 2 * x, "CompositeExplicitAutograd")
        assert macs(Calling(lambda x: torch.ops.test_macs.twice(x)), floats(4, 3)) is None


def test_a_wrong_input_has_no_number() -> None:
    assert macs(nn.Linear(4, 2), floats(2, 3)) is None


def test_nothing_is_left_behind() -> None:
    dropping = Calling(lambda x: torch.dropout(x, 0.5, train=True) @ torch.ones(3, 1))
    norm = nn.BatchNorm1d(3)
    module = nn.Sequential(norm, dropping)
    made = TorchClassifier(module, CARD, Expects())
    torch.manual_seed(0)
    before = (
        torch.get_rng_state(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        norm.state_dict()["running_mean"].clone(),
    )
    assert made.macs({"x": floats(4, 3)}) == 12
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == before[1:3]
    assert torch.equal(norm.state_dict()["running_mean"], before[3])
    assert not module.training
    assert made.predict({"x": floats(4, 3)}).shape == (4, 1)
