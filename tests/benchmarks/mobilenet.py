"""A network of MobileNetV2's size and shape (Sandler et al. 2018, table 2), with seeded weights, for timing alone."""

from __future__ import annotations

import torch
from torch import nn

# expansion, output channels, repeats, first stride
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outside), nn.ReLU6()]


class Block(nn.Module):
    """An inverted residual."""

    def __init__(self, inside: int, outside: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        expand = _conv(inside, wide, 1) if expansion > 1 else []
        narrow = _conv(wide, outside, 1)[:2]
        self.body = nn.Sequential(*expand, *_conv(wide, wide, 3, stride, wide), *narrow)
        self.skip = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.skip else y


def network(classes: int = 300) -> nn.Sequential:
    """The network, with weights of seed 0."""
    torch.manual_seed(0)
    stages: list[nn.Module] = _conv(3, 32, 3, 2)
    channels = 32
    for expansion, outside, repeats, stride in BLOCKS:
        for index in range(repeats):
            stages.append(Block(channels, outside, stride if index == 0 else 1, expansion))
            channels = outside
    stages += [*_conv(channels, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, classes)]
    return nn.Sequential(*stages).eval()
