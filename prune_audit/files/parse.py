"""JSON and TOML as files of others hold them: what Python's own parsers choke on, or let through, is a `ValueError`.

They run out of stack where values are nested deeply, and keep the last of two values that bear one name without a
word, which other readers of the file may take the first of. JSON's also makes infinity of a number that is too large,
reads NaN, which JSON has not, and gives whole numbers back that no column can hold.
"""

from __future__ import annotations

import json as python
import math
import tomllib
from collections import Counter
from collections.abc import Callable
from typing import Any

MOST = 2**63 - 1
"""The largest whole number that columns hold; the smallest is one further from 0."""
Pairs = list[tuple[str, Any]]


def json(text: str | bytes, *, pairs: Callable[[Pairs], Any] | None = None, finite: bool = True) -> Any:
    """The value that ``text`` writes; what an object becomes is for ``pairs`` to say, in place of a dict.

    NaN and infinities are let through where they need not be ``finite``.

    Raises:
        ValueError: it is no JSON, is nested too deeply, names two values of an object alike, or holds a number that is
            none or that a float cannot hold.
    """
    number = _number if finite else float
    constant = _constant if finite else float
    try:
        return python.loads(
            text, object_pairs_hook=pairs or distinct, parse_constant=constant, parse_float=number, parse_int=_whole
        )
    except RecursionError as fault:
        raise ValueError("values nested too deeply") from fault


def toml(text: str) -> dict[str, Any]:
    """The table that ``text`` writes. Raises `ValueError` where it is no TOML, or is nested too deeply."""
    try:
        return tomllib.loads(text)
    except RecursionError as fault:
        raise ValueError("values nested too deeply") from fault


def distinct(pairs: Pairs) -> dict[str, Any]:
    """An object of values that all have names of their own. Raises `ValueError` where two share one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{twice!r} is there more than once")
    return found


def _constant(name: str) -> float:
    raise ValueError(f"{name}, which is no number")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{_short(text)}, which is too large a number")
    return number


def _whole(text: str) -> int:
    if len(text) > 300:  # digits: more than a float can hold
        raise ValueError(f"{_short(text)}, which is too large a number")
    return int(text)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
