"""A made detector and its labelled boxes: files as people have them, whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]
CATEGORIES = ((1, "car"), (2, "person"), (5, "bicycle"), (9, "dog"))


def truth(images: int = 60, seed: int = 0, most: int = 8, first: int = 1) -> Json:
    """Labelled boxes in ``images`` of 640 x 480 pixels, up to ``most`` in each, whose ids begin at ``first``."""
    rng = np.random.default_rng(seed)
    boxes: list[Json] = []
    for image in range(first, images + first):
        for _ in range(rng.integers(0, most + 1)):
            w, h = rng.uniform(10, 150, 2)
            x, y = rng.uniform(0, 640 - w), rng.uniform(0, 480 - h)
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": image,
                    "category_id": CATEGORIES[int(rng.integers(0, 4))][0],
                    "bbox": [float(x), float(y), float(w), float(h)],
                    "area": float(w * h),
                    "iscrowd": 0,
                }
            )
    return {
        "images": [
            {
                "id": i,
                "file_name": f"{100 + i:06d}.jpg",
                "width": 640,
                "height": 480,
                "camera": ("north", "south")[i % 2],
            }
            for i in range(first, images + first)
        ],
        "annotations": boxes,
        "categories": [{"id": number, "name": name} for number, name in CATEGORIES],
    }


def detections(
    labelled: Json, seed: int = 1, *, drop: dict[int, float] | None = None, shift: float = 0.0, false: float = 2.0
) -> list[Json]:
    """What a detector says of ``labelled``: logits of categories in ``drop`` are lower, all of them by ``shift``."""
    rng = np.random.default_rng(seed)
    found = []

    def score(logit: float) -> float:
        return float(1 / (1 + np.exp(-(logit - shift))))

    for each in labelled["annotations"]:
        hard = np.random.default_rng(each["id"]).normal(1.2, 1.2)  # alike for all models
        x, y, w, h = each["bbox"]
        jitter = rng.normal(0, 0.03, 4) * [w, h, w, h]
        lower = (drop or {}).get(each["category_id"], 0.0)
        found.append(
            {
                "image_id": each["image_id"],
                "category_id": each["category_id"],
                "bbox": [x + jitter[0], y + jitter[1], w + jitter[2], h + jitter[3]],
                "score": score(hard + rng.normal(0, 0.3) - lower),
            }
        )
    for image in labelled["images"]:
        for _ in range(rng.poisson(false)):
            w, h = rng.uniform(10, 150, 2)
            found.append(
                {
                    "image_id": image["id"],
                    "category_id": CATEGORIES[int(rng.integers(0, 4))][0],
                    "bbox": [float(rng.uniform(0, 640 - w)), float(rng.uniform(0, 480 - h)), float(w), float(h)],
                    "score": score(rng.normal(-1.5, 1.2)),
                }
            )
    return found


def changed(found: list[Json], change: Callable[[Json], Json]) -> list[Json]:
    """``found`` with something of each detection written otherwise."""
    return [{**each, **change(each)} for each in found]


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path
