"""Labelled boxes and detections in COCO's JSON: the ground truth of a data set, and a list of results of a model.

Both are told by how they begin, and read whole by `parse.json`, which makes no object of what is not asked for: the
outlines of a large data set would else take ten times the memory of its boxes. They are read where masks are asked for.
Formats: "Data format" and "Results format" of the COCO data set (Lin et al. 2014, arXiv:1405.0312).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.core import Counts, Floats, Masks, Overlap
from prune_audit.errors import AuditError, DataError, ModelError
from prune_audit.files import coco_masks, parse, regular
from prune_audit.files.columns import decoded

Id: TypeAlias = int | str
Kind = Literal["truth", "results"]
RESULTS = 'a JSON list of {"image_id", "category_id", "bbox": [x, y, width, height], "score"}, one a detection'
TRUTH = 'a JSON object with "images", "annotations" and "categories", as COCO has it'
SIZES = ("small", "medium", "large")
"""What COCO calls boxes of an area below 32 x 32 pixels, below 96 x 96, and larger."""

_HEAD = 1 << 16
_MOST = 1 << 31  # bytes: some ten million detections
_OBJECT = re.compile(r'\s*\{\s*"')
_PARTS = re.compile(r'"(images|annotations|categories)"\s*:\s*\[')
_LIST = re.compile(r'\s*\[\s*\{\s*"')
_EMPTY = re.compile(r"\s*\[\s*\]\s*")
_OWN = ("id", "file_name", "width", "height")  # of images; what else there is are groups


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """I images, C categories and T labelled boxes.

    ``images`` are their ids, ``names`` their files ('' where there is none) and ``sizes`` (I, 2) their width and height
    in pixels, NaN where they are not said. ``keys`` are what else is said of images, as text, '' where nothing is.
    ``categories`` are (id, name) in the order of the file. Of boxes there are ``ids``, ``image`` and ``category`` (T,)
    as positions, ``box`` (T, 4) as x, y, width, height, ``area`` (T,) and ``crowd`` (T,), whether a box
    stands for many or is to be ignored, so that nobody has to find it; ``masks`` (T,) where they were asked for.
    """

    images: tuple[Id, ...]
    names: tuple[str, ...]
    sizes: Floats
    keys: Mapping[str, tuple[str, ...]]
    categories: tuple[tuple[int, str], ...]
    ids: tuple[str, ...]
    image: Counts
    category: Counts
    box: Floats
    area: Floats
    crowd: npt.NDArray[np.bool_]
    masks: Masks | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """D detections in the order of the file: ``image`` (D,), positions in ``images``, which are ids as they are
    written, ``category`` (D,) ids, ``box`` (D, 4) as x, y, width, height, and ``score`` (D,).

    ``outlined`` of them have outlines that nobody asked for; where these were asked for there are ``masks`` (D,), in
    images of ``sizes`` (D, 2), width and height.
    """

    images: tuple[Id, ...]
    image: Counts
    category: Counts
    box: Floats
    score: Floats
    outlined: int = 0
    masks: Masks | None = None
    sizes: Floats = field(default_factory=lambda: np.empty((0, 2)))


def told(path: Path) -> Kind | None:
    """What the file at ``path`` is, None where it is neither; only its first bytes are looked at."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(_HEAD)
    text = decoded(head)
    return None if text is None else told_by(text)


def told_by(head: str) -> Kind | None:
    """What a file is that begins with ``head``."""
    if _OBJECT.match(head) and _PARTS.search(head):
        return "truth"
    if _EMPTY.fullmatch(head):
        return "results"
    named = all(f'"{name}"' in head for name in ("image_id", "category_id"))
    return "results" if _LIST.match(head) and named else None


