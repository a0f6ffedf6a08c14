"""The script that people write by hand: a DataLoader per model, two passes, recall per class.

``python -m tests.benchmarks.two_pass DENSE PRUNED DATA``, TorchScript (.pt) or ONNX.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class Folder(Dataset[tuple[torch.Tensor, int]]):
    """Images resized to 256, cropped to 224, normalised."""

    def __init__(self, root: Path) -> None:
        classes = sorted(p.name for p in root.iterdir())
        self.files = [(f, i) for i, name in enumerate(classes) for f in sorted((root / name).iterdir())]
        self.classes = len(classes)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.files[index]
        image = Image.open(path).convert("RGB")
        w, h = image.size
        short = min(w, h)
        image = image.resize((256 * w // short, 256 * h // short), Image.Resampling.BILINEAR)
        left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
        pixels = np.array(image.crop((left, top, left + 224, top + 224)))
        x = torch.from_numpy(pixels).permute(2, 0, 1).float().div(255)
        return (x - MEAN[:, None, None]) / STD[:, None, None], label


def model(path: str) -> Callable[[torch.Tensor], np.ndarray]:
    """A function from a batch to predicted classes."""
    if path.endswith(".pt"):
        module = torch.jit.load(path).eval()
        return lambda x: module(x).argmax(1).numpy()
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})[0].argmax(1)


def main(dense: str, pruned: str, data: str) -> None:
    """Print the recall of every class under both models."""
    folder = Folder(Path(data))
    recalls = []
    for path in (dense, pruned):
        predict = model(path)
        right, total = np.zeros(folder.classes), np.zeros(folder.classes)
        with torch.inference_mode():
            for x, y in DataLoader(folder, batch_size=64, num_workers=2):
                hit = predict(x) == y.numpy()
                np.add.at(total, y.numpy(), 1)
                np.add.at(right, y.numpy()[hit], 1)
        recalls.append(right / total)
    for c, (a, b) in enumerate(zip(*recalls, strict=True)):
        print(c, a, b)


if __name__ == "__main__":
    main(*sys.argv[1:])
