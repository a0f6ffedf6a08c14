"""Small pictures of flipped samples, made while the data are at hand and kept in the audit.

They show what the models saw, after resize and crop: a digit cut off by the crop explains more than the file that it
came from. Each variant gets as many, taken from its labels in turn, so that one large class does not fill them all.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from prune_audit.core import Array, Comparison, Dataset, Flip, Things
from prune_audit.errors import UsageError

SIDE = 96  # pixels of the longer side
LOSSLESS = 40  # pixels up to which a picture stays as it is: JPEG would smear so few
TOTAL = 750_000  # characters of all pictures of an audit; those beyond are left out


def with_thumbnails(comparisons: Sequence[Comparison], dataset: Dataset, number: int) -> tuple[Comparison, ...]:
    """``comparisons`` with pictures of up to ``number`` flips in each, fewer where `TOTAL` is reached.

    Raises:
        UsageError: the samples are no images.
    """
    row = {name: i for i, name in enumerate(dataset.ids)}
    chosen = [_in_turn(comparison.flips)[:number] for comparison in comparisons]
    wanted = sorted({row[flip.id] for flips in chosen for flip in flips})
    if not wanted:
        return tuple(comparisons)
    made = {dataset.ids[row]: image for row, image in thumbnails(dataset, wanted).items()}
    left, kept = TOTAL, []
    for comparison, flips in zip(comparisons, chosen, strict=True):
        pictured = set()
        for flip in flips:
            if flip.id in made and len(made[flip.id]) <= left:
                left -= len(made[flip.id])
                pictured.add(flip.id)
        kept.append(
            replace(
                comparison,
                flips=tuple(
                    replace(flip, thumbnail=made[flip.id]) if flip.id in pictured else flip for flip in comparison.flips
                ),
            )
        )
    return tuple(kept)


def thumbnails(dataset: Dataset, rows: Sequence[int]) -> dict[int, str]:
    """Pictures of the samples at ``rows``, each in base 64, without those that cannot be read.

    Raises:
        UsageError: the samples are no images.
    """
    if not rows:
        return {}
    if isinstance(dataset, Things):
        if dataset.draw is None:
            raise UsageError(
                f"thumbnails are of images, and {dataset.path} names no folder of them", hint="--images FOLDER"
            )
        return dict(dataset.draw(rows))
    batch = dataset.read(rows)
    images = batch.inputs.get("image")
    if images is None:
        raise UsageError(
            f"thumbnails are of images, and {dataset.path} has none", hint="leave out --thumbnails for such data"
        )
    if dataset.preprocess is not None and dataset.preprocess.channels == "bgr":
        images = images[:, ::-1]  # people see red as red
    return {row: thumbnail(image) for row, image in zip(batch.rows.tolist(), images, strict=True)}


def thumbnail(image: Array) -> str:
    """``image`` (C, H, W), uint8 of one or three channels, as PNG or JPEG in base 64, at most `SIDE` pixels long."""
    from PIL import Image

    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    small = max(picture.size) <= LOSSLESS
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True) if small else picture.save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()


def _in_turn(flips: Sequence[Flip]) -> list[Flip]:
    """One of each label, then the next of each; within a label as they came."""
    seen: Counter[str] = Counter()
    turns = []
    for flip in flips:
        turns.append(seen[flip.label])
        seen[flip.label] += 1
    return [flip for _, flip in sorted(zip(turns, flips, strict=True), key=lambda entry: entry[0])]
