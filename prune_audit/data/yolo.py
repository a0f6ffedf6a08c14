"""Labelled boxes in YOLO's folders of images and labels, or the data.yaml that says where these are.

A box is a thing to be found, the image its cluster, the size of a box a group, as COCO has it. An image without a file
of labels has no boxes. Of images only the headers are read, for their sizes; of the YAML only names and places, and
nothing in it is run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prune_audit.core import DATA, Assumption, DataSource, Expects, Floats, Settings, Things
from prune_audit.data import _boxes, _classes, _folders, _unsupported
from prune_audit.data._pixels import header, quiet_pillow, suffixes
from prune_audit.errors import DataError
from prune_audit.files import regular, yolo
from prune_audit.files.flat_yaml import Value
from prune_audit.tasks.detection.boxes import IMAGE, Boxes
from prune_audit.tasks.detection.matching import Labelled

TASK = "detection"
_SPLITS = ("val", "test")  # which are judged, in this order
_LEARNT = ("train", "training")
_MOST = 1 << 26  # bytes of a list of images


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Images in ``folder``, by their paths in it, sorted, and the file of labels of each, which need not be there."""

    folder: Path
    images: tuple[str, ...]
    labels: tuple[Path, ...]


def recognises(source: DataSource) -> bool:
    """Whether it describes such data, or is a folder of their images, labels or both."""
    return yolo.is_data(source.path)


def load(source: DataSource, expects: Expects, settings: Settings) -> Things:  # noqa: ARG001  # as every format
    """The labelled boxes, by image and line.

    Raises:
        DataError: an image or its labels cannot be read, labels have no image, or there are none.
        UsageError: something was asked for that labelled boxes do not have, such as masks.
    """
    path = source.path
    yolo.no_masks(path, settings.overlap)
    is_folder = path.is_dir()
    but = ("class_map", "label_column") if is_folder else ("classes", "class_map", "label_column")
    _unsupported.refuse(source, "labelled boxes", has=("images",) if is_folder else (), but=but)
    told: list[Assumption] = []
    if is_folder:
        place, names = _of_folder(source), _names_of_folder(source)
    else:
        described = yolo.description(path)
        if described.get("kpt_shape") is not None:
            raise DataError(f"{path}: the labels are keypoints (kpt_shape)", hint="expected are labelled boxes")
        names = _names(path, described)
        split, place = _described(path, described)
        told += [
            Assumption(
                subject=DATA,
                what="images",
                value=f"{split}: {place.folder}",
                why=f"{path.name} names it",
                option="--data FOLDER",
            )
        ]
    there = [at for at, file in enumerate(place.labels) if file.exists()]
    if not there:
        raise DataError(
            f"{path}: none of {len(place.images):,} images has a file of labels, such as {place.labels[0]}",
            hint=f"labels are {yolo.LABELS}, in a file of the image's name",
        )
    lines = yolo.read([place.labels[at] for at in there], "labels")
    if not len(lines.category):
        raise DataError(f"{path}: all files of labels are empty", hint=f"expected are {yolo.LABELS}")
    if names is None:
        names = tuple(map(str, range(int(lines.category.max()) + 1)))
        told += [
            Assumption(
                subject=DATA,
                what="classes",
                value=f"numbers, 0 to {len(names) - 1}",
                why="nothing names them",
                option="--classes FILE, or --data data.yaml",
            )
        ]
    for at in np.flatnonzero(lines.category >= len(names))[:1]:
        raise DataError(
            f"{place.labels[there[lines.file[at]]]}, line {lines.line[at]}: class {lines.category[at]}, but there are "
            f"{len(names)} names of classes, for 0 to {len(names) - 1}",
            hint="name all classes, in the order of their numbers",
        )
    image = np.array(there, np.int64)[lines.file]
    sizes = _sizes(place)
    scale = sizes[image]  # (T, 2)
    called = tuple(os.path.splitext(each)[0] for each in place.images)  # noqa: PTH122 - a text, whose slashes stay
    boxes = Boxes(
        images=called,
        names=place.images,
        sizes=sizes,
        categories=np.arange(len(names)),
        groups={IMAGE: np.array(place.images, object)},
        labelled=Labelled(
            image=image,
            category=lines.category,
            box=lines.box * np.concatenate([scale, scale], axis=1),
            crowd=np.zeros(len(image), bool),
        ),
    )
    return _boxes.things(
        source,
        boxes,
        classes=names,
        ids=[f"{called[at]}:{line}" for at, line in zip(image, lines.line, strict=True)],
        area=lines.area * scale.prod(axis=1),
        notes=_notes(len(place.images) - len(there), len(place.images), lines),
        assumptions=tuple(told),
        folder=place.folder,
    )


