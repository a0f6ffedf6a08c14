"""Pictures to read: random pixels, so that any shift, flip or filter shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image

Draw: TypeAlias = Callable[..., Path]
SHAPES = {"L": (), "RGB": (3,), "RGBA": (4,), "LA": (2,), "CMYK": (4,)}
SHARED = Path(__file__).parents[2] / "../shared/data"


@pytest.fixture
def draw() -> Draw:
    """``draw(path, size=(height, width), mode="RGB", seed=0)`` writes a picture and gives its path back."""

    def picture(path: Path, size: tuple[int, int] = (8, 8), mode: str = "RGB", seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, *SHAPES[mode]), np.uint8)
        image = Image.frombytes(mode, size[::-1], pixels.tobytes())
        image.save(path)
        return path

    return picture


@pytest.fixture
def shared() -> Path:
    """The folder of shared data; what is not there skips visibly."""
    if not SHARED.is_dir():
        pytest.skip("shared data are absent")
    return SHARED
