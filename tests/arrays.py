"""The sample's digits as arrays in one file, which a run reads in no time, and a thousand files of images in half a
second: for tests that are not about how images are read. What an audit says of them is the same."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

SAMPLE = Path(__file__).parents[1] / "sample_models" / "val"


@cache
def digits() -> Path:
    """All of the sample, in a folder that ends with this process."""
    folder = TemporaryDirectory(prefix="digits-")
    atexit.register(folder.cleanup)
    return of_images(sorted(SAMPLE.glob("*/*.png")), Path(folder.name) / "digits.npz")


def of_images(files: list[Path], path: Path) -> Path:
    """The gray images of ``files``, each in the folder of its class, in ``path``: as fed, and called as they were."""
    pixels = [np.asarray(Image.open(file), np.float32) for file in files]
    np.savez(
        path,
        x=np.stack(pixels)[:, None] / np.float32(255),  # (N, 1, H, W)
        y=np.array([file.parent.name for file in files]),
        id=np.array([f"{file.parent.name}/{file.name}" for file in files]),
    )
    return path
