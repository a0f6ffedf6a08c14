"""Pieces against closed forms, against grids of patterns, and of what has none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prune_audit import networks
from prune_audit.errors import ModelError
from prune_audit.nets import regions

CPU = torch.device("cpu")


def along(
    model: Callable[[torch.Tensor], object], a: torch.Tensor, b: torch.Tensor
) -> Callable[[float], regions.Point]:
    return lambda share: regions.points(model, (a + share * (b - a))[None], CPU)[0]


def test_one_layer_of_n_units_makes_n_plus_one_pieces() -> None:
    """Of one number; each unit bends once, and all within the line."""
    for n in (1, 5, 30):
        torch.manual_seed(n)
        layer = nn.Linear(1, n).double()
        with torch.no_grad():
            layer.weight.copy_(torch.randn(n, 1).sign())
            layer.bias.copy_(-layer.weight[:, 0] * torch.linspace(-0.9, 0.9, n))
        model = nn.Sequential(layer, nn.ReLU(), nn.Linear(n, 2).double())
        ends = torch.tensor([-1.0]).double(), torch.tensor([1.0]).double()
        assert regions.walk(along(model, *ends), 1000) == regions.Pieces(n + 1, True)
        assert regions.walk(along(model, *ends), max(1, n // 2)) == regions.Pieces(max(1, n // 2), False)
        assert regions.walk(along(model, ends[0], ends[0]), 9) == regions.Pieces(1, True)


def grid(at: Callable[[float], regions.Point], steps: int) -> int:
    """The number of patterns that follow one another on a grid, at most that of the pieces."""
    found = [at(share) for share in np.linspace(0, 1, steps)]
    return 1 + sum(not one.same(other) for one, other in pairwise(found))


@pytest.mark.parametrize("seed", range(4))
def test_deep_networks_have_as_many_as_a_fine_grid_sees(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.LeakyReLU(0.1), nn.Linear(12, 3), nn.Hardtanh()
    ).double()
    at = along(model, 2 * torch.randn(4).double(), 2 * torch.randn(4).double())
    walked = regions.walk(at, 1000)
    assert walked.whole
    seen = grid(at, 3000)
    assert seen <= walked.number <= seen + 1  # a piece shorter than a step of the grid
    assert walked.number > 3


def test_pools_and_convolutions_are_walked_too() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4)
    ).double().eval()  # fmt: skip
    at = along(model, torch.randn(1, 6, 6).double(), torch.randn(1, 6, 6).double())
    walked = regions.walk(at, 1000)
    seen = grid(at, 3000)
    assert seen <= walked.number <= seen + 1
    pools = at(0.0).winners
    assert len(pools) == 12
    assert not (pools == at(1.0).winners).all()


def test_the_other_way_round_there_are_as_many() -> None:
    torch.manual_seed(1)
    model = networks.mlp(4, inputs=5, hidden=[20, 20]).double()
    a, b = torch.randn(5).double(), torch.randn(5).double()
    assert regions.walk(along(model, a, b), 1000) == regions.walk(along(model, b, a), 1000)


def test_functions_are_seen_like_modules_and_residual_sums_stay_linear() -> None:
    torch.manual_seed(2)
    inner, outer = nn.Linear(3, 3).double(), nn.Linear(3, 2).double()

    def run(x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = outer(functional.relu(inner(x)) + 2 * x - x.mean(1, keepdim=True))
        return scores

    at = along(run, 3 * torch.randn(3).double(), 3 * torch.randn(3).double())
    assert len(at(0.5).values) == 3
    assert regions.walk(at, 100).number == grid(at, 2000)


@pytest.mark.parametrize("bend", [nn.GELU(), nn.Sigmoid(), nn.SiLU(), nn.Softmax(1), nn.LayerNorm(4)])
def test_what_bends_otherwise_is_refused(bend: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(3, 4), bend, nn.Linear(4, 2)).double()
    with pytest.raises(ModelError, match="which is not piecewise linear"):
        regions.points(model, torch.randn(1, 3).double(), CPU)


def test_products_of_what_depends_on_the_input_are_refused() -> None:
    with pytest.raises(ModelError, match="computes mul, which is not piecewise linear"):
        regions.points(lambda x: x * functional.relu(x), torch.randn(1, 3).double(), CPU)
