"""The CIFAR-10 ResNet of 6n+2 layers with parameter-free skips (He et al. 2016, section 4.2, option A), for tests.

Names its parameters as the published checkpoints do.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions and a skip, which drops every second pixel and fills up channels with zeros where it must."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride = stride
        self.missing = outside - inside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.missing:
            half = self.missing // 2
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))
        return functional.relu(y + x)


class ResNet(nn.Module):
    """Three stages of ``n`` blocks."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, n, 1)
        self.layer2 = self._stage(16, 32, n, 2)
        self.layer3 = self._stage(32, 64, n, 2)
        self.linear = nn.Linear(64, 10)

    def _stage(self, inside: int, outside: int, n: int, stride: int) -> nn.Sequential:
        return nn.Sequential(Block(inside, outside, stride), *(Block(outside, outside, 1) for _ in range(n - 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer3(self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x))))))
        scores: torch.Tensor = self.linear(y.mean((2, 3)))
        return scores


def resnet32() -> nn.Module:
    """ResNet-32: n is 5."""
    return ResNet(5)
