"""Class lists and their order, and labels as positions in them.

The order of the classes is what ties a label to an output column, and a wrong order shows as a model that guesses.
So a list that was given comes first, then the model's own, then the data's, then the sorted labels, and which of these
it was is an assumption that every report shows, with the other order where sorting has two plausible results ("10"
before "2"). A label outside the list stops the run. A class map renames outputs; it never moves them.

Tables write one number in many ways: pandas makes 3.0 of 3 where a cell is empty, and spreadsheets drop the zeros of
007. So where all labels are numbers, whole ones are one class whatever their spelling, and sort as numbers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from prune_audit import spelling
from prune_audit.core import DATA, Assumption, Counts, DataSource, Expects
from prune_audit.data import _class_map
from prune_audit.errors import DataError
from prune_audit.files import parse, tables, text_file

MOST = 1_000_000
"""Classes that numbers may stand for where nothing names them; a larger one is an id or a fault."""
_EXACT = 10**15
_SHOWN = 10  # pairs of a class map in a hint
FORMS = "one name a line, a JSON list of names, or a JSON object index -> name or name -> index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The ``classes`` in the order of the outputs, ``notes`` on them, and where that order comes from."""

    classes: tuple[str, ...]
    notes: tuple[str, ...]
    assumptions: tuple[Assumption, ...]


def given(
    source: DataSource, expects: Expects, own: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], Assumption] | None:
    """The list that decides, and that it does: ``--classes``, a file or names, else the model's own, else the data's.

    None where there is none of them.
    """
    if source.classes is not None:
        names = read(source.classes) if isinstance(source.classes, Path) else source.classes
        return names, assumed("as --classes names them", "asked for")
    if expects.classes is not None:
        return expects.classes, assumed("as the model names them", "its file says which output is which class")
    if own is not None:
        return own, assumed("as the data name them", "they come with a list of their classes, and no model does")
    return None


def assumed(value: str, why: str) -> Assumption:
    """That the order of classes is ``value``, and ``why``."""
    return Assumption(subject=DATA, what="class order", value=value, why=why, option="--classes FILE")


def decided(source: DataSource, expects: Expects, names: Iterable[str], own: tuple[str, ...] | None = None) -> Order:
    """The classes of data with labels ``names``: the list that decides, ``own`` being the data's, else sorted labels.

    Either is in the order of the outputs, which ``--class-map`` then renames. Where a model has another number of
    outputs than the data classes and none is named, only their positions can be meant.
    """
    listed = given(source, expects, own)
    if listed is not None:
        classes, told = listed
    else:
        classes, told = ordered(names)
        columns = 2 if expects.outputs == 1 else expects.outputs
        if source.class_map is not None and columns is not None and columns != len(classes):
            classes = numbered(columns, _class_map.read(source.class_map))
            told = assumed("by position", "neither models nor data name all outputs; --class-map says what some are")
    classes, notes = mapped(source, classes)
    return Order(classes=classes, notes=notes, assumptions=(told,))