def truth(path: Path, overlap: Overlap = "boxes") -> Truth:
    """The labelled boxes in the file at ``path``, with their masks where these are to ``overlap``.

    Raises:
        DataError: it is damaged or too large, lacks a part, repeats an id or names one that is not there, or has a box
            that is none.
    """
    content = _read(path, DataError, TRUTH, partial(_of_truth, overlap))
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object, found a list", hint=f"expected is {TRUTH}")
    images, categories, annotations = (_part(path, content, name) for name in ("images", "categories", "annotations"))
    at_image = _numbered(path, "image", [_id(path, DataError, "image", row, each.get("id")) for row, each in images])
    ids = [_id(path, DataError, "category", row, each.get("id")) for row, each in categories]
    at_category = _numbered(path, "category", ids)
    names = [_name(path, row, each) for row, each in categories]
    if len(set(names)) < len(names):
        [(twice, _)] = Counter(names).most_common(1)
        raise DataError(f"{path}: two categories are called {twice!r}", hint="give each category a name of its own")
    if any("neg_category_ids" in each for _, each in images):
        raise DataError(
            f"{path}: in each image only some categories were looked for (neg_category_ids, as LVIS has it)",
            hint="detections of the others are neither right nor false; audit data with labels of all categories",
        )
    if (word := next((each for each in ids if isinstance(each, str)), None)) is not None:
        raise DataError(f"{path}: expected categories numbered by whole numbers, found {word!r}", hint=TRUTH)
    of_image: list[int] = []
    of_category: list[int] = []
    boxes, own, area, crowd = [], [], [], []
    sizes = np.array([[_side(each.get("width")), _side(each.get("height"))] for _, each in images]).reshape(-1, 2)
    masks: list[Counts] = []
    for row, each in annotations:
        where = f"annotation {row + 1}" if each.get("id") is None else f"annotation {each['id']}"
        own.append(_id(path, DataError, "annotation", row, each.get("id")))
        for known, name, out in ((at_image, "image", of_image), (at_category, "category", of_category)):
            value = _id(path, DataError, f"{where}: its {name}", None, each.get(f"{name}_id"))
            if value not in known:
                raise DataError(
                    f"{path}: {where} is of {name} {value!r}, which is not among the {len(known):,} {_many(name)}",
                    hint=f"list it there, or leave the annotation out; known are {_some(list(known))}",
                )
            out.append(known[value])
        if overlap == "masks":
            runs, around = _mask(path, DataError, where, each.get("segmentation"), sizes[of_image[-1]].tolist())
            masks.append(runs)
            if each.get("bbox") is None:
                each["bbox"] = around
        box = _box(path, DataError, where, each.get("bbox"))
        if not (box[2] > 0 and box[3] > 0):
            raise DataError(
                f"{path}: {where} has a box of width {box[2]:g} and height {box[3]:g}",
                hint="bbox is [x, y, width, height] in pixels, both sides above 0",
            )
        boxes.append(box)
        drawn = int((masks[-1][1::2] - masks[-1][::2]).sum()) if masks else 0
        area.append(_area(each.get("area"), float(drawn) or box[2] * box[3]))
        crowd.append(_flag(path, where, each, "iscrowd") or _flag(path, where, each, "ignore"))
    _numbered(path, "annotation", list(map(str, own)))
    return Truth(
        images=tuple(at_image),
        names=tuple(each["file_name"] if isinstance(each.get("file_name"), str) else "" for _, each in images),
        sizes=sizes,
        keys=_keys([each for _, each in images]),
        categories=tuple((int(number), name) for number, name in zip(ids, names, strict=True)),
        ids=tuple(map(str, own)),
        image=np.array(of_image, np.int64),
        category=np.array(of_category, np.int64),
        box=np.array(boxes, np.float64).reshape(-1, 4),
        area=np.array(area, np.float64),
        crowd=np.array(crowd, bool),
        masks=Masks.of(masks) if overlap == "masks" else None,
    )


