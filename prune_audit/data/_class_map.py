"""A file that says which class of the models each class of the data is, where the two call them differently.

Two columns of CSV (class of the data, class of the models; a header "data,model" may stand above) or a JSON object. A
class of the models goes by its name, else by its position among the outputs, from 0. The outputs keep their order and
are renamed: reports speak of the data's own classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from prune_audit import spelling
from prune_audit.errors import DataError
from prune_audit.files import parse, text_file

FORMS = 'two columns of CSV (class of the data,class of the models), or a JSON object such as {"cat": "n02123045"}'
_DIGITS = 10  # of no position of a class
HEADS = (["data", "model"], ["data", "models"])


def read(path: Path) -> dict[str, str | int]:
    """Class of the data -> class of the models, an integer where it must be a position.

    Raises:
        DataError: the file cannot be read, is in neither form, is empty, or names a class of the data twice.
    """
    text = text_file.read(path, "class map", FORMS)
    pairs = _of_json(path, text) if text.lstrip().startswith(("{", "[")) else _of_csv(path, text)
    if not pairs:
        raise DataError(f"{path}: the class map is empty", hint=f"expected is {FORMS}")
    [(twice, times)] = Counter(name for name, _ in pairs).most_common(1)
    if times > 1:
        raise DataError(
            f"{path}: the class {twice!r} of the data is there more than once", hint="it can be one class of the models"
        )
    return dict(pairs)


def renamed(path: Path, mapping: Mapping[str, str | int], outputs: Sequence[str]) -> tuple[str, ...]:
    """The classes called ``outputs`` (C,) under the names that the data have for them (C,).

    Raises:
        DataError: ``mapping``, read from ``path``, names an output that there is not, or one output twice, or would
            have two outputs of one name.
    """
    of: dict[int, str] = {}
    for name, target in mapping.items():
        at = position(target, outputs)
        if at is None:
            some = ", ".join(outputs[:4]) + (", ..." if len(outputs) > 4 else "")
            raise DataError(
                f"{path}: {name!r} is to be {target!r}, which is no class of the models ({some})",
                hint=f"{spelling.meant(str(target), outputs)}name one of the {len(outputs)}, or give its position, "
                f"0 to {len(outputs) - 1}; --classes FILE says what the models call them",
            )
        if at in of:
            raise DataError(
                f"{path}: both {of[at]!r} and {name!r} are to be {outputs[at]!r}",
                hint="each class of the models can be one class of the data; merge the two in the labels",
            )
        of[at] = name
    names = tuple(of.get(at, name) for at, name in enumerate(outputs))
    [(twice, times)] = Counter(names).most_common(1)
    if times > 1:
        raise DataError(
            f"{path}: two classes would then be called {twice!r}: the one that is to be {mapping[twice]!r}, and the "
            "models' own, which the map leaves as it is",
            hint=f"say which class of the data the models' own {twice!r} is",
        )
    return names


def misspelt(mapping: Mapping[str, str | int], names: Collection[str], lacking: str) -> str | None:
    """The key of ``mapping`` that likely stands for ``lacking``, one of the data's ``names``; None where none does.

    A map may well name more classes than these data have, so that a key without samples alone proves nothing.
    """
    unused = [key for key in mapping if key not in names]
    likely = [key for key in unused if str(mapping[key]) == lacking] or spelling.near(lacking, unused)
    return likely[0] if likely else None


def position(target: str | int, names: Sequence[str]) -> int | None:
    """Where ``target`` stands in ``names``: by name, else as a number; None where it does not."""
    if target in names:
        return names.index(str(target))
    text = str(target)
    at = int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else len(names)
    return at if at < len(names) else None


def _of_json(path: Path, text: str) -> list[tuple[str, str | int]]:
    try:
        # Pairs, because a dict would keep the last of two equal keys without a word.
        value = parse.json(text, pairs=tuple)
    except ValueError as error:
        raise DataError(f"{path}: no JSON: {error}", hint=f"expected is {FORMS}") from error
    if not isinstance(value, tuple):
        raise DataError(f"{path}: expected a JSON object, found a list", hint=f"expected is {FORMS}")
    for name, target in value:
        if type(target) not in (str, int):
            raise DataError(
                f"{path}: {name!r} is to be {target!r}, which is neither a name nor a position",
                hint=f"expected is {FORMS}",
            )
    return list(value)


def _of_csv(path: Path, text: str) -> list[tuple[str, str | int]]:
    rows = text_file.pairs(path, text, FORMS)
    for row in rows:
        if not all(row):
            raise DataError(f"{path}: expected two columns, found {','.join(row)!r}", hint=f"expected is {FORMS}")
    if rows and [cell.casefold() for cell in rows[0]] in HEADS:
        rows = rows[1:]
    return [(name, target) for name, target in rows]