def mapped(source: DataSource, outputs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes called ``outputs`` (C,) as ``--class-map`` has the data call them (C,), and a note that says so.

    Raises:
        DataError: the file cannot be read, or its classes do not fit these.
    """
    if source.class_map is None:
        return outputs, ()
    names = _class_map.renamed(source.class_map, _class_map.read(source.class_map), outputs)
    told = [f"{name} is {theirs}" for name, theirs in zip(names, outputs, strict=True) if name != theirs]
    return names, (f"classes of the models go by the data's names ({_few(told)})",)


def numbered(count: int, keys: Collection[str]) -> tuple[str, ...]:
    """Names for ``count`` outputs that have none: their positions, where these are no ``keys`` of a class map.

    What such a key stands for in the data is another output, which then bears that name.
    """
    return tuple(f"output {at}" if str(at) in keys else str(at) for at in range(count))


def read(path: Path) -> tuple[str, ...]:
    """The class names in a file, in the order of the model's outputs.

    Raises:
        DataError: the file cannot be read, is in none of the forms, or names a class twice.
    """
    text = text_file.read(path, "class list", FORMS)
    if text.lstrip().startswith(("[", "{")):
        try:
            names = _of_json(parse.json(text))
        except ValueError as error:
            raise DataError(f"{path}: no class list: {error}", hint=f"expected is {FORMS}") from error
    else:
        names = tuple(line.strip() for line in text.rstrip().splitlines())
    if not all(names):
        raise DataError(f"{path}: class {names.index('')} has no name", hint=f"expected is {FORMS}")
    if not names:
        raise DataError(f"{path}: the class list is empty", hint=f"expected is {FORMS}")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(
            f"{path}: the class {twice[0]!r} is named more than once", hint="each output column needs a name of its own"
        )
    return names


def _of_json(value: object) -> tuple[str, ...]:
    """Names from parsed JSON. Raises `ValueError` saying what else was found."""
    if isinstance(value, list):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("the list holds something other than text")
        return tuple(value)
    if not isinstance(value, dict):
        raise ValueError(f"expected a list or an object, found {type(value).__name__}")
    if all(isinstance(name, str) for name in value.values()) and all(map(is_integer, value)):
        by_index = {int(index): name for index, name in value.items()}
    elif all(type(index) is int for index in value.values()):
        by_index = {index: name for name, index in value.items()}
    else:
        raise ValueError("the object is neither index -> name nor name -> index")
    if sorted(by_index) != list(range(len(value))):
        raise ValueError(f"the indices are not 0 to {len(value) - 1}, each once")
    return tuple(by_index[index] for index in range(len(value)))


def is_integer(text: str) -> bool:
    """Whether ``text`` is a whole number in plain digits."""
    return re.fullmatch(r"[+-]?[0-9]+", text) is not None


def whole(text: str) -> int | None:
    """The whole number that ``text`` is in any spelling (3, 3.0, 007, 3e0); None where it is none."""
    number = _number(text)
    # What a float cannot hold exactly is nobody's class.
    return int(number) if number is not None and abs(number) < _EXACT and number == int(number) else None


def _number(text: str) -> Decimal | None:
    """The number that ``text`` is; one of more than three digits of exponent is none that anybody meant."""
    found = re.match(tables.NUMBER, text)
    return None if found is None or len((found[2] or "").lstrip("eE+-0")) > 3 else Decimal(text.strip())


def ordered(names: Iterable[str]) -> tuple[tuple[str, ...], Assumption]:
    """The classes that labels called ``names`` are of, sorted, and what a report owes its reader about that order.

    Where all are numbers they sort as numbers, and whole ones are one class in any spelling; else they sort as text.
    """
    different = sorted(set(names))
    if not different or any(_number(name) is None for name in different):
        by_number = sorted(different, key=_natural)
        other = f"; by the numbers in them they would be {_few(by_number)}" if by_number != different else ""
        return tuple(different), assumed(f"sorted by name: {_few(different)}", f"nothing names them in order{other}")
    spellings: dict[int | str, list[str]] = {}
    for name in different:
        value = whole(name)
        spellings.setdefault(name.strip() if value is None else value, []).append(name)
    # As the data write it, but for what a table makes of whole numbers where a cell is empty.
    called = [
        str(value) if len(same) > 1 or re.fullmatch(r"[+-]?[0-9]+\.0*", same[0].strip()) else same[0].strip()
        for value, same in spellings.items()
    ]
    as_numbers = sorted(called, key=lambda name: (Decimal(name), name))
    why = "all labels are numbers"
    if as_numbers != sorted(called):
        why += f"; sorted as text, as some training code does, they would be {_few(sorted(called))}"
    if alike := [same for same in spellings.values() if len(same) > 1]:
        why += f"; {' and '.join(map(repr, alike[0]))} are one class"
    return tuple(as_numbers), assumed(f"sorted as numbers: {_few(as_numbers)}", why)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which class2 comes before class10: text and numbers in turn, numbers by how many digits they have."""
    parts = re.split(r"([0-9]+)", name)
    return [(len(part.lstrip("0")), part.lstrip("0")) if at % 2 else (0, part) for at, part in enumerate(parts)]


def positions(
    values: Sequence[str], classes: tuple[str, ...], place: Callable[[int], str], class_map: Path | None = None
) -> Counts:
    """Each of ``values`` (N,) as its position in ``classes`` (N,). ``place(i)`` says where value i was found.

    Where all classes are whole numbers, a number goes by its value, however it is written. ``class_map`` is the file
    that renamed some of ``classes``.

    Raises:
        DataError: a value is no class; the message names its place and the hint the likeliest way out.
    """
    position = {name: i for i, name in enumerate(classes)} | _respelt(set(values) - set(classes), classes)
    try:
        return np.fromiter((position[value] for value in values), np.int64, len(values))
    except KeyError:
        at, value = next((i, value) for i, value in enumerate(values) if value not in position)
        told = f"{place(at)}: {value!r} is none of the {len(classes)} classes ({_few(classes)})"
        key = None
        if class_map is not None:
            key = _class_map.misspelt(_class_map.read(class_map), set(values), value)
        if key is not None:
            raise DataError(
                f"{class_map}: {key!r} is no class of the data; {told}",
                hint=f"a class map names a class of the data, then one of the models: should {key!r} be {value!r}?",
            ) from None
        raise DataError(told, hint=_way_out(value, values, classes)) from None


def _respelt(values: Collection[str], classes: Sequence[str]) -> dict[str, int]:
    """The positions of those of ``values`` that are other spellings of ``classes``, all of which are numbers."""
    numbers = {whole(name): i for i, name in enumerate(classes)} if values else {}
    if None in numbers or len(numbers) < len(classes):
        return {}
    found = {value: numbers.get(whole(value)) for value in values}
    return {value: at for value, at in found.items() if at is not None}


def _way_out(value: str, values: Sequence[str], classes: tuple[str, ...]) -> str:
    """What to do about ``value``, which is no class."""
    numbers = {other: whole(other) for other in set(values)}
    places = {other: number for other, number in numbers.items() if number is not None and 0 <= number < len(classes)}
    if len(places) == len(numbers):
        unknown = sorted(set(places) - set(classes), key=lambda other: places[other])
        shown = json.dumps({other: classes[places[other]] for other in unknown[:_SHOWN]}, ensure_ascii=False)
        return (
            "the labels look like positions of classes: should they count from 0, say so with --class-map FILE, a file "
            f"that holds {shown[:-1]}{', ...' if len(unknown) > _SHOWN else ''}}}; or write names in their place"
        )
    meant = spelling.meant(value, classes, most=3)
    return f"{meant}correct the data, or give --classes a file that names every class, in the order of the outputs"


def _few(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
