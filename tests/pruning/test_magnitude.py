"""Magnitude pruning."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from prune_audit import pruning
from prune_audit.nets import masking
from prune_audit.pruning import Cut, magnitude
from tests.conftest import ROOT


def layers() -> nn.Module:
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -9.0], [3.0, -7.0], [5.0, 0.0]]))
        second.weight.copy_(torch.tensor([[-0.1, 0.2, 0.3], [8.0, -0.5, 0.6]]))
    return nn.Sequential(first, second)


def test_by_hand_over_the_whole_model() -> None:
    model = layers()
    found = pruning.cut(magnitude, model, masking.whole(model, ["0.weight", "1.weight"]), 0.5, None, Cut())
    assert found["0.weight"].int().tolist() == [[1, 1], [1, 1], [1, 0]]
    assert found["1.weight"].int().tolist() == [[0, 0, 0], [1, 0, 0]]


def test_by_hand_layer_by_layer() -> None:
    model = layers()
    found = pruning.cut(magnitude, model, masking.whole(model, ["0.weight", "1.weight"]), 0.5, None, Cut(scope="layer"))
    assert found["0.weight"].int().tolist() == [[0, 1], [0, 1], [1, 0]]
    assert found["1.weight"].int().tolist() == [[0, 0, 0], [1, 1, 1]]


def test_the_page_for_contributors_shows_it() -> None:
    text = (ROOT / "prune_audit" / "pruning" / "magnitude.py").read_text()
    assert text[text.index("NEEDS_DATA = ") :].strip() in (ROOT / "CONTRIBUTING.md").read_text()


def test_against_sorting() -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(8, 16, 5)
    found = pruning.cut(magnitude, model, masking.whole(model, ["weight"]), 0.13, None, Cut())["weight"].numpy()
    sizes = np.abs(model.weight.detach().numpy())
    assert found.sum() == round(0.13 * sizes.size)
    assert sizes[found].min() > sizes[~found].max()