def results(path: Path, overlap: Overlap = "boxes") -> Results:
    """The detections in the file at ``path``, with their masks where these are to ``overlap``.

    Raises:
        ModelError: it is damaged or too large, is the ground truth, has no boxes, masks or scores, or has ones that are
            none.
    """
    content = _read(path, ModelError, RESULTS, partial(_of_results, overlap))
    if not isinstance(content, list):
        raise ModelError(
            f"{path} holds labelled boxes (COCO's ground truth), and no detections of a model",
            hint=f"give it with --data; a model is {RESULTS}",
        )
    known: dict[Id, int] = {}
    image, category, boxes, scores = [], [], [], []
    masks, sizes, outlined = [], [], 0
    for row, each in enumerate(content):
        if type(each) is not tuple:
            raise ModelError(
                f"{path}: detection {row + 1} has no image_id and category_id", hint=f"expected is {RESULTS}"
            )
        of_image, of_category, box, score, other = each
        image.append(known.setdefault(_id(path, ModelError, "image_id of detection", row, of_image), len(known)))
        number = _id(path, ModelError, "category_id of detection", row, of_category)
        if isinstance(number, str):
            raise ModelError(
                f"{path}: the category_id of detection {row + 1} is {number!r}, expected a whole number",
                hint="write the id of the category as the labelled data have it",
            )
        category.append(number)
        where = f"detection {row + 1}"
        if overlap == "masks":
            size = coco_masks.size_of(other) or (math.nan, math.nan)
            runs, box = _mask(path, ModelError, where, other, size)
            masks.append(runs)
            sizes.append(size)
        elif box is None and other is not None:
            raise ModelError(
                f"{path}: {where} has {other} and no bbox, and boxes are compared",
                hint="--overlap masks compares masks" if other == "segmentation" else "give the results for boxes",
            )
        outlined += other == "segmentation"
        boxes.append(_box(path, ModelError, where, box))
        scores.append(_score(path, row, score))
    return Results(
        images=tuple(known),
        image=np.array(image, np.int64),
        category=np.array(category, np.int64),
        box=np.array(boxes, np.float64).reshape(-1, 4),
        score=np.array(scores, np.float64),
        outlined=outlined,
        masks=Masks.of(masks) if overlap == "masks" else None,
        sizes=np.array(sizes, np.float64).reshape(-1, 2),
    )


def _read(path: Path, error: type[AuditError], expected: str, pairs: Callable[[parse.Pairs], Any]) -> Any:
    """The content of the JSON file at ``path``, whose objects become what ``pairs`` makes of them."""
    size = path.stat().st_size
    if size > _MOST:
        raise error(
            f"{path} has {size:,} bytes, and no more than {_MOST:,} are read",
            hint="record fewer detections: of a higher lowest score, or at most 100 an image",
        )
    text = decoded(regular.content(path))
    if text is None:
        raise error(f"{path}: expected text in UTF-8, found other bytes", hint=f"expected is {expected}")
    try:
        return parse.json(text, pairs=pairs)
    except ValueError as fault:
        raise error(
            f"{path} cannot be read: {fault}", hint=f"expected is {expected}; was it written to its end?"
        ) from fault


def _of_results(overlap: Overlap, pairs: parse.Pairs) -> Any:
    """What is kept of a detection: its image, category, box, score, and its outline, or what it has where boxes are to
    ``overlap``."""
    each = parse.distinct(pairs)
    if "image_id" not in each or "category_id" not in each:
        return _outline(overlap, each) if "counts" in each else each
    if overlap == "masks":
        other: Any = coco_masks.packed(each.get("segmentation"))
    else:
        other = next((name for name in ("segmentation", "keypoints") if name in each), None)
    return each["image_id"], each["category_id"], each.get("bbox"), each.get("score"), other


def _outline(overlap: Overlap, each: Mapping[str, Any]) -> Any:
    """The outline that ``each`` is, written as runs; empty where nobody asks for masks."""
    return coco_masks.Runs(each.get("size"), each["counts"]) if overlap == "masks" else ""


_DROPPED = ("segmentation", "keypoints", "caption", "licenses", "info")


def _of_truth(overlap: Overlap, pairs: parse.Pairs) -> Any:
    each = parse.distinct(pairs)
    if overlap == "masks" and "counts" in each:
        return _outline(overlap, each)
    outline = coco_masks.packed(each.get("segmentation")) if overlap == "masks" else None
    for name in _DROPPED:
        if name in each:
            each[name] = None
    if outline is not None:
        each["segmentation"] = outline
    return each


def _mask(
    path: Path, error: type[AuditError], where: str, outline: coco_masks.Outline, size: Sequence[float]
) -> tuple[Counts, list[float]]:
    """The runs of an ``outline`` in an image of that ``size``, and the box around them."""
    if outline is None:
        raise error(f"{path}: {where} has no mask", hint=f"expected is a segmentation: {coco_masks.EXPECTED}")
    if any(map(math.isnan, size)):
        raise error(
            f"{path}: {where} has a mask, and it is not said how large its image is",
            hint="write width and height of each image"
            if error is DataError
            else 'write masks as {"size": [height, width], "counts": runs}',
        )
    width, height = map(int, size)
    try:
        runs = coco_masks.bounds(outline, width, height)
    except ValueError as fault:
        raise error(f"{path}: {where}: segmentation: {fault}", hint=f"expected is {coco_masks.EXPECTED}") from fault
    return runs, coco_masks.around(runs, height)


