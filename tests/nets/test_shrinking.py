"""Channels taken out of networks of every shape: answers stay the same, and what would change them stays in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("torch_pruning")

from prune_audit import networks
from prune_audit.core import Expects, ModelCard
from prune_audit.errors import MissingExtra
from prune_audit.nets import masking, pattern, shrinking
from prune_audit.nets.editable import Editable, of_torch
from prune_audit.nets.module import ROUNDING, TorchClassifier
from prune_audit.nets.shrinking import Shrinking

PIXELS = {"image": np.random.default_rng(0).random((12, 3, 16, 16), np.float32)}
Cuts = Mapping[str, list[int]]  # layer -> its filters


class Joined(nn.Module):
    """Two layers side by side with one normalisation, a convolution of each channel by itself, and one of groups."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)
        self.norm, self.c = nn.BatchNorm2d(16), nn.Conv2d(16, 8, 3, padding=1)
        self.alone, self.on = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 12, 1)
        self.groups, self.head = nn.Conv2d(12, 12, 3, groups=3), nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.c(self.norm(torch.cat([self.a(x), self.b(x)], 1).relu())).relu()
        y = self.groups(self.on(self.alone(y).relu()).relu()).relu()
        scores: torch.Tensor = self.head(y.mean((2, 3)))
        return scores


