"""A network of the kind that people bring, in the many shapes that they bring it in: factories for tests/test_zoo.py.

Importable, because a state dict names its factory and a pickled module the classes of its layers.
"""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

CLASSES = 4
Wrapping = Literal["tuple", "list", "dict", "named", "dataclass", "hub", "map", "softmax", "log"]
Named = namedtuple("Named", ["scores", "features"])


@dataclass
class Result:
    """What a network may return that has more than scores to say."""

    features: None
    logits: torch.Tensor


@dataclass
class Scores:
    """The same without the usual name."""

    answer: torch.Tensor
    features: torch.Tensor


def net(channels: int = 8, classes: int = CLASSES) -> nn.Sequential:
    """Gray images of 8 x 8 in, ``classes`` logits out, with what behaves otherwise in training on the way."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Dropout(0.9),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Linear(4 * channels, classes),
    )


class Wrapped(nn.Module):
    """`net` with its logits in something else."""

    def __init__(self, how: Wrapping) -> None:
        super().__init__()
        self.body = net()
        self.how = how

    def forward(self, x: torch.Tensor) -> object:
        y = self.body(x)
        other = torch.full_like(y, 7.0)
        ways: dict[Wrapping, object] = {
            "tuple": (y, other),
            "list": [y, other],
            "dict": {"loss": other.mean(), "logits": y},
            "named": Named(y, other),
            "dataclass": Result(None, y),
            "hub": Scores(y, other),
            "map": y[:, :, None, None],
            "softmax": y.softmax(dim=1),
            "log": y.log_softmax(dim=1),
        }
        return ways[self.how]


def wrapped(how: Wrapping) -> Wrapped:
    """The factory of `Wrapped`."""
    return Wrapped(how)


class OneByOne(nn.Module):
    """A network that writes its batch size of 1 down when it is traced."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.features, self.flat, self.head = body[:5], 4 * body[0].out_channels, body[-1]  # type: ignore[operator]  # an int

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(self.features(x).view(1, self.flat))
        return y
