"""Zeros of quantised weights: rounding explains those of dense weights, and not those that were cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prune_audit.core import Array
from prune_audit.nets.rounding import rounded

DENSITIES: dict[str, Callable[[np.random.Generator], Array]] = {
    "gauss": lambda r: r.normal(size=(120, 90)),
    "laplace": lambda r: r.laplace(size=(120, 90)),
    "heavy": lambda r: r.standard_t(4, size=(120, 90)),
    "uniform": lambda r: r.uniform(-1, 1, (120, 90)),
    "small": lambda r: r.normal(size=(3, 16)),
    "one-sided": lambda r: np.abs(r.normal(size=(120, 90))),
}


def quantised(weight: Array, bits: int, *, by_row: bool = False) -> Array:
    most = np.abs(weight).max(axis=1, keepdims=True) if by_row else np.abs(weight).max()
    levels: Array = np.round(weight / np.maximum(most, 1e-30) * (2 ** (bits - 1) - 1)).astype(np.int32)
    return levels


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("by_row", [False, True])
def test_what_nobody_cut_is_dense(name: str, bits: int, by_row: bool) -> None:
    for seed in range(8):
        levels = quantised(DENSITIES[name](np.random.default_rng(seed)), bits, by_row=by_row)
        zeros = int((levels == 0).sum())
        # Laplace's density is the one that is assumed; heavier tails at 4 bits may leave a hundredth over.
        assert rounded(levels) >= zeros - 0.01 * levels.size


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("by_row", [False, True])
def test_kernels_that_decay_shrank_to_nothing_are_not_cut(bits: int, by_row: bool) -> None:
    """Of the 64 kernels of a layer some hold numbers of a thousandth, as those of trained networks do."""
    draw = np.random.default_rng(6)
    weight = draw.normal(size=(64, 300))
    weight[:12] *= 0.001
    weight[12:, ::9] *= 0.001
    levels = quantised(weight, bits, by_row=by_row)
    zeros = int((levels == 0).sum())
    assert zeros > (0.25 if not by_row else 0.08) * levels.size
    assert rounded(levels) == zeros


def test_what_a_cut_by_magnitude_left_shows_however_little_was_cut() -> None:
    weight = DENSITIES["gauss"](np.random.default_rng(7))
    weight[np.abs(weight) < np.quantile(np.abs(weight), 0.1)] = 0
    levels = quantised(weight, 8)
    assert ((levels != 0).sum() + rounded(levels)) / levels.size == pytest.approx(0.9, abs=0.002)


@pytest.mark.parametrize("name", ["gauss", "laplace", "uniform"])
@pytest.mark.parametrize("kept", [0.1, 0.5])
def test_what_was_cut_by_magnitude_and_quantised_keeps_its_density(name: str, kept: float) -> None:
    weight = DENSITIES[name](np.random.default_rng(1))
    weight[np.abs(weight) < np.quantile(np.abs(weight), 1 - kept)] = 0
    levels = quantised(weight, 8)
    assert ((levels != 0).sum() + rounded(levels)) / levels.size == pytest.approx(kept, abs=0.005)


@pytest.mark.parametrize("bits", [8, 4])
def test_what_was_cut_at_random_gets_its_rounded_zeros_back(bits: int) -> None:
    generator = np.random.default_rng(2)
    weight = generator.normal(size=(300, 200)) * (generator.random((300, 200)) < 0.2)
    levels = quantised(weight, bits, by_row=True)
    nonzero = int((levels != 0).sum())
    # The true share is .2; at 4 bits a sixth of what is left was rounded to zero.
    assert (nonzero + rounded(levels)) / levels.size == pytest.approx(0.2, abs=0.01)
    assert 0 < rounded(levels) < 0.2 * nonzero + 0.01 * levels.size


def test_the_step_is_that_of_the_numbers_and_not_of_what_holds_them() -> None:
    levels = quantised(np.random.default_rng(5).normal(size=(100, 80)), 4)
    assert rounded(16 * levels) == rounded(levels) == (levels == 0).sum()


def test_nothing_to_round() -> None:
    assert rounded(np.zeros((3, 4), np.int32)) == 0  # nothing but zeros was cut, or was never there
    assert rounded(np.array([1, 2, -3])) == 0


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("kept", [1.0, 0.2])
def test_a_published_network_is_as_dense_as_it_is(bits: int, by_row: bool, kept: float, shared: Path) -> None:
    """Up to a quarter of a layer's numbers fall within half a step of zero there, without any pruning."""
    loaded = torch.load(shared / "cifar10-weights" / "resnet32-d509ac18.th", "cpu", weights_only=True)
    numbers = total = 0
    for value in loaded["state_dict"].values():
        if value.ndim > 1:
            weight = value.numpy().reshape(len(value), -1)
            weight = np.where(np.abs(weight) < np.quantile(np.abs(weight), 1 - kept), 0, weight)
            levels = quantised(weight, bits, by_row=by_row)
            numbers += int((levels != 0).sum()) + rounded(levels)
            total += levels.size
    # Four bits for a whole tensor are too coarse to tell in some layers, which then count as whole.
    assert numbers / total == pytest.approx(kept, abs=0.003 if bits == 8 or by_row else 0.03)