class Added(nn.Module):
    """A shortcut that is added, with the normalisation behind the sum; then a layer norm and a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.outer = (nn.Conv2d(n, 8, 3, padding=1) for n in (3, 8, 8))
        self.before, self.between, self.behind = (
            nn.InstanceNorm2d(8, affine=True),
            nn.BatchNorm2d(8),
            nn.BatchNorm2d(8),
        )
        self.wide, self.norm, self.gate = nn.Linear(8, 20), nn.LayerNorm(20), nn.Linear(20, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.outer(self.between(self.inner(self.before(x).relu())).relu())
        x = self.norm(self.wide(self.behind(x).relu().mean((2, 3))))
        scores: torch.Tensor = self.head(self.gate(x).sigmoid())
        return scores


class Narrowed(nn.Module):
    """A shortcut with a convolution of its own, a transposed convolution, and pixels side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.Conv2d(12, 12, 3, padding=1)
        self.one, self.two, self.three = (nn.BatchNorm2d(12) for _ in range(3))
        self.short, self.up = nn.Conv2d(3, 12, 1, stride=2), nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.head = nn.Linear(6 * 16 * 16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.two(self.second(self.one(self.first(x)).relu())) + self.three(self.short(x))
        scores: torch.Tensor = self.head(self.up(y.relu()).tanh().flatten(1))
        return scores


def opened(build: Callable[[], nn.Module]) -> Editable:
    """The network, whose normalisation and biases are anything but 0 and 1."""
    torch.manual_seed(0)
    module = build()
    with torch.no_grad():
        for each in module.modules():
            if isinstance(each, nn.BatchNorm2d):
                assert each.running_mean is not None
                assert each.running_var is not None
                each.running_mean.normal_()
                each.running_var.uniform_(0.5, 2)
            if isinstance(each, nn.BatchNorm2d | nn.InstanceNorm2d):
                each.weight.uniform_(0.5, 2)
                each.bias.normal_()
    card = ModelCard(name="dense", path="dense.pth", format="torch.save", digest="", size=0)
    return of_torch(TorchClassifier(module, card, Expects()), lambda path: None)


def cut(of: Editable, filters: Cuts, *exempt: str) -> tuple[Shrinking, dict[str, torch.Tensor]]:
    """What can be taken out, and masks without ``filters``, which are then 0 with all that goes along."""
    masks = masking.whole(of.module, masking.prunable(of.module, ("last", *exempt)))
    sides = pattern.sides(of.module, tuple(masks), pattern.Filters())
    found = shrinking.seen(of, masks, sides, PIXELS)
    for layer, numbers in filters.items():
        name = f"{layer}.weight"
        masks[name].movedim(sides[name][0], 0)[numbers] = False
    masking.apply(of.module, masks | found.along(of.module, masks))
    return found, masks


def lenet() -> nn.Module:
    return networks.lenet5(4, channels=3, size=16)


WHOLE: list[tuple[Callable[[], nn.Module], Cuts, dict[str, tuple[int, ...]]]] = [
    (
        lenet,
        {"conv1": [0, 3], "conv2": [15], "fc1": list(range(20)), "fc2": [7]},
        {
            "conv1.weight": (4, 3, 5, 5),
            "conv2.weight": (15, 4, 5, 5),
            "fc1.weight": (100, 15),
            "fc2.weight": (83, 100),
            "fc3.weight": (4, 83),
        },
    ),
    (
        lambda: networks.resnet(8, 4, width=8),
        {"stages.0.0.conv1": [1, 2, 7], "stages.2.0.conv1": [0]},
        {
            "stages.0.0.conv1.weight": (5, 8, 3, 3),
            "stages.0.0.bn1.weight": (5,),
            "stages.0.0.conv2.weight": (8, 5, 3, 3),
            "stages.2.0.conv1.weight": (31, 16, 3, 3),
        },
    ),
    (
        Joined,
        {"a": [0, 7], "b": [2], "c": [3, 4], "alone": [3, 4]},
        {
            "a.weight": (6, 3, 3, 3),
            "b.weight": (7, 3, 1, 1),
            "norm.bias": (13,),
            "c.weight": (6, 13, 3, 3),
            "alone.weight": (6, 1, 3, 3),
            "on.weight": (12, 6, 1, 1),
        },
    ),
    (
        Added,
        {"stem": [1, 5], "outer": [1, 5], "inner": [0]},
        {
            "stem.weight": (6, 3, 3, 3),
            "outer.weight": (6, 7, 3, 3),
            "inner.weight": (7, 6, 3, 3),
            "before.weight": (6,),
            "behind.bias": (6,),
            "wide.weight": (20, 6),
        },
    ),
    (
        Narrowed,
        {"first": [0], "second": [2, 11], "short": [2, 11], "up": [5]},
        {
            "first.weight": (11, 3, 3, 3),
            "second.weight": (10, 11, 3, 3),
            "short.weight": (10, 3, 1, 1),
            "three.bias": (10,),
            "up.weight": (10, 5, 2, 2),
            "head.weight": (4, 5 * 256),
        },
    ),
]


@pytest.mark.parametrize(("build", "filters", "shapes"), WHOLE)
def test_without_dead_channels_a_network_answers_alike(
    build: Callable[[], nn.Module], filters: Cuts, shapes: dict[str, tuple[int, ...]]
) -> None:
    of = opened(build)
    dense = shrinking.scores(of, of.module, PIXELS)
    found, masks = cut(of, filters)
    zeros = shrinking.scores(of, of.module, PIXELS)
    assert shrinking.apart(zeros, dense) > 100 * ROUNDING  # so that something was cut that mattered
    own = of.module
    smaller = found.smaller(of, masks)
    assert shrinking.apart(shrinking.scores(of, smaller, PIXELS), zeros) <= ROUNDING
    assert {name: tuple(smaller.get_parameter(name).shape) for name in shapes} == shapes
    assert {layer: np.flatnonzero(each).tolist() for layer, each in found.removed(masks).items() if each.any()} == {
        layer: sorted(numbers) for layer, numbers in filters.items()
    }
    assert found.told(masks) == ()
    assert of.module is own


def test_filters_of_zeros_alone_are_not_gone() -> None:
    """What the biases and the normalisation in their channels make of 0 is why these are cut, too."""
    for build, filters, _ in WHOLE:
        of = opened(build)
        biases = {
            name: value.clone()
            for name, value in of.module.named_parameters()
            if "weight" not in name or value.ndim == 1
        }
        found, masks = cut(of, filters)
        with torch.no_grad():
            for name, value in biases.items():
                of.module.get_parameter(name).copy_(value)
        zeros = shrinking.scores(of, of.module, PIXELS)
        assert shrinking.apart(shrinking.scores(of, found.smaller(of, masks), PIXELS), zeros) > 10 * ROUNDING


def test_what_goes_along_is_all_that_is_added_in_the_channel_and_nothing_else() -> None:
    of = opened(Added)
    masks = masking.whole(of.module, masking.prunable(of.module, ("last",)))
    found = shrinking.seen(of, masks, pattern.sides(of.module, tuple(masks), pattern.Filters()), PIXELS)
    masks["inner.weight"][[2, 3]] = masks["stem.weight"][4] = masks["outer.weight"][[4, 6]] = False
    along = {name: np.flatnonzero(~mask.numpy()).tolist() for name, mask in found.along(of.module, masks).items()}
    inner = {name: [2, 3] for name in ("inner.bias", "between.weight", "between.bias")}
    both = ("stem.bias", "outer.bias", "before.weight", "before.bias", "behind.weight", "behind.bias")
    assert along == inner | {name: [4] for name in both}  # of channel 6 only one of the two filters was cut


def test_a_filter_stays_where_another_one_writes_to_its_channel() -> None:
    of = opened(Added)
    found, masks = cut(of, {"stem": [1, 2], "outer": [2, 3, 4]})
    assert np.flatnonzero(found.removed(masks)["stem"]).tolist() == [2]
    assert np.flatnonzero(found.removed(masks)["outer"]).tolist() == [2]
    assert found.told(masks) == ("3 share their channel with filters that were not cut",)


def test_layers_whose_channels_cannot_go_are_named_with_the_reason() -> None:
    of = opened(Added)
    found, masks = cut(of, {"wide": [0, 1], "gate": [3]})
    assert found.whole == {"wide": shrinking.OTHERWISE, "gate": shrinking.OTHERWISE}
    assert found.told(masks) == (f"3 of wide, gate: {shrinking.OTHERWISE}",)
    assert not any(each.any() for each in found.removed(masks).values())
    assert found.along(of.module, masks)["stem.bias"].all()
    assert "wide.bias" not in found.along(of.module, masks)

    of = opened(Joined)
    found, masks = cut(of, {"on": [0], "groups": [1, 2, 3]})
    assert found.told(masks) == (f"4 of on, groups: {shrinking.GROUPED}",)


def test_channels_that_a_shortcut_fills_up_with_zeros_are_not_taken_for_one_another() -> None:
    """Which channels meet there torch-pruning does not see: it takes the filling for something that moves none."""
    of = opened(lambda: networks.resnet(8, 4, width=8))
    found, masks = cut(of, {"conv": [0], "stages.0.0.conv2": [0], "stages.1.0.conv2": [0], "stages.2.0.conv2": [0]})
    assert found.whole == dict.fromkeys(
        ("conv", "stages.0.0.conv2", "stages.1.0.conv2", "stages.2.0.conv2"), shrinking.OTHERWISE
    )
    assert {each.root for each in found.channels} == {f"stages.{n}.0.conv1" for n in range(3)}
    assert not any(each.any() for each in found.removed(masks).values())


def test_channels_that_meet_those_of_a_layer_left_whole_stay() -> None:
    of = opened(Added)
    found, masks = cut(of, {"outer": [0]}, "stem")
    assert found.whole["outer"] == f"{shrinking.MET}: stem"
    assert not found.removed(masks)["outer"].any()


def test_a_layer_that_is_never_run_is_not_seen() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle, self.body, self.head = nn.Linear(3, 3), nn.Linear(768, 8), nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.head(self.body(x.flatten(1)).relu())
            return scores

    found, _ = cut(opened(Idle), {"body": [1]})
    assert found.whole == {"idle": shrinking.UNSEEN}


def test_how_far_scores_are_apart() -> None:
    expected = np.array([[1.0, -4.0], [0.0, 0.0]])
    assert shrinking.apart(np.array([[1.0, -3.8], [0.0, 0.01]]), expected) == pytest.approx(0.05)
    assert shrinking.apart(expected[:1], expected) == np.inf
    assert shrinking.apart(expected * np.nan, expected) == np.inf


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(MissingExtra) as caught:
        shrinking.require()
    assert "prune-audit[shrink]" in caught.value.hint
