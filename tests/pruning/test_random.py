"""Random pruning."""

from __future__ import annotations

import torch
from torch import nn

from prune_audit import pruning
from prune_audit.nets import masking
from prune_audit.pruning import Cut, random


def test_every_weight_is_kept_as_often_as_any_other() -> None:
    """Over 400 seeds each of 20 weights is kept in 100 of them, but for chance: five standard deviations."""
    model = nn.Linear(4, 5, bias=False)
    masks = masking.whole(model, ["weight"])
    times = torch.zeros(5, 4)
    for seed in range(400):
        times += pruning.cut(random, model, masks, 0.25, None, Cut(seed=seed))["weight"]
    assert times.sum() == 400 * 5
    assert (times - 100).abs().max() < 5 * (400 * 0.25 * 0.75) ** 0.5


def test_lower_densities_keep_a_part_of_what_higher_ones_keep() -> None:
    model = nn.Linear(30, 30)
    masks = masking.whole(model, ["weight"])
    many, few = (pruning.cut(random, model, masks, density, None, Cut(seed=1))["weight"] for density in (0.5, 0.1))
    assert (many | ~few).all()
