"""How two layers share what is kept: the parabola by numpy, the bound by itself, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking
from prune_audit.nets.allocate import by_regions, vertex
from prune_audit.nets.regions_bound import FLAT


def network(*sizes: int, between: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    inputs, first, second, classes = sizes
    return nn.Sequential(
        nn.Linear(inputs, first), between(), nn.Linear(first, second), between(), nn.Linear(second, classes)
    )


def hidden(model: nn.Module) -> dict[str, torch.Tensor]:
    return masking.whole(model, masking.prunable(model, ["last"]))


@pytest.mark.parametrize("seed", range(5))
def test_the_vertex_is_that_of_the_parabola_through_three_points(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = np.sort(generator.uniform(0, 10, 3))
    y = -((x - 4.0) ** 2) * generator.uniform(0.1, 3) + 7
    assert vertex(x.tolist(), y.tolist()) == pytest.approx(4.0)
    assert vertex(x.tolist(), (-y).tolist()) is None
    assert vertex((0.0, 1.0, 2.0), (1.0, 2.0, 3.0)) is None  # a straight line


def test_a_bound_that_is_flat_leaves_both_layers_the_same_share() -> None:
    """Half of all weights: of random matrices as dense as this the rank is the largest there is."""
    found = by_regions(model := network(20, 16, 16, 3), hidden(model), 0.5, seed=0)
    assert found.counts == {"0.weight": 160, "2.weight": 128}
    assert found.bits - found.even < FLAT
    assert "cannot tell allocations apart" in found.said


def test_where_the_bound_tells_the_larger_one_is_kept() -> None:
    """784 x 20 before 20 x 20, a hundredth kept: one share leaves the second layer 4 of 400 weights."""
    found = by_regions(model := network(784, 20, 20, 10), hidden(model), 0.01, seed=0)
    assert sum(found.counts.values()) == 161
    assert found.counts["2.weight"] > 20
    assert found.bits - found.even >= FLAT
    assert "it says what could be" in found.said
    assert by_regions(model, hidden(model), 0.01, seed=0) == found


def test_the_layers_keep_what_they_are_given_by_their_largest_scores() -> None:
    scores = {"a": torch.tensor([3.0, 1.0, 2.0]), "b": torch.tensor([9.0, 8.0, 7.0])}
    masks = {name: torch.ones(3, dtype=torch.bool) for name in scores}
    found = masking.keep_counts(scores, masks, {"a": 2, "b": 1})
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "a": [True, False, True],
        "b": [True, False, False],
    }


def test_other_networks_are_refused() -> None:
    model = network(6, 5, 4, 3)
    with pytest.raises(ModelError, match="two hidden fully connected layers"):
        by_regions(model, masking.whole(model, masking.prunable(model)), 0.5, seed=0)
    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4), nn.Linear(4, 2))
    with pytest.raises(ModelError, match="not all fully connected"):
        by_regions(convolution, hidden(convolution), 0.5, seed=0)
    smooth = network(6, 5, 4, 3, between=nn.GELU)
    with pytest.raises(ModelError, match="not piecewise linear"):
        by_regions(smooth, hidden(smooth), 0.5, seed=0)
    straight = network(6, 5, 4, 3, between=nn.Identity)
    with pytest.raises(ModelError, match="one ReLU does not stand behind each"):
        by_regions(straight, hidden(straight), 0.5, seed=0)
    picky = nn.Sequential(nn.Unflatten(1, (2, 8)), nn.Flatten(), *network(6, 5, 4, 3))
    with pytest.raises(ModelError, match="does not take rows of 6 numbers"):
        by_regions(picky, hidden(picky), 0.5, seed=0)


def test_a_density_that_leaves_a_layer_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="less than a weight for each layer"):
        by_regions(model := network(6, 5, 4, 3), hidden(model), 0.02, seed=0)
