"""The bound on linear pieces against the paper's small cases, against every mask, and against counted pieces."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.nets import regions, regions_bound


def dense(inputs: int, *widths: int) -> float:
    """The bound of fully connected layers, as a number of pieces."""
    sizes = (inputs, *widths)
    whole = [regions_bound.ranks(n, before, 1, np.random.default_rng(0)) for before, n in pairwise(sizes)]
    found: float = 2 ** regions_bound.log2_bound(widths, whole, inputs)
    return found


@pytest.mark.parametrize(
    ("layers", "most"), [((2, 3), 7), ((1, 2, 2), 9), ((2, 2, 2), 11), ((2, 3, 3), 40), ((1, 9), 10), ((5, 3), 8)]
)
def test_small_dense_networks(layers: tuple[int, ...], most: int) -> None:
    """By hand: three lines cut a plane in seven; n points cut a line in n + 1; n units never make more than 2^n."""
    assert dense(*layers) == pytest.approx(most, rel=1e-12)


def enumerated(rows: int, columns: int, density: float) -> dict[int, float]:
    """How often masks of that density allow which rank, over all masks, by numpy's rank of random values."""
    generator = np.random.default_rng(1)
    found: dict[int, float] = {}
    for mask in product((0, 1), repeat=rows * columns):
        values = np.array(mask).reshape(rows, columns) * generator.normal(size=(rows, columns))
        rank = int(np.linalg.matrix_rank(values))
        found[rank] = found.get(rank, 0) + density ** sum(mask) * (1 - density) ** (len(mask) - sum(mask))
    return found


def test_a_half_connected_layer_by_every_mask() -> None:
    chances = enumerated(2, 2, 0.5)
    assert chances[2] == pytest.approx(2 * 0.5**2 - 0.5**4)
    assert chances[0] == pytest.approx(0.5**4)
    assert 2 ** regions_bound.log2_bound([2], [chances], 2) == pytest.approx(3.3125, rel=1e-12)


@pytest.mark.parametrize(("rows", "columns", "density"), [(2, 2, 0.5), (3, 2, 0.3), (2, 4, 0.6)])
def test_drawn_ranks_are_those_of_every_mask(rows: int, columns: int, density: float) -> None:
    """Of many draws, within four standard errors."""
    generator = np.random.default_rng(0)
    many = [regions_bound.ranks(rows, columns, density, generator) for _ in range(20)]
    for rank, chance in enumerated(rows, columns, density).items():
        mean = np.mean([each.get(rank, 0) for each in many])
        assert mean == pytest.approx(chance, abs=4 * (chance * (1 - chance) / (20 * regions_bound.DRAWS)) ** 0.5)
    assert all(sum(each.values()) == pytest.approx(1) for each in many)


def test_of_a_wide_network_the_bound_is_flat_where_the_sheet_of_figures_says_so() -> None:
    """Two layers of 100 on 784 numbers: half of 2 % spent on either is the same; almost none on the second is less."""
    generator = np.random.default_rng(0)

    def of(second: float) -> float:
        kept = 0.02 * (784 * 100 + 100 * 100)
        first = (kept - second * 100 * 100) / (784 * 100)
        both = [regions_bound.ranks(100, 784, first, generator), regions_bound.ranks(100, 100, second, generator)]
        return regions_bound.log2_bound([100, 100], both, 784)

    assert of(0.02) == pytest.approx(199.08, abs=0.05)
    assert of(0.1) == pytest.approx(199.08, abs=0.05)
    assert of(0.005) < 196


def test_no_line_goes_through_more() -> None:
    """A line is one number wide whatever it lies in."""
    for seed in range(5):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1)).double()
        ends = torch.tensor([-50.0]).double(), torch.tensor([50.0]).double()
        assert 1 <= regions.count(model, *ends, 1000).number <= dense(1, 3, 3)