def _notes(without: int, images: int, lines: yolo.Lines) -> tuple[str, ...]:
    said = []
    if without:
        said.append(f"{without:,} of {images:,} images have no file of labels: nothing is to be found there")
    if lines.outlines:
        said.append(f"{lines.outlines:,} labels are outlines: the boxes around them are to be found")
    return (*said, *yolo.copied(lines))


def _of_folder(source: DataSource) -> Place:
    """Images and labels of a folder: of ``images`` and ``labels`` in it, of images that have labels elsewhere, or of
    both side by side."""
    path = source.path
    if source.images is not None:
        return _beside(source.images, path)
    if (path / "images").is_dir():
        splits = [each.name for each in sorted((path / "images").iterdir()) if each.is_dir()]
        learnt = next((each for each in splits if each.lower() in _LEARNT), None)
        if learnt is not None and len(splits) > 1:
            raise DataError(
                f"{path / 'images'} holds several parts of the data: {', '.join(splits)}",
                hint=f"give one that the models did not learn from, such as {path / 'images' / _other(splits, learnt)}",
            )
        return _beside(path / "images", path / "labels")
    if (labels := yolo.label_folder(path)) is not None:
        return _beside(path, labels)
    return _beside(yolo.image_folder(path) or path, path)


def _other(splits: Sequence[str], learnt: str) -> str:
    return next(each for each in splits if each != learnt)


def _beside(images: Path, labels: Path) -> Place:
    """The images of one folder with the labels of another, which may be the same."""
    if not images.is_dir():
        raise DataError(f"{images}: there is no such folder", hint="--images takes the folder of the images")
    found = _listed(images)
    if not found:
        yolo.read(list(yolo.files(labels).values())[:1], "labels")  # which says where these are none
        raise DataError(
            f"{images} holds no images", hint=f"expected are images in {_kinds()}; --images names their folder"
        )
    files = yolo.files(labels)
    stems = _stems(images, found)
    stray = sorted(set(files) - set(stems))
    if stray:
        raise DataError(
            f"{files[stray[0]]} has no image in {images}"
            + (f", and {len(stray) - 1:,} other files of labels have none" if len(stray) > 1 else ""),
            hint=f"images and labels are called alike ({stray[0]}.jpg); remove labels whose image is gone",
        )
    return Place(folder=images, images=tuple(found), labels=tuple(labels / f"{stem}.txt" for stem in stems))


def _stems(folder: Path, images: Sequence[str]) -> dict[str, str]:
    """Each image without suffix -> the image. Raises `DataError` where two would share labels."""
    stems: dict[str, str] = {}
    for each in images:
        stem = os.path.splitext(each)[0]  # noqa: PTH122 - a text, whose slashes stay
        if stem in stems:
            raise DataError(
                f"{folder}: {stems[stem]} and {each} would share the labels {stem}.txt", hint="rename one of them"
            )
        stems[stem] = each
    return stems


def _listed(folder: Path) -> list[str]:
    """The images below ``folder``, by their paths in it."""
    ends = suffixes()
    return sorted(each[1:] for each in _folders.walk(folder, "") if each.lower().endswith(ends))


def _kinds() -> str:
    return ", ".join(each[1:] for each in suffixes())


def _described(path: Path, described: dict[str, Value]) -> tuple[str, Place]:
    """Which part of the data is judged, and where it is."""
    split = next((name for name in _SPLITS if described.get(name)), None)
    if split is None:
        raise DataError(f"{path}: it names no images to judge by", hint="write val: FOLDER, of images")
    value, root = described[split], described.get("path")
    each = (value,) if isinstance(value, str) else value
    if not isinstance(each, tuple) or not (root is None or isinstance(root, str)):
        raise DataError(
            f"{path}: expected {split}: FOLDER, or a list of folders", hint=f"expected is {yolo.DESCRIPTION}"
        )
    places = [_found(path, root, name) for name in each]
    if len(places) == 1 and places[0].is_dir():
        return split, _beside(places[0], yolo.label_folder(places[0]) or places[0])
    files = [file for place in places for file in (_in_folder(place) if place.is_dir() else _in_list(place))]
    if not files:
        raise DataError(f"{path}: {split} holds no images", hint=f"expected are images in {_kinds()}")
    folder = Path(os.path.commonpath([file.parent for file in files]))
    names = sorted({file.relative_to(folder).as_posix() for file in files})
    _stems(folder, names)
    return split, Place(folder=folder, images=tuple(names), labels=tuple(_label(folder / name) for name in names))


