"""Boxes in YOLO's text files, one an image: a line a box, the class and then shares of the image's sides.

A labelled box is ``class x y width height`` with its centre at x, y, or ``class x1 y1 x2 y2 x3 y3 ...``, the corners of
an outline; a detection has its confidence behind that. Whose line has how many numbers tells labels and detections
apart. Format: "Object Detection Datasets Overview" of the Ultralytics documentation, and its ``save_txt`` with
``save_conf``.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from prune_audit.core import Counts, Floats, Overlap
from prune_audit.errors import AuditError, DataError, ModelError, UsageError
from prune_audit.files import flat_yaml, regular

Kind = Literal["labels", "detections"]
LABELS = 'lines of "class x y width height", the centre and sides of a box as shares of the image'
DETECTIONS = 'lines of "class x y width height confidence", the centre and sides of a box as shares of the image'
DESCRIPTION = "a YAML file with names of the classes (names:) and a folder of images (val:)"
SUFFIX = ".txt"
NO_LABELS = ("classes.txt", "predefined_classes.txt", "obj.names")
"""Files of names that tools for labelling leave beside the labels, in small letters."""

_HEAD = 1 << 14
_LOOKED_AT = 50  # files of a folder, to tell what it is
_MOST = 1 << 24  # bytes of a file: some 100,000 boxes in one image
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_LINE = re.compile(rf"\s*\d+(\.0*)?(\s+{_NUMBER}){{4,}}\s*")
_TOLD = re.compile(r"^names\s*:", re.MULTILINE)
_PLACE = re.compile(r"^(val|test|train|path)\s*:", re.MULTILINE)
_ROUND = {"labels": 0.01, "detections": 0.5}  # how far beyond an image a number may lie
_BEYOND = 0.02  # the share of an image that boxes reach beyond it
_MANY = 0.2  # the share of boxes beyond their image from which on they are something else
_NEARLY = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """T boxes of I files: ``file`` (T,) positions, ``line`` (T,) from 1 on, ``category`` (T,) numbers, ``box`` (T, 4)
    as left, top, width, height in shares of the image, ``area`` (T,) within the outline, likewise, and ``score`` (T,),
    NaN of labels. ``copies`` lines repeat another one of their file and are left out, ``outlines`` were none of boxes.
    ``digest`` is of all that was read, in hexadecimal digits, and ``size`` its bytes."""

    file: Counts
    line: Counts
    category: Counts
    box: Floats
    area: Floats
    score: Floats
    copies: int
    outlines: int
    digest: str
    size: int


def told(folder: Path) -> bool:
    """Whether ``folder`` holds such files, and few of other text: the first are looked at, of each the first line."""
    lines = [line for file in _first(folder) if (line := _first_line(file))]
    return sum(_LINE.fullmatch(line) is not None for line in lines) > len(lines) / 2


def described(path: Path) -> bool:
    """Whether the file at ``path`` describes a data set, so that images and names of classes are found by it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        text = head.decode("utf-8-sig", "strict" if len(head) < _HEAD else "ignore")
    except UnicodeDecodeError:
        return False
    return _TOLD.search(text) is not None and _PLACE.search(text) is not None


def description(path: Path) -> dict[str, flat_yaml.Value]:
    """What the file at ``path`` says of where images are (path, val, test, train), and of classes (names, nc), and
    ``kpt_shape``, where labels are of keypoints. What else there is, such as a script to download, is not looked at.

    Raises:
        DataError: it cannot be read, or writes one of these in a way that is not read here.
    """
    if path.stat().st_size > _MOST:
        raise DataError(f"{path} has more than {_MOST:,} bytes", hint=f"expected is {DESCRIPTION}")
    try:
        found = flat_yaml.entries(regular.content(path).decode("utf-8-sig"))
        wanted = ("path", "val", "test", "train", "names", "nc", "kpt_shape")
        return {name: flat_yaml.value(found[name]) for name in wanted if name in found}
    except ValueError as error:  # no text in UTF-8, too
        told = "expected text in UTF-8, found other bytes" if isinstance(error, UnicodeDecodeError) else str(error)
        raise DataError(f"{path}: {told}", hint=f"expected is {DESCRIPTION}; write these plainly") from error


def is_data(path: Path) -> bool:
    """Whether there are labelled boxes at ``path``: a description, labels, or a folder of images that have labels."""
    if not path.is_dir():
        return described(path)
    if told(path):
        return True
    labels = path / "labels" if (path / "images").is_dir() else label_folder(path)
    return labels is not None and told(labels)


def label_folder(images: Path) -> Path | None:
    """Where the labels of the folder ``images`` are: in place of the last ``images`` of its path stands ``labels``;
    None where there is no such folder."""
    return _exchanged(images, "images", "labels")


