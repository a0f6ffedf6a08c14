"""How values become JSON and back: one codec a noun, which serves both directions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, NoReturn, get_args

from prune_audit.errors import InputError, UsageError
from prune_audit.files import parse

BROKEN = (
    "the file was edited, cut short, or written by another version of prune-audit; write it again with "
    "`prune-audit compare ... -o audit.json`"
)


@dataclass(frozen=True, slots=True)
class Codec:
    """``write(value)`` gives JSON types; ``read(path, json)`` gives the value back or says what is wrong at path."""

    write: Callable[[Any], Any]
    read: Callable[[str, Any], Any]


def wrong(path: str, expected: str, found: object) -> NoReturn:
    """Raise `InputError`: at ``path`` something is ``expected`` and else is ``found``."""
    what = repr(found)[:60]
    if isinstance(found, dict):
        what = "an object"
    elif isinstance(found, list):
        what = f"a list of {len(found)}"
    raise InputError(f"{path or 'the document'}: expected {expected}, found {what}", hint=BROKEN)


def _atom(expected: str, holds: Callable[[Any], bool]) -> Codec:
    def read(path: str, value: Any) -> Any:
        return value if holds(value) else wrong(path, expected, value)

    return Codec(write=lambda value: value, read=read)


def is_of(value: object, *types: type) -> bool:
    """Whether ``value`` is of ``types``, where true and false are no numbers."""
    return isinstance(value, types) and not (isinstance(value, bool) and bool not in types)  # a bool is an int


def _is_finite(value: Any) -> bool:
    # A whole number beyond 64 bits is none that any column of a report could hold.
    return is_of(value, int, float) and abs(value) <= (parse.MOST if isinstance(value, int) else sys.float_info.max)


TEXT = _atom("a text", lambda v: is_of(v, str))
INTEGER = _atom("a whole number", lambda v: is_of(v, int) and abs(v) <= parse.MOST)
COUNT = _atom("a count", lambda v: is_of(v, int) and 0 <= v < 2**63)
NUMBER = _atom("a finite number", _is_finite)
FLAG = _atom("true or false", lambda v: is_of(v, bool))
ANY = _atom("anything", lambda _: True)
VALUE = _atom("a finite number, a text or null", lambda v: v is None or is_of(v, str) or _is_finite(v))


def one_of(literal: Any) -> Codec:
    """One of the words of a ``Literal``."""
    return _atom("one of " + ", ".join(get_args(literal)), lambda v: v in get_args(literal))


def maybe(item: Codec) -> Codec:
    """An item, or null."""
    return Codec(
        write=lambda value: None if value is None else item.write(value),
        read=lambda path, value: None if value is None else item.read(path, value),
    )


def many(item: Codec, length: int | None = None) -> Codec:
    """A tuple of items, as a list."""

    def read(path: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or length not in (None, len(value)):
            wrong(path, "a list" if length is None else f"a list of {length}", value)
        return tuple(item.read(f"{path}[{i}]", entry) for i, entry in enumerate(value))

    return Codec(write=lambda values: [item.write(value) for value in values], read=read)


def mapping(item: Codec) -> Codec:
    """An object whose values are items, whatever its keys."""

    def read(path: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            wrong(path, "an object", value)
        return {key: item.read(f"{path}.{key}", entry) for key, entry in value.items()}

    return Codec(write=lambda values: {key: item.write(value) for key, value in values.items()}, read=read)


def record(make: Any, fields: Mapping[str, Codec], *, grows: bool = False, later: Collection[str] = ()) -> Codec:
    """A dataclass ``make`` as an object with the keys of ``fields``, in that order.

    One that ``grows`` may lack keys that have a default: an older audit was written before there were such fields.
    Elsewhere nothing but what came ``later`` may be missing, since a file that lost its checks must not read as one
    that needed none.
    """
    plain = [make.__dataclass_fields__[key] for key in fields if key not in later]
    needed = [f.name for f in plain if not grows or f.default is f.default_factory is MISSING]

    def read(path: str, value: Any) -> Any:
        if not isinstance(value, dict):
            wrong(path, "an object", value)
        for key in needed:
            if key not in value:
                raise InputError(f"{path or 'the document'}: {key!r} is missing", hint=BROKEN)
        found = {key: item for key, item in fields.items() if key in value}
        try:
            return make(**{key: item.read(f"{path}.{key}".lstrip("."), value[key]) for key, item in found.items()})
        except UsageError as error:  # values that a dataclass itself refuses
            raise InputError(f"{path}: {error.message}", hint=BROKEN) from error

    return Codec(write=lambda value: {key: item.write(getattr(value, key)) for key, item in fields.items()}, read=read)


def extended(item: Codec, derived: Mapping[str, Callable[[Any], Any]]) -> Codec:
    """``item`` with further keys that are written and never read."""
    return Codec(
        write=lambda value: item.write(value) | {key: of(value) for key, of in derived.items()}, read=item.read
    )
