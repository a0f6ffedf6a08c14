"""The attack against the closed form of a linear network, within its box, and at radius 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.core import Preprocess
from prune_audit.errors import ModelError
from prune_audit.nets.attack import Box, attacked, withstood
from tests.pruning.networks import examples, network

PLAIN = Preprocess()


def linear(weights: torch.Tensor) -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(weights.shape[1], len(weights)))
    with torch.no_grad():
        model[1].weight.copy_(weights)  # type: ignore[operator]
        model[1].bias.zero_()  # type: ignore[operator]
    return model


@pytest.mark.parametrize("steps", [4, 10])
def test_of_a_linear_network_with_two_classes_the_worst_pixels_are_known(steps: int) -> None:
    """Right under attack is who has (w_y - w_k) x > r |w_y - w_k|_1, where no pixel meets black or white."""
    torch.manual_seed(0)
    weights, r = torch.randn(2, 12), 0.05
    x = 0.3 + 0.4 * torch.rand(200, 3, 2, 2)  # 0.3 to 0.7, so that the box is what binds
    model = linear(weights)
    with torch.no_grad():
        y = model(x - 0.5).argmax(1)
    mean, std = (0.5, 0.5, 0.5), (0.2, 0.25, 0.3)
    preprocess = Preprocess(mean=mean, std=std)
    scale = torch.tensor(std).reshape(1, 3, 1, 1)
    scaled = linear(weights * scale.expand(1, 3, 2, 2).reshape(1, 12))  # the same function of normalised pixels
    inputs = (x - 0.5) / scale
    box = Box.of(preprocess, radius=r, steps=steps, step=r / 4)
    clean, kept = withstood(scaled, examples(inputs, y, size=64), box)
    gap = weights[y] - weights[1 - y]
    expected = ((x - 0.5).flatten(1) * gap).sum(1) > r * gap.abs().sum(1)
    assert clean.all()
    assert 0.05 < expected.float().mean() < 0.95
    np.testing.assert_array_equal(kept, expected.numpy())


def test_no_pixel_goes_beyond_black_and_white() -> None:
    """From white no pixel can rise, so a network that is fooled by rising ones alone withstands."""
    weights = torch.stack([-torch.ones(12), torch.ones(12)])
    model = linear(weights)
    with torch.no_grad():
        model[1].bias.copy_(torch.tensor([12.5, -12.5]))  # type: ignore[index]
    white = torch.ones(5, 3, 2, 2)
    y = torch.zeros(5, dtype=torch.long)
    box = Box.of(PLAIN, radius=0.5, steps=10, step=0.125)
    assert withstood(model, examples(white, y), box)[1].all()
    with torch.no_grad():
        model[1].bias.copy_(torch.tensor([11.5, -11.5]))  # type: ignore[index]
    # From a little below white they can rise to where the scores are 11.5 - 12 and 12 - 11.5.
    assert not withstood(model, examples(white - 0.1, y), box)[1].any()
    gray = white - 0.9
    clean, kept = withstood(model, examples(gray, torch.ones(5, dtype=torch.long)), box)
    assert not clean.any()
    assert not kept.any()


def test_radius_nought_is_what_is_right_as_it_is() -> None:
    model = network().train()
    batches = examples(torch.rand(40, 1, 6, 6), size=7)
    clean, kept = withstood(model, batches, Box.of(PLAIN, radius=0, steps=3, step=0.1))
    np.testing.assert_array_equal(clean, kept)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        model.eval()
        x = torch.cat([inputs["image"] for inputs, _ in batches])
        labels = torch.cat([labels for _, labels in batches])
        np.testing.assert_array_equal(clean, (model(x).argmax(1) == labels).numpy())


def test_a_wider_box_leaves_no_more() -> None:
    torch.manual_seed(3)
    model, x = network(), torch.rand(40, 1, 6, 6)
    with torch.no_grad():
        y = model.eval()(x).argmax(1)
    left = [withstood(model, examples(x, y), Box.of(PLAIN, radius=r, steps=8, step=r / 4))[1].sum()
            for r in (0.0, 0.02, 0.1, 0.5)]  # fmt: skip
    assert left[0] == 40
    assert left == sorted(left, reverse=True)
    assert left[-1] < 40


def test_what_is_no_image_is_refused() -> None:
    box = Box.of(PLAIN, radius=0.1, steps=1, step=0.1)
    x, y = torch.rand(4, 6), torch.zeros(4, dtype=torch.long)
    with pytest.raises(ModelError, match=r"expected one input of images \(B, C, H, W\)"):
        withstood(nn.Linear(6, 2), examples(x, y), box)
    bytes_ = torch.zeros(4, 1, 6, 6, dtype=torch.uint8)
    with pytest.raises(ModelError, match="uint8"):
        withstood(network(), examples(bytes_, y), box)


def test_what_one_trains_on_are_the_worst_pixels_of_a_linear_network() -> None:
    """Of two classes each pixel goes by r against the sign of w_y - w_k, right or wrong as the network may be."""
    torch.manual_seed(0)
    weights, r = torch.randn(2, 12), 0.05
    x, y = 0.3 + 0.4 * torch.rand(20, 3, 2, 2), torch.randint(0, 2, (20,))
    model = linear(weights).train()
    moved = attacked(model, examples(x, y), {"image": x}, y, Box.of(PLAIN, radius=r, steps=10, step=r / 4))
    expected = x - r * torch.sign(weights[y] - weights[1 - y]).reshape(20, 3, 2, 2)
    torch.testing.assert_close(moved["image"], expected)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
