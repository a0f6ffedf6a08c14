"""Small pictures of flipped samples, made while the data are at hand and kept in the audit.

They show what the models saw, after resize and crop: a digit cut off by the crop explains more than the file that it
came from. Each class gets as many of each of its flows, which are what the two models take samples for, so that one
large class does not fill them all.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from prune_audit.core import Array, Comparison, Dataset, Flip, Things
from prune_audit.errors import UsageError

SIDE = 96  # pixels of the longer side
LOSSLESS = 40  # pixels up to which a picture stays as it is: JPEG would smear so few
TOTAL = 750_000  # characters of all pictures of an audit; those beyond are left out


def with_thumbnails(comparisons: Sequence[Comparison], dataset: Dataset, number: int) -> tuple[Comparison, ...]:
    """``comparisons`` with pictures of up to ``number`` flips of each class and flow in each, the first of all before
    the second of any, fewer where `TOTAL` is reached.

    Raises:
        UsageError: the samples are no images.
    """
    row = {name: i for i, name in enumerate(dataset.ids)}
    chosen = sorted(
        (
            (turn, n, flip.id)
            for n, each in enumerate(comparisons)
            for turn, flip in _turns(each.flips)
            if turn < number
        ),
        key=lambda entry: entry[0],
    )
    wanted = sorted({row[name] for _, _, name in chosen})
    if not wanted:
        return tuple(comparisons)
    made = {dataset.ids[row]: image for row, image in thumbnails(dataset, wanted).items()}
    left, kept = TOTAL, set[tuple[int, str]]()
    for _, n, name in chosen:
        if name in made and len(made[name]) <= left:
            left -= len(made[name])
            kept.add((n, name))
    return tuple(
        replace(
            comparison,
            flips=tuple(
                replace(flip, thumbnail=made[flip.id]) if (n, flip.id) in kept else flip for flip in comparison.flips
            ),
        )
        for n, comparison in enumerate(comparisons)
    )


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


def _turns(flips: Sequence[Flip]) -> Iterator[tuple[int, Flip]]:
    """Each flip, and how many of its class and flow came before it."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for flip in flips:
        flow = flip.label, flip.dense, flip.pruned
        yield seen[flow], flip
        seen[flow] += 1
