"""Small networks and labelled samples that the tests of this room share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from prune_audit.nets.examples import Examples

# Of the density, where a method does not meet it to one weight: half a hundredth, and a row or column of a block.
TOLERANCE = {"surgery": 0.005, "bcr": 0.002, "seqattn": 0.001}


def network(seed: int = 0) -> nn.Sequential:
    """Everything that may be cut and much that may not: 6x6 pixels in, four classes out."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 5, 3),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(5 * 16, 7),
        nn.LayerNorm(7),
        nn.ReLU(),
        nn.Linear(7, 4),
    )


def forward(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The scores of the one input."""
    scores: torch.Tensor = model(inputs["image"])
    return scores


def examples(
    x: torch.Tensor | None = None, y: torch.Tensor | None = None, *, size: int = 16, rows: torch.Tensor | None = None
) -> Examples:
    """Samples ``x`` (N, ...) with labels ``y`` (N,), by default forty of noise."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(40, 1, 6, 6, generator=generator) if x is None else x
    labels = torch.randint(0, 4, (len(inputs),), generator=generator) if y is None else y
    return Examples(
        labels=labels,
        rows=torch.arange(len(inputs)) if rows is None else rows,
        read=lambda chosen: {"image": inputs[chosen]},
        forward=forward,
        size=size,
    )
