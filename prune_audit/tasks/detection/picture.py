"""Small pictures of labelled boxes in their images: what is around a box says more of why it was lost than the box.

Names of images are those of a file of somebody else: none leads out of the folder, and a picture that cannot be opened
is left out.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prune_audit.core import Floats
from prune_audit.tasks.detection.boxes import Boxes

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 160  # pixels of the longer side
AROUND = 0.75  # of the longer side of a box, on each side of it
LEAST = 24  # pixels around a small box
MOST = 100_000_000  # pixels of an image that is opened


def pictures(boxes: Boxes, folder: Path, rows: Sequence[int]) -> dict[int, str]:
    """The things at ``rows``, each drawn in its image from ``folder``, as JPEG in base 64.

    Those whose image is not there, lies elsewhere or cannot be read are left out.
    """
    drawn = {}
    for row in rows:
        at = int(boxes.things[row])
        image = _opened(folder, boxes.names[int(boxes.labelled.image[at])])
        if image is not None:
            drawn[row] = _encoded(_cropped(image, boxes.labelled.box[at]))
    return drawn


def _opened(folder: Path, name: str) -> Image | None:
    from PIL import Image, ImageOps

    root = folder.resolve()
    path = (root / name).resolve()
    if not name or not path.is_relative_to(root) or not path.is_file():
        return None
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST:
                return None
            # Boxes are of the image as it is stored, in most tools; one that is turned is left out.
            turned = ImageOps.exif_transpose(image).size != image.size
            return None if turned else image.convert("RGB")
    # A broken image raises whatever its format's reader does.
    except Exception:
        return None


def _cropped(image: Image, box: Floats) -> Image:
    """What lies around ``box`` (4,), with the box drawn in two lines, so that it shows on any ground."""
    from PIL import ImageDraw

    x, y, w, h = box.tolist()
    pad = max(AROUND * max(w, h), LEAST)
    left, top = max(0, int(x - pad)), max(0, int(y - pad))
    right, bottom = min(image.width, int(x + w + pad) + 1), min(image.height, int(y + h + pad) + 1)
    if right <= left or bottom <= top:  # a box beyond its image
        left, top, right, bottom = 0, 0, image.width, image.height
    crop = image.crop((left, top, right, bottom))
    scale = SIDE / max(crop.size)
    crop = crop.resize((max(1, round(crop.width * scale)), max(1, round(crop.height * scale))))
    edges = [(x - left) * scale, (y - top) * scale, (x + w - left) * scale, (y + h - top) * scale]
    draw = ImageDraw.Draw(crop)
    draw.rectangle([edges[0] - 1, edges[1] - 1, edges[2] + 1, edges[3] + 1], outline="black", width=1)
    draw.rectangle(edges, outline="#ffd400", width=2)
    return crop


def _encoded(picture: Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()
