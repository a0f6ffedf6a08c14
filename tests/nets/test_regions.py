"""Pieces against closed forms, against grids of patterns, and of what has none."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prune_audit import networks
from prune_audit.errors import ModelError
from prune_audit.nets import regions

CPU = torch.device("cpu")


Run = Callable[[torch.Tensor], object]


def test_one_layer_of_n_units_makes_n_plus_one_pieces() -> None:
    """Of one number; each unit bends once, and all within the line."""
    for n in (1, 5, 30, 200):
        torch.manual_seed(n)
        layer = nn.Linear(1, n).double()
        with torch.no_grad():
            layer.weight.copy_(torch.randn(n, 1).sign())
            layer.bias.copy_(-layer.weight[:, 0] * torch.linspace(-0.9, 0.9, n))
        model = nn.Sequential(layer, nn.ReLU(), nn.Linear(n, 2).double())
        ends = torch.tensor([-1.0]).double(), torch.tensor([1.0]).double()
        assert regions.count(model, *ends, 1000) == regions.Pieces(n + 1, True)
        assert regions.count(model, *ends, n + 1) == regions.Pieces(n + 1, True)
        assert regions.count(model, *ends, n) == regions.Pieces(n, False)
        assert regions.count(model, *ends, max(1, n // 2)) == regions.Pieces(max(1, n // 2), False)
        assert regions.count(model, ends[0], ends[0], 9) == regions.Pieces(1, True)


def grid(run: Run, a: torch.Tensor, b: torch.Tensor, steps: int = 3000) -> int:
    """The number of patterns that follow one another on a grid, at most that of the pieces."""
    shares = torch.linspace(0, 1, steps).double().reshape(-1, *(1,) * a.ndim)
    found = [bend.pattern() for bend in regions.bends(run, a + shares * (b - a), CPU)]
    joined = np.concatenate(found, axis=1)
    return 1 + int((joined[1:] != joined[:-1]).any(axis=1).sum())


def layer_by_layer(weights: list[tuple[Any, Any]], a: Any, b: Any) -> int:
    """The pieces of layers with ReLU in fractions: where a layer's values, linear between edges so far, are 0."""
    edges = [Fraction(0), Fraction(1)]
    values = [[Fraction(float(v)) for v in end] for end in (a, b)]  # at the edges
    for weight, bias in weights:
        exact = [[Fraction(float(v)) for v in row] for row in weight], [Fraction(float(v)) for v in bias]
        given = [
            [sum((w * v for w, v in zip(row, at, strict=True)), c) for row, c in zip(*exact, strict=True)]
            for at in values
        ]
        more = []
        for (left, right), (before, after) in zip(pairwise(edges), pairwise(given), strict=True):
            zeros = {one / (one - other) for one, other in zip(before, after, strict=True) if one * other < 0}
            for share in sorted(zeros):
                between = [one + share * (other - one) for one, other in zip(before, after, strict=True)]
                more.append((left + share * (right - left), between))
        both = sorted([*zip(edges, given, strict=True), *more])
        edges, values = [at for at, _ in both], [[max(v, Fraction(0)) for v in given] for _, given in both]
    return len(edges) - 1


@pytest.mark.parametrize("seed", range(4))
def test_pieces_are_those_of_exact_fractions_layer_by_layer(seed: int) -> None:
    torch.manual_seed(seed)
    layers = [nn.Linear(3, 9).double(), nn.Linear(9, 8).double(), nn.Linear(8, 7).double()]
    model = nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU())))
    a = 4 * torch.randn(3).double()
    b = torch.randn(3).double() - a  # close by the origin, where it bends
    weights = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers]
    expected = layer_by_layer(weights, a.numpy(), b.numpy())
    assert regions.count(model, a, b, 1000) == regions.Pieces(expected, True)
    assert expected > 5


@pytest.mark.parametrize("seed", range(4))
def test_deep_networks_have_as_many_as_a_fine_grid_sees(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.LeakyReLU(0.1), nn.Linear(12, 3), nn.Hardtanh()
    ).double()
    a, b = 2 * torch.randn(4).double(), 2 * torch.randn(4).double()
    counted = regions.count(model, a, b, 1000)
    assert counted.whole
    seen = grid(model, a, b)
    assert seen <= counted.number <= seen + 1  # a piece shorter than a step of the grid
    assert counted.number > 3


@pytest.mark.parametrize("seed", range(3))
def test_pools_and_convolutions_are_counted_too(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4), nn.ReLU()
    ).double().eval()  # fmt: skip
    a, b = torch.randn(1, 6, 6).double(), torch.randn(1, 6, 6).double()
    counted = regions.count(model, a, b, 1000)
    seen = grid(model, a, b, 9000)
    assert seen <= counted.number <= seen + 1
    pools = next(bend.winners for bend in regions.bends(model, torch.stack([a, b]), CPU) if bend.winners is not None)
    assert pools.shape == (2, 3, 4)
    assert not (pools[0] == pools[1]).all()
    assert not regions.count(model, a, b, counted.number - 1).whole


def test_a_winner_that_is_overtaken_below_another_ends_no_piece() -> None:
    """Of three values 1 - t, t and .8 the first two cross below the third, which wins between."""

    def run(x: torch.Tensor) -> torch.Tensor:
        three = torch.cat([1 - x, x, 0 * x + 0.8], 1)[:, None, None]
        return functional.max_pool2d(three, (1, 3))

    ends = torch.tensor([0.0]).double(), torch.tensor([1.0]).double()
    assert regions.count(run, *ends, 9) == regions.Pieces(3, True)


def test_the_other_way_round_there_are_as_many() -> None:
    torch.manual_seed(1)
    model = networks.mlp(4, inputs=5, hidden=[20, 20]).double()
    a, b = torch.randn(5).double(), torch.randn(5).double()
    assert regions.count(model, a, b, 1000) == regions.count(model, b, a, 1000)


def test_functions_are_seen_like_modules_and_residual_sums_stay_linear() -> None:
    torch.manual_seed(2)
    inner, outer = nn.Linear(3, 3).double(), nn.Linear(3, 2).double()

    def run(x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = outer(functional.relu(inner(x)) + 2 * x - x.mean(1, keepdim=True))
        return scores

    a, b = 3 * torch.randn(3).double(), 3 * torch.randn(3).double()
    (bend,) = regions.bends(run, a[None], CPU)
    assert bend.values.shape == (1, 3)
    assert regions.count(run, a, b, 100).number == grid(run, a, b)


@pytest.mark.parametrize("bend", [nn.GELU(), nn.Sigmoid(), nn.SiLU(), nn.Softmax(1), nn.LayerNorm(4)])
def test_what_bends_otherwise_is_refused(bend: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(3, 4), bend, nn.Linear(4, 2)).double()
    with pytest.raises(ModelError, match="which is not piecewise linear"):
        regions.bends(model, torch.randn(1, 3).double(), CPU)


def test_products_of_what_depends_on_the_input_are_refused() -> None:
    with pytest.raises(ModelError, match="computes mul, which is not piecewise linear"):
        regions.bends(lambda x: x * functional.relu(x), torch.randn(1, 3).double(), CPU)
