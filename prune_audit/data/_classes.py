"""Class lists and their order, and labels as positions in them.

The order of the classes is what ties a label to an output column, and a wrong order shows as a model that guesses.
So it is never guessed: a list that was given comes first, then the model's own, then the sorted names of the data,
and where sorting has two plausible results ("10" before "2") a note says which was used. A label outside the list
stops the run. A class map renames outputs; it never moves them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from prune_audit.core import Counts, DataSource, Expects
from prune_audit.data import _class_map, _text
from prune_audit.errors import DataError

FORMS = "one name a line, a JSON list of names, or a JSON object index -> name or name -> index"


def given(source: DataSource, expects: Expects) -> tuple[str, ...] | None:
    """The list that decides: ``--classes``, a file or names, else the model's own; None where there is neither."""
    return read(source.classes) if isinstance(source.classes, Path) else source.classes or expects.classes


def decided(source: DataSource, expects: Expects, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of data with labels ``names``, and notes on their order: the list that decides, else sorted names.

    Either is in the order of the outputs, which ``--class-map`` then renames. Where a model has another number of
    outputs than the data classes and none is named, only their positions can be meant.
    """
    classes = given(source, expects)
    if classes is not None:
        return mapped(source, classes)
    classes, notes = ordered(names)
    columns = 2 if expects.outputs == 1 else expects.outputs
    if source.class_map is not None and columns is not None and columns != len(classes):
        return mapped(source, numbered(columns, _class_map.read(source.class_map)))
    classes, more = mapped(source, classes)
    return classes, (*notes, *more)


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
    text = _text.read(path, "class list", FORMS)
    if text.lstrip().startswith(("[", "{")):
        try:
            names = _of_json(json.loads(text))
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


def ordered(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``names`` sorted, without repetitions, and the notes that a report owes its reader about that order.

    Integers sort as numbers, everything else as text.
    """
    as_text = sorted(set(names))
    if not all(map(is_integer, as_text)):
        return tuple(as_text), ()
    as_numbers = sorted(as_text, key=lambda name: (int(name), name))
    if as_numbers == as_text:
        return tuple(as_text), ()
    note = (
        f"class names are integers and were sorted as numbers ({_few(as_numbers)}); sorted as text, as some training "
        f"code does, they would be {_few(as_text)}: give --classes if the model was trained so"
    )
    return tuple(as_numbers), (note,)


def positions(
    values: Sequence[str], classes: tuple[str, ...], place: Callable[[int], str], class_map: Path | None = None
) -> Counts:
    """Each of ``values`` (N,) as its position in ``classes`` (N,). ``place(i)`` says where value i was found.

    ``class_map`` is the file that renamed some of ``classes``.

    Raises:
        DataError: a value is no class; the message names its place and the hint the likeliest way out.
    """
    position = {name: i for i, name in enumerate(classes)}
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


def _way_out(value: str, values: Sequence[str], classes: tuple[str, ...]) -> str:
    """What to do about ``value``, which is no class."""
    if all(is_integer(other) and 0 <= int(other) < len(classes) for other in set(values)):
        return (
            "the labels look like positions of classes: write names instead, say with --class-map which class each "
            "is, or give --classes a file with the labels as they are written here, in the order of the model's outputs"
        )
    folded = {name.casefold(): name for name in classes}
    near = [folded[name] for name in get_close_matches(value.casefold(), folded, n=3)]
    meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{meant}correct the data, or give --classes a file that names every class, in the order of the outputs"


def _few(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
