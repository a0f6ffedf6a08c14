"""A study that takes seconds: a small perceptron on the digits of the sample models."""

from __future__ import annotations

from pathlib import Path

from tests import arrays
from tests.conftest import ROOT

VAL = arrays.digits()
IMAGES = ROOT / "sample_models" / "val"
PLAN = f"""\
title = "Digits"
seeds = 2
densities = [0.1, 0.5]
methods = ["magnitude", {{ name = "layer", method = "magnitude", scope = "layer" }}]

[networks]
mlp = "prune_audit.networks:mlp(10, inputs=64, hidden=[16])"

[data]
train = "{VAL}"
audit = "{VAL}"

[training]
epochs = 3
lr = 0.1
batch-size = 64

[tuning]
epochs = 1
lr = 0.05
batch-size = 64
"""


def planned(folder: Path, text: str = PLAN) -> Path:
    """The file of the study, in ``folder``."""
    path = folder / "digits.toml"
    path.write_text(text, encoding="utf-8")
    return path