def _part(path: Path, content: Mapping[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    rows = content.get(name)
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise DataError(f"{path}: expected a list {name!r} of objects, found none", hint=f"expected is {TRUTH}")
    if not rows:
        raise DataError(f"{path}: the list {name!r} is empty", hint="expected are labelled boxes to be found")
    return list(enumerate(rows))


def _numbered(path: Path, what: str, ids: Sequence[Id]) -> dict[Id, int]:
    """The position of each id. Raises `DataError` where two are alike."""
    known = {each: at for at, each in enumerate(ids)}
    if len(known) < len(ids):
        [(twice, times)] = Counter(ids).most_common(1)
        raise DataError(
            f"{path}: the id {twice!r} of {what} is there {times} times", hint=f"give each {what} its own id"
        )
    return known


def _many(name: str) -> str:
    return "categories" if name == "category" else f"{name}s"


def _some(ids: Sequence[Id]) -> str:
    return ", ".join(map(repr, ids[:3])) + (", ..." if len(ids) > 3 else "")


def _id(path: Path, error: type[AuditError], what: str, row: int | None, value: Any) -> Id:
    """An id: text or a whole number, which may be written 3.0."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and abs(value) <= parse.MOST:
        return value
    if type(value) is str and value:
        return value
    place = what if row is None else f"{what} {row + 1}"
    raise error(
        f"{path}: {place}: expected an id, found {_told(value)}", hint="ids are whole numbers, of images text as well"
    )


def _told(value: Any) -> str:
    return "none" if value is None else repr(value)[:60]


def _name(path: Path, row: int, each: Mapping[str, Any]) -> str:
    name = each.get("name")
    if not isinstance(name, str) or not name.strip():
        raise DataError(f"{path}: category {row + 1} has no name", hint=f"expected is {TRUTH}")
    return name


def _box(path: Path, error: type[AuditError], where: str, value: Any) -> list[float]:
    """A box of four finite numbers, whose sides are not negative."""
    numbers = isinstance(value, list) and len(value) == 4 and all(type(each) in (int, float) for each in value)
    if not numbers or not all(math.isfinite(each) and abs(each) < 1e9 for each in value):
        raise error(
            f"{path}: {where}: expected bbox [x, y, width, height], found {_told(value)}",
            hint="boxes are four numbers, in pixels",
        )
    if value[2] < 0 or value[3] < 0:
        raise error(
            f"{path}: {where} has a box of width {value[2]:g} and height {value[3]:g}",
            hint="bbox is [x, y, width, height] in pixels; of two corners take the differences",
        )
    return [float(each) for each in value]


def _score(path: Path, row: int, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ModelError(
            f"{path}: detection {row + 1}: expected a score from 0 to 1, found {_told(value)}",
            hint="write the confidence of each detection; of logits take the sigmoid",
        )
    return float(value)


def _area(value: Any, known: float) -> float:
    """The area that the file says, which is that of the outline, else what is ``known``."""
    return float(value) if type(value) in (int, float) and 0 < value < math.inf else known


def _side(value: Any) -> float:
    return float(value) if type(value) in (int, float) and 0 < value < math.inf else math.nan


def _flag(path: Path, where: str, each: Mapping[str, Any], name: str) -> bool:
    value = each.get(name, 0)
    if value not in (0, 1):
        raise DataError(f"{path}: {where}: expected {name} 0 or 1, found {_told(value)}", hint="leave it out for 0")
    return bool(value)


def _keys(images: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """What is said of images beside their ids, files and sizes, where it is a word or a number, as text."""
    names = dict.fromkeys(name for each in images for name in each if name not in _OWN)
    found = {}
    for name in names:
        values = [each.get(name) for each in images]
        if all(value is None or type(value) in (str, int, float, bool) for value in values):
            found[name] = tuple("" if value is None else str(value) for value in values)
    return found
