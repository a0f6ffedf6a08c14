"""The scene of a COCO file as YOLO's folders hold it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tests.tasks.detection.made import Json


def shares(content: Json, box: Sequence[float], image: Any) -> list[float]:
    """A box of ``content`` as its centre and sides, in shares of its image."""
    [size] = [(each["width"], each["height"]) for each in content["images"] if each["id"] == image]
    x, y, w, h = box
    return [(x + w / 2) / size[0], (y + h / 2) / size[1], w / size[0], h / size[1]]


def line(*numbers: float) -> str:
    return " ".join(repr(float(each)) if isinstance(each, float) else str(each) for each in numbers) + "\n"


def labels(folder: Path, content: Json, found: Sequence[Json] | None = None) -> Path:
    """The boxes of ``content``, or what was ``found`` there, a file an image, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {each["id"]: Path(each["file_name"]).with_suffix(".txt") for each in content["images"]}
    positions = {number: at for at, number in enumerate(sorted(each["id"] for each in content["categories"]))}
    for each in content["annotations"] if found is None else found:
        score = [] if found is None else [float(each["score"])]
        file = folder / names[each["image_id"]]
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", newline="\n") as text:
            box = shares(content, each["bbox"], each["image_id"])
            text.write(line(positions[each["category_id"]], *box, *score))
    return folder


def images(folder: Path, content: Json) -> Path:
    """Blank images of the sizes that ``content`` has."""
    for each in content["images"]:
        file = folder / each["file_name"]
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (each["width"], each["height"])).save(file)
    return folder


def dataset(folder: Path, content: Json, part: str = "val") -> Path:
    """The data of ``content`` with images, labels and their description, which is given back."""
    images(folder / "images" / part, content)
    labels(folder / "labels" / part, content)
    names = [each["name"] for each in sorted(content["categories"], key=lambda each: int(each["id"]))]
    listed = "".join(f"  {at}: {name}\n" for at, name in enumerate(names))
    path = folder / "data.yaml"
    path.write_text(f"path: .  # where it is\nval: images/{part}\nnc: {len(names)}\nnames:\n{listed}")
    return path
