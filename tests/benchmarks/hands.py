"""A real detector, pruned, on real photographs: ``python -m tests.benchmarks.hands FOLDER``.

Hands that show a digit (the shared sign-language digits) are pasted on the shared photographs, so that their boxes are
known; a small network learns to find them, two digits being rare, and is cut by magnitude and tuned again for a moment.
Written into ``FOLDER`` are the labels and both models' detections as COCO has them, and the photographs; what the audit
of these says stands in docs/tasks.md. Some minutes of one processor; seeded.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests.conftest import SHARED

SEED = 0
SIDE, CELL = 96, 8  # pixels of a photograph, and of a cell that may hold the middle of a hand
GRID = SIDE // CELL
RARE = {8: 0.15, 9: 0.15}  # share of their hands that is trained on
TRAINED, AUDITED = 1200, 600  # photographs
EPOCHS, TUNED, BATCH = 20, 2, 32
DENSITY = 0.1
LOWEST, MOST = 0.05, 20  # scores and detections that are written of a photograph


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """Photographs (N, 96, 96, 3) as bytes, and the (x, y, side, digit) of each hand in each of them."""

    images: np.ndarray
    hands: Sequence[Sequence[tuple[int, int, int, int]]]


def scenes(number: int, part: int, rng: np.random.Generator) -> Scenes:
    """``number`` photographs with one to three hands each; nothing of ``part`` 0 is in part 1."""
    hands = {}
    for digit in range(10):
        files = sorted((SHARED / "sign-language-digits" / "val" / str(digit)).glob("*.JPG"))[part::2]
        files = files[: max(1, round(RARE.get(digit, 1) * len(files)))] if part == 0 else files
        hands[digit] = [Image.open(file).convert("RGB").resize((64, 64)) for file in files]
    shares = np.array([len(hands[digit]) if part == 0 else 1 for digit in hands], float)
    files = sorted((SHARED / "imagenet-samples" / "val").glob("*/*.JPEG"))[part::2]
    grounds = [Image.open(file).convert("RGB").resize((160, 160)) for file in files]
    images, placed = [], []
    for _ in range(number):
        x, y = rng.integers(0, 160 - SIDE + 1, 2).tolist()
        image = grounds[int(rng.integers(len(grounds)))].crop((x, y, x + SIDE, y + SIDE))
        inside: list[tuple[int, int, int, int]] = []
        for _ in range(int(rng.integers(1, 4))):
            side = int(rng.integers(24, 41))
            x, y = rng.integers(0, SIDE - side + 1, 2).tolist()
            if all(x >= a + s or a >= x + side or y >= b + s or b >= y + side for a, b, s, _ in inside):
                digit = int(rng.choice(10, p=shares / shares.sum()))
                hand = hands[digit][int(rng.integers(len(hands[digit])))]
                image.paste(hand.resize((side, side)), (x, y))
                inside.append((x, y, side, digit))
        images.append(np.asarray(image))
        placed.append(inside)
    return Scenes(images=np.stack(images), hands=placed)


def detector() -> nn.Module:
    """Photographs (N, 3, 96, 96) to (N, 13, 12, 12): ten digits, side, and the middle of a hand in its cell."""
    layers: list[nn.Module] = []
    for inside, out, stride in ((3, 16, 2), (16, 32, 2), (32, 48, 1), (48, 64, 2), (64, 96, 1), (96, 96, 1)):
        layers += [nn.Conv2d(inside, out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(96, 13, 1))


def wanted(made: Scenes) -> tuple[torch.Tensor, torch.Tensor]:
    """What a detector should say of each photograph: digits (N, 10, 12, 12), and side and place (N, 3, 12, 12)."""
    digits = torch.zeros(len(made.images), 10, GRID, GRID)
    places = torch.zeros(len(made.images), 3, GRID, GRID)
    for i, hands in enumerate(made.hands):
        for x, y, side, digit in hands:
            column, row = (x + side / 2) / CELL, (y + side / 2) / CELL
            digits[i, digit, int(row), int(column)] = 1
            places[i, :, int(row), int(column)] = torch.tensor([side / SIDE, column % 1, row % 1])
    return digits, places


def pixels(made: Scenes) -> torch.Tensor:
    """Photographs as a network takes them (N, 3, 96, 96)."""
    return torch.from_numpy(made.images).permute(0, 3, 1, 2).float().div(255).sub(0.5)


def train(model: nn.Module, made: Scenes, epochs: int, rate: float, masks: Sequence[torch.Tensor] = ()) -> None:
    """Fit ``model`` by Adam; weights that ``masks`` cut stay zero. Cells without a hand weigh a tenth."""
    x, (digits, places) = pixels(made), wanted(made)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    order = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order).split(BATCH):
            said, hand = model(x[rows]), digits[rows].amax(1, keepdim=True)
            loss = nn.functional.binary_cross_entropy_with_logits(
                said[:, :10], digits[rows], weight=0.1 + 0.9 * hand, reduction="sum"
            )
            loss = loss + 5 * ((said[:, 10:].sigmoid() - places[rows]) ** 2 * hand).sum()
            optimiser.zero_grad()
            (loss / len(rows)).backward()
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                for weight, mask in zip(weights(model), masks, strict=False):
                    weight.mul_(mask)
    model.eval()


def weights(model: nn.Module) -> list[torch.Tensor]:
    """The weights that may be cut."""
    return [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]


def prune(model: nn.Module, density: float) -> list[torch.Tensor]:
    """Zero all but the largest ``density`` of the weights of all layers together; what is kept of each."""
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights(model)])
    least = sizes.sort(descending=True).values[round(density * len(sizes)) - 1]
    masks = [(weight.detach().abs() >= least).float() for weight in weights(model)]
    with torch.no_grad():
        for weight, mask in zip(weights(model), masks, strict=True):
            weight.mul_(mask)
    return masks


def detections(model: nn.Module, made: Scenes) -> list[dict[str, object]]:
    """What ``model`` finds, as COCO's list of results: of boxes of a digit that overlap by .4 the surest alone."""
    found: list[dict[str, object]] = []
    for i, image in enumerate(pixels(made).split(1)):
        with torch.inference_mode():
            said = model(image)[0].sigmoid()
        scores, at = said[:10].flatten().topk(100)
        kept: list[tuple[int, float, float, float]] = []
        for score, place in zip(scores.tolist(), at.tolist(), strict=True):
            digit, row, column = place // GRID**2, place // GRID % GRID, place % GRID
            side, right, down = said[10:, row, column].tolist()
            side *= SIDE
            x, y = (column + right) * CELL - side / 2, (row + down) * CELL - side / 2
            if score < LOWEST or len(kept) >= MOST:
                break
            if all(digit != d or overlap((x, y, side), (a, b, s)) < 0.4 for d, a, b, s in kept):
                kept.append((digit, x, y, side))
                box = [round(each, 1) for each in (x, y, side, side)]
                found.append(
                    {"image_id": i + 1, "category_id": digit + 1, "bbox": box, "score": round(score, 4)},
                )
    return found