def _in_folder(folder: Path) -> list[Path]:
    return [folder.absolute() / each for each in _listed(folder)]


def _in_list(path: Path) -> list[Path]:
    """The images that a text names, one a line, by the folder that it is in."""
    if path.stat().st_size > _MOST:
        raise DataError(f"{path} has more than {_MOST:,} bytes", hint="expected is a list of images, one a line")
    try:
        lines = regular.content(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text in UTF-8, found other bytes", hint="list images, one a line") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if "\0" in line or not line.strip().lower().endswith(suffixes()):
            raise DataError(
                f"{path}, line {number}: expected an image, found {line.strip()[:40]!r}",
                hint=f"list images, one a line, in {_kinds()}",
            )
        found.append(Path(os.path.normpath(path.parent.absolute() / line.strip())))
    return found


def _label(image: Path) -> Path:
    return (yolo.label_folder(image.parent) or image.parent) / f"{image.stem}.txt"


def _found(path: Path, root: str | None, name: str) -> Path:
    """The folder or list ``name`` of the description at ``path``: by its root, or by the folder that it lies in.

    Roots are often of another machine, and ``../`` written where none is meant.
    """
    here = path.parent
    bases = [here] if root is None else [here / root, here]
    tried = [base / each for base in bases for each in (name, name.removeprefix("../"))]
    for each in tried:
        if "\0" not in str(each) and (each.is_dir() or each.is_file()):
            return each
    raise DataError(
        f"{path}: there is neither a folder nor a file {tried[0]}"
        + (f", nor {tried[-1]}" if tried[-1] != tried[0] else ""),
        hint="correct path: and val: in it, or give the folder of images with --data, and --classes",
    )


def _names(path: Path, described: dict[str, Value]) -> tuple[str, ...]:
    """The names of the classes, in the order of their numbers."""
    value = described.get("names")
    if isinstance(value, tuple) and value:
        names = value
    elif isinstance(value, dict) and value and all(key.isascii() and key.isdigit() for key in value):
        by_number = {int(key): name for key, name in value.items() if len(key) < 9}
        if sorted(by_number) != list(range(len(value))):
            raise DataError(
                f"{path}: names number {len(value)} classes otherwise than 0 to {len(value) - 1}",
                hint="number them from 0, without gaps",
            )
        names = tuple(by_number[number] for number in range(len(by_number)))
    else:
        raise DataError(
            f"{path}: expected names: a list of names, or numbers with a name each", hint=f"such as {yolo.DESCRIPTION}"
        )
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise DataError(f"{path}: two classes are called {twice!r}", hint="give each class a name of its own")
    blank = next((at for at, name in enumerate(names) if not name.strip()), None)
    if blank is not None:
        raise DataError(f"{path}: class {blank} has no name", hint="give each class a name of its own")
    count = described.get("nc")
    if count is not None and count != str(len(names)):
        raise DataError(f"{path}: nc is {count}, and names has {len(names)}", hint="correct one of them")
    return names


def _names_of_folder(source: DataSource) -> tuple[str, ...] | None:
    """What --classes says, or a list of names that a tool for labelling left there; None where there is none."""
    if source.classes is not None:
        return _classes.read(source.classes) if isinstance(source.classes, Path) else source.classes
    path = source.path
    folders = [path, path.parent, path / "labels"]
    found = next((each / "classes.txt" for each in folders if (each / "classes.txt").is_file()), None)
    return None if found is None else _classes.read(found)


def _sizes(place: Place) -> Floats:
    """Width and height (I, 2) of the images in pixels, as they are shown: labels are shares of these."""
    quiet_pillow()
    found = np.empty((len(place.images), 2))
    for at, name in enumerate(place.images):
        head = header(place.folder / name, turn=True)
        if head is None:
            raise DataError(
                f"{place.folder / name} is no image that can be read",
                hint="repair it, or remove it and its labels: boxes are shares of its size",
            )
        found[at] = head.size[::-1]
    return found
