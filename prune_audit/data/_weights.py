"""A file of class weights: how often each class occurs in use, in whatever unit.

Two columns of CSV (class, weight; a header may stand above) or a JSON object class -> weight. They are normalised
where they are used, so that counts, shares and percentages all do.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from prune_audit.errors import DataError
from prune_audit.files import parse, text_file

FORMS = 'two columns of CSV (class,weight), or a JSON object such as {"cat": 3, "dog": 1}'


def read(path: Path) -> dict[str, float]:
    """Class name -> weight, in the order of the file.

    Raises:
        DataError: the file cannot be read, is in neither form, names a class twice, or has a weight that is no number
            of 0 or above.
    """
    text = text_file.read(path, "file of weights", FORMS)
    pairs = _of_json(path, text) if text.lstrip().startswith(("{", "[")) else _of_csv(path, text)
    weights: dict[str, float] = {}
    for name, value in pairs:
        weight = _number(value)
        if weight is None:
            raise DataError(
                f"{path}: the weight of {name!r} must be a number of 0 or above, found {value!r}",
                hint=f"expected are {FORMS}",
            )
        if name in weights:
            raise DataError(f"{path}: the class {name!r} is there more than once", hint="give each class one weight")
        weights[name] = weight
    if not any(weights.values()):
        raise DataError(f"{path}: no class has a weight above 0", hint=f"expected are {FORMS}")
    return weights


def _of_json(path: Path, text: str) -> list[tuple[str, Any]]:
    try:
        # Pairs, because a dict would keep the last of two equal keys without a word.
        value = parse.json(text, pairs=lambda pairs: pairs)
    except ValueError as error:
        raise DataError(f"{path}: no JSON: {error}", hint=f"expected are {FORMS}") from error
    if not text.lstrip().startswith("{"):
        raise DataError(f"{path}: expected an object class -> weight, found a list", hint=f"expected are {FORMS}")
    return list(value)


def _of_csv(path: Path, text: str) -> list[tuple[str, Any]]:
    rows = text_file.pairs(path, text, FORMS)
    if rows and _number(rows[0][1]) is None:  # a header
        rows = rows[1:]
    return [(name, value) for name, value in rows]


def _number(value: object) -> float | None:
    """A weight, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # a whole number may be larger than any float
        return None
    return number if 0 <= number < math.inf else None
