"""A small network with batch normalisation for the sample's digits, for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from prune_audit import prune
from prune_audit.core import DataSource, ModelSource, Settings
from prune_audit.nets.train_loop import Training
from tests.conftest import ROOT

FACTORY = "tests.normalised:network"


def network() -> nn.Module:
    """8x8 gray pixels in, ten digits out, two layers of batch normalisation."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(288, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def trained(folder: Path) -> ModelSource:
    """`network`, trained on the sample's digits for two epochs, in ``folder``."""
    path = folder / "dense.pth"
    path.write_bytes(_weights())
    return ModelSource(name="dense", path=path, factory=FACTORY)


@cache
def _weights() -> bytes:
    """The content of its file, made once for all tests of a process."""
    data = DataSource(path=ROOT / "sample_models" / "val")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "dense.pth"
        prune.train(FACTORY, path, Training(epochs=2, lr=0.05, batch_size=64), Settings(), source=data)
        return path.read_bytes()