def image_folder(labels: Path) -> Path | None:
    """Where the images are that the folder ``labels`` is of, likewise."""
    return _exchanged(labels, "labels", "images")


def _exchanged(path: Path, one: str, other: str) -> Path | None:
    for written in (path, path.absolute()):
        parts = written.parts
        if one in parts:
            at = len(parts) - 1 - parts[::-1].index(one)
            made = Path(*parts[:at], other, *parts[at + 1 :])
            return made if made.is_dir() else None
    return None


def files(folder: Path) -> dict[str, Path]:
    """The text files below ``folder``, by their path in it without suffix, sorted; those of names are left out."""
    found = sorted(each for each in folder.rglob(f"*{SUFFIX}") if each.name.lower() not in NO_LABELS)
    inside = ((each, each.relative_to(folder)) for each in found)
    return {
        each.with_suffix("").as_posix(): file
        for file, each in inside
        if not any(part.startswith(".") for part in each.parts)
    }


def no_masks(path: Path, overlap: Overlap) -> None:
    """Raises `UsageError` where masks are to ``overlap``: outlines here count as the boxes around them."""
    if overlap == "masks":
        raise UsageError(
            f"{path} is of YOLO's form, and of that boxes are compared, not masks",
            hint="leave --overlap out, or give labels and detections in COCO's JSON, with segmentation",
        )


def read(files: Sequence[Path], kind: Kind) -> Lines:
    """The boxes in ``files``.

    Raises:
        DataError, ModelError: of labels and of detections: a file cannot be read, or a line is none of ``kind``.
    """
    error = DataError if kind == "labels" else ModelError
    digest, size, copies, outlines = hashlib.sha256(), 0, 0, 0
    at, lines, categories, boxes, areas, scores = [], [], [], [], [], []
    for position, file in enumerate(files):
        content = _content(file, error)
        digest.update(f"{file.name}\0{len(content)}\n".encode("utf-8", "surrogateescape") + content)
        size += len(content)
        seen: set[tuple[float, ...]] = set()
        for number, values in _numbers(file, content, error):
            if values in seen:
                copies += 1
                continue
            seen.add(values)
            where = f"{file}, line {number}"
            category, shape, score = _parts(where, values, kind, error)
            outlines += len(shape) > 4
            box, area = _outlined(shape) if len(shape) > 4 else _centred(shape)
            if min(box[2:]) < 0 or (kind == "labels" and min(box[2:]) == 0):
                raise error(
                    f"{where}: a box of width {box[2]:g} and height {box[3]:g}",
                    hint="expected are the centre of a box and its two sides",
                )
            at.append(position)
            lines.append(number)
            categories.append(category)
            boxes.append(box)
            areas.append(area)
            scores.append(score)
    found = Lines(
        file=np.array(at, np.int64),
        line=np.array(lines, np.int64),
        category=np.array(categories, np.int64),
        box=np.array(boxes, np.float64).reshape(-1, 4),
        area=np.array(areas, np.float64),
        score=np.array(scores, np.float64),
        copies=copies,
        outlines=outlines,
        digest=digest.hexdigest(),
        size=size,
    )
    if not outlines:
        _check(found.box, files, error)
    return found


def copied(lines: Lines) -> tuple[str, ...]:
    """What must be said of lines that are there twice."""
    return (
        (
            f"{lines.copies:,} lines are exact copies of another one of their file, as a second run makes them that "
            "appends to it: each is counted once",
        )
        if lines.copies
        else ()
    )


def _first(folder: Path) -> Iterator[Path]:
    """The first text files right in ``folder``, else in its folders."""
    if not folder.is_dir():
        return
    try:
        inside = sorted(folder.iterdir())
        found = [each for each in inside if _is_text(each)] or [
            each for part in inside if part.is_dir() for each in sorted(part.iterdir()) if _is_text(each)
        ]
    except OSError:
        return
    yield from found[:_LOOKED_AT]


def _is_text(path: Path) -> bool:
    return path.suffix == SUFFIX and path.name.lower() not in NO_LABELS and path.is_file()


