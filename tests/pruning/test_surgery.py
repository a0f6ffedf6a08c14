"""Dynamic Network Surgery: thresholds, the gap around them, and densities in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from prune_audit.errors import UsageError
from prune_audit.nets import masking
from prune_audit.pruning import Cut, surgery


def layer(values: list[float]) -> nn.Linear:
    model = nn.Linear(len(values), 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([values]))
    return model


@pytest.mark.parametrize(("before", "after"), [(True, [0, 1, 1]), (False, [0, 0, 1])])
def test_within_the_gap_nothing_changes(before: bool, after: list[int]) -> None:
    model = layer([0.89, -1.0, 1.11])
    masks = {"weight": torch.full((1, 3), before)}
    found = surgery.update(model, masks, 0.5, None, Cut(fixed={"weight": 1.0}))
    assert found["weight"].int().tolist() == [after]


def test_thresholds_by_hand_are_of_the_weights_that_are_not_zero() -> None:
    """|w| = 1, 2, 3, 4: mean 2.5, variance 7.5 - 6.25."""
    model = layer([1, -2, 0, 3, -4, 0])
    masks = masking.whole(model, ["weight"])
    for c_rate in (-3.0, 0.0, 0.5):
        fixed = surgery.start(model, masks, Cut(seed=4, options=surgery.Options(c_rate=[str(c_rate)])))
        assert fixed.fixed is not None
        assert list(fixed.fixed) == ["weight"]
        assert fixed.fixed["weight"] == pytest.approx(max(2.5 + c_rate * math.sqrt(1.25), 0), abs=1e-6)
        assert fixed.seed == 4


def test_fixed_thresholds_stay_while_weights_move() -> None:
    model = layer([1, -2, 3, -4])
    masks = masking.whole(model, ["weight"])
    fixed = surgery.start(model, masks, Cut(options=surgery.Options(c_rate=["weight=0"])))  # 2.5: cut up to 2.25
    masks = surgery.update(model, masks, 0.9, None, fixed)
    assert masks["weight"].int().tolist() == [[0, 0, 1, 1]]
    with torch.no_grad():
        model.weight.mul_(torch.tensor([3.0, 1.2, 0.7, 1.0]))  # 3, 2.4, 2.1, 4; back from 2.75 on
    assert surgery.update(model, masks, 0.9, None, fixed)["weight"].int().tolist() == [[1, 0, 0, 1]]


@pytest.mark.parametrize("c_rate", [-0.5, 0.0, 1.0, 2.0])
def test_of_a_normal_layer_the_density_is_known(c_rate: float) -> None:
    torch.manual_seed(0)
    scale, count = 0.3, 400_000
    model = nn.Linear(count, 1, bias=False)
    with torch.no_grad():
        model.weight.normal_(std=scale)
    masks = masking.whole(model, ["weight"])
    fixed = surgery.start(model, masks, Cut(options=surgery.Options(c_rate=[f"wei*={c_rate}"])))
    reached = masking.kept(surgery.update(model, masks, 0.5, None, fixed))
    threshold = scale * (math.sqrt(2 / math.pi) + c_rate * math.sqrt(1 - 2 / math.pi))
    wanted = 2 * norm.sf(0.9 * threshold / scale)
    assert reached == pytest.approx(wanted, abs=5 * math.sqrt(wanted * (1 - wanted) / count) + 1e-3)


@pytest.mark.parametrize("density", [0.01, 0.1, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_density_is_solved_for_from_whatever_masks(density: float, scope: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(100, 60), nn.Linear(60, 100))
    with torch.no_grad():
        model.get_parameter("1.weight").mul_(3)
    settings = Cut(scope=scope)  # type: ignore[arg-type]  # parametrised
    masks = masking.whole(model, ["0.weight", "1.weight"])
    for start in (masks, {name: torch.rand(mask.shape) < 0.3 for name, mask in masks.items()}):
        found = surgery.update(model, start, density, None, settings)
        each = [found] if scope == "global" else [{name: mask} for name, mask in found.items()]
        # One weight of a layer of these is .0002, and the tolerance is a share of the density.
        assert all(abs(masking.kept(part) - density) <= 0.005 * density + 0.0005 for part in each)


def test_one_c_rate_serves_layers_of_every_scale() -> None:
    """Thresholds are relative to a layer's own weights, so scaling a layer changes nothing."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 50))
    masks = masking.whole(model, ["0.weight", "1.weight"])
    before = surgery.update(model, masks, 0.2, None, Cut())
    with torch.no_grad():
        model.get_parameter("1.weight").mul_(64)
    after = surgery.update(model, masks, 0.2, None, Cut())
    assert all(torch.equal(before[name], after[name]) for name in masks)


def test_it_updates_as_often_as_its_probability_says() -> None:
    """The number of updates is a sum of independent draws: within five of its standard deviations."""
    steps, gamma = 20_000, 1e-3
    chances = 1 / (1 + gamma * np.arange(steps))
    spread = math.sqrt((chances * (1 - chances)).sum())
    for seed in range(5):
        found = surgery.triggered(steps, seed, gamma)
        assert found[0] == 0
        assert abs(len(found) - chances.sum()) < 5 * spread
        early = sum(step < steps // 10 for step in found)
        assert early / (steps // 10) > len(found) / steps
    assert (
        surgery.triggered(steps, 0, gamma) == surgery.triggered(steps, 0, gamma) != surgery.triggered(steps, 1, gamma)
    )


def test_it_stops_halfway_and_keeps_its_density() -> None:
    found = surgery.schedule(0.2, steps=1000, rounds=3, seed=1)
    assert max(step for step, _ in found) < 500
    assert {density for _, density in found} == {0.2}


def test_a_threshold_that_is_no_number_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="--c-rate: expected a number, found 'fc=much'"):
        surgery.Options(c_rate=["1", "fc=much"])
