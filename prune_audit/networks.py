"""Small networks of the literature, as factories for studies: ``prune_audit.networks:lenet5(10, channels=3, size=32)``.

They are written as their papers have them, without weights: whoever names one gets what torch initialises by its
current seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from prune_audit.errors import UsageError


class LeNet5(nn.Module):
    """Two convolutions of 5 x 5, each halved by pooling, and three linear layers (LeCun et al. 1998, section II.B).

    As usual today: max pooling, ReLU, and no padding, so that 28 pixels become 4 x 4 and 32 become the paper's 5 x 5.
    """

    def __init__(self, classes: int, channels: int, size: int) -> None:
        super().__init__()
        side = ((size - 4) // 2 - 4) // 2
        self.conv1 = nn.Conv2d(channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, channels, size, size) to scores (N, classes)."""
        x = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc1(x.flatten(1)))
        scores: torch.Tensor = self.fc3(functional.relu(self.fc2(x)))
        return scores


class MLP(nn.Module):
    """Linear layers with ReLU between; LeNet-300-100 with the usual widths (LeCun et al. 1998, section III.C)."""

    def __init__(self, classes: int, inputs: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = (inputs, *hidden)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """(N, ...) with ``inputs`` values a sample to scores (N, classes)."""
        scores: torch.Tensor = self.layers(samples.flatten(1))
        return scores


class _Block(nn.Module):
    """Two convolutions and a shortcut; where the block narrows, the shortcut takes every second pixel and pads."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.more = stride, after - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.more:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        return functional.relu(y + shortcut)


class ResNet(nn.Module):
    """The residual network for small images, three stages of n blocks: 6n + 2 layers (He et al. 2016, section 4.2).

    Shortcuts have no parameters (option A of the paper), and convolutions start as there (He et al. 2015).
    """

    def __init__(self, depth: int, classes: int, channels: int, width: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        stages: list[nn.Module] = []
        before = width
        for stage in range(3):
            after = width * 2**stage
            strides = [2 if stage else 1] + [1] * (blocks - 1)
            stages.append(nn.Sequential(*(_Block(before if not i else after, after, s) for i, s in enumerate(strides))))
            before = after
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, channels, H, W) to scores (N, classes)."""
        x = self.stages(functional.relu(self.bn(self.conv(images))))
        scores: torch.Tensor = self.fc(x.mean((2, 3)))
        return scores


def lenet5(classes: int = 10, *, channels: int = 1, size: int = 28) -> LeNet5:
    """LeNet-5 for square images of ``size`` pixels; 61,706 parameters for the 32 pixels in grey of the paper.

    Raises:
        UsageError: the images are too small to be convolved twice.
    """
    _positive(classes=classes, channels=channels)
    if size < 16:
        raise UsageError(f"LeNet-5 takes images of at least 16 pixels, found {size}", hint="32 is the paper's size")
    return LeNet5(classes, channels, size)


def resnet(depth: int = 20, classes: int = 10, *, channels: int = 3, width: int = 16) -> ResNet:
    """A CIFAR ResNet of ``depth`` layers, the first stage ``width`` channels wide; ResNet-20 has 269,722 parameters.

    Raises:
        UsageError: no network has this depth.
    """
    _positive(classes=classes, channels=channels, width=width)
    if depth < 8 or (depth - 2) % 6:
        raise UsageError(f"a CIFAR ResNet has 6n + 2 layers, found {depth}", hint="8, 14, 20, 32, 44, 56, 110")
    return ResNet(depth, classes, channels, width)


def mlp(classes: int = 10, *, inputs: int = 784, hidden: Sequence[int] = (300, 100)) -> MLP:
    """A perceptron with ``hidden`` layers for samples of ``inputs`` values each, such as 784 for 28 x 28 pixels."""
    _positive(classes=classes, inputs=inputs, **{f"hidden layer {n}": width for n, width in enumerate(hidden, 1)})
    return MLP(classes, inputs, tuple(hidden))


def _positive(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"{name} must be positive, found {size}", hint="count what the data have")