def overlap(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Intersection over union of two squares (x, y, side)."""
    wide, high = (max(0.0, min(one[i] + one[2], other[i] + other[2]) - max(one[i], other[i])) for i in (0, 1))
    return wide * high / (one[2] ** 2 + other[2] ** 2 - wide * high)


def labels(made: Scenes) -> dict[str, object]:
    """The hands as COCO's ground truth."""
    flat = [(i, *hand) for i, hands in enumerate(made.hands) for hand in hands]
    return {
        "images": [
            {"id": i + 1, "file_name": f"{i + 1:04}.jpg", "width": SIDE, "height": SIDE}
            for i in range(len(made.images))
        ],
        "annotations": [
            {
                "id": n,
                "image_id": i + 1,
                "category_id": digit + 1,
                "bbox": [x, y, side, side],
                "area": side**2,
                "iscrowd": 0,
            }
            for n, (i, x, y, side, digit) in enumerate(flat, 1)
        ],
        "categories": [{"id": digit + 1, "name": str(digit)} for digit in range(10)],
    }


def main(folder: Path) -> None:
    """Make everything, and say what to type."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    learnt, asked = scenes(TRAINED, 0, rng), scenes(AUDITED, 1, rng)
    dense = detector()
    train(dense, learnt, EPOCHS, 3e-3)
    pruned = copy.deepcopy(dense)
    train(pruned, learnt, TUNED, 1e-3, prune(pruned, DENSITY))
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(asked.images):
        Image.fromarray(image).save(folder / "images" / f"{i + 1:04}.jpg")
    files = {"val": labels(asked), "dense": detections(dense, asked), "pruned": detections(pruned, asked)}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content) + "\n", "utf-8")
    print(
        f"prune-audit compare {folder}/dense.json {folder}/pruned.json --data {folder}/val.json "
        f"--images {folder}/images -o audit.html"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