def _first_line(file: Path) -> str:
    """The first line of ``file`` that is not blank, '' where there is none, or it cannot be read."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_HEAD).decode("utf-8-sig", "ignore")
    except OSError:
        return ""
    return next((line for line in text.splitlines() if line.strip()), "")


def _content(file: Path, error: type[AuditError]) -> bytes:
    try:
        if not file.is_file():
            raise error(f"{file}: neither a file nor a link to one", hint="check what the folder holds")
        if file.stat().st_size > _MOST:
            raise error(
                f"{file} has {file.stat().st_size:,} bytes, and no more than {_MOST:,} are read",
                hint="one image has a few thousand boxes at most",
            )
        return regular.content(file)
    except OSError as fault:
        raise error(f"{file} cannot be read: {fault.strerror}", hint="check that it is a file you may read") from fault


def _numbers(file: Path, content: bytes, error: type[AuditError]) -> Iterator[tuple[int, tuple[float, ...]]]:
    """The numbers on each line of ``content``, and which line it is."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise error(f"{file}: expected text in UTF-8, found other bytes", hint="write numbers, a line a box") from fault
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words:
            continue
        try:
            values = tuple(map(float, words))
        except ValueError:
            values = (math.nan,)
        if "_" in line or not line.isascii() or not all(map(math.isfinite, values)):
            raise error(
                f"{file}, line {number}: expected numbers with blanks between them, found {line.strip()[:40]!r}",
                hint="write class x y width height, a line a box",
            )
        yield number, values


def _parts(
    where: str, values: Sequence[float], kind: Kind, error: type[AuditError]
) -> tuple[int, Sequence[float], float]:
    """The number of the class, what is between, and the confidence, NaN of labels."""
    category, rest = values[0], values[1:]
    if not 0 <= category < 1e6 or category != int(category):
        raise error(
            f"{where}: expected the number of a class, from 0, found {category:g}",
            hint="classes are whole numbers from 0, the first on each line",
        )
    score = math.nan
    if kind == "detections":
        if len(rest) == 4 or (len(rest) > 4 and len(rest) % 2 == 0):
            raise error(
                f"{where}: expected class x y width height confidence, found {len(values)} numbers: no confidence",
                hint="record detections with it (save_conf=True beside save_txt=True); labels are given with --data",
            )
        rest, score = rest[:-1], rest[-1] if rest else math.nan
        if not 0 <= score <= 1 and len(rest) >= 4:
            raise error(
                f"{where}: expected a confidence from 0 to 1 at the end, found {score:g}",
                hint="write the confidence of each detection; of logits take the sigmoid",
            )
    elif len(rest) == 5:
        raise error(
            f"{where}: expected class x y width height, found a sixth number: these are detections of a model",
            hint="give them as a model; --data takes labels",
        )
    if len(rest) != 4 and (len(rest) < 6 or len(rest) % 2):
        form = "" if kind == "labels" else " and its confidence"
        raise error(
            f"{where}: expected a box of 4 numbers or an outline of 3 corners or more{form} behind the class, found "
            f"{len(values) - 1} numbers",
            hint=f"expected are {LABELS if kind == 'labels' else DETECTIONS}; keypoints are not read",
        )
    most = _ROUND[kind]
    if not all(-most <= each <= 1 + most for each in rest):
        odd = next(each for each in rest if not -most <= each <= 1 + most)
        raise error(
            f"{where}: expected shares of the image, from 0 to 1, found {odd:g}",
            hint="divide x and width by the width of the image, y and height by its height, in pixels",
        )
    return int(category), rest, score


def _centred(shape: Sequence[float]) -> tuple[tuple[float, float, float, float], float]:
    """The box of a centre and two sides, and its area."""
    x, y, w, h = shape
    return (x - w / 2, y - h / 2, w, h), w * h


def _outlined(shape: Sequence[float]) -> tuple[tuple[float, float, float, float], float]:
    """The box around an outline, and the area within it, by the sum of its trapezoids."""
    xs, ys = shape[0::2], shape[1::2]
    twice = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    return (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)), abs(twice) / 2


def _check(box: Floats, files: Iterable[Path], error: type[AuditError]) -> None:
    """Check that boxes (T, 4), read as a centre and two sides, are not in another form."""
    if not len(box):
        return
    beyond = np.any((box[:, :2] < -_BEYOND) | (box[:, :2] + box[:, 2:] > 1 + _BEYOND), axis=1)
    if beyond.mean() <= _MANY:
        return
    first, second = box[:, :2] + box[:, 2:] / 2, box[:, 2:]  # as they are written
    folder = next(iter(files)).parent
    if np.all(second > first, axis=1).mean() > _NEARLY:
        told, way = "they are two corners", "of two corners x1 y1 x2 y2 take the middle and the differences"
    elif np.all(first + second <= 1 + _BEYOND, axis=1).mean() > _NEARLY:
        told, way = "x and y are the upper left corner", "add half of width and height to x and y"
    else:
        told, way = "they are no centre and two sides", f"expected are {LABELS}"
    raise error(f"{folder}: {beyond.mean():.0%} of the boxes reach beyond their image: {told}", hint=way)
