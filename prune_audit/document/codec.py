"""How values become JSON and back: one codec a noun, which serves both directions and the schema."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, replace
from typing import Any, NoReturn, TypeAlias, get_args

from prune_audit.errors import InputError, UsageError
from prune_audit.files import parse

BROKEN = (
    "the file was edited, cut short, or written by another version of prune-audit; write it again with "
    "`prune-audit compare ... -o audit.json`"
)

Node: TypeAlias = dict[str, Any]
"""A part of a JSON Schema."""
Definitions: TypeAlias = dict[str, Node]
"""Name -> what is described once and referred to."""


@dataclass(frozen=True, slots=True)
class Codec:
    """``write(value)`` gives JSON types; ``read(path, json)`` gives the value back or says what is wrong at path.

    ``schema(definitions)`` is the JSON Schema of what is written; what bears a name of its own is put into
    ``definitions`` and referred to.
    """

    write: Callable[[Any], Any]
    read: Callable[[str, Any], Any]
    schema: Callable[[Definitions], Node]


def node(**keys: Any) -> Callable[[Definitions], Node]:
    """The schema of ``keys``, whatever is defined."""
    return lambda _: dict(keys)


def named(name: str, item: Codec) -> Codec:
    """``item``, which the schema describes once under ``name`` and refers to elsewhere."""

    def schema(definitions: Definitions) -> Node:
        if name not in definitions:
            definitions[name] = {}  # the place of a definition is before those that it refers to
            definitions[name] = item.schema(definitions)
        return {"$ref": f"#/$defs/{name}"}

    return replace(item, schema=schema)


def said(what: str, item: Codec) -> Codec:
    """``item``, of which the schema says ``what`` it is."""
    return replace(item, schema=lambda definitions: {"description": what, **item.schema(definitions)})


def wrong(path: str, expected: str, found: object) -> NoReturn:
    """Raise `InputError`: at ``path`` something is ``expected`` and else is ``found``."""
    what = repr(found)[:60]
    if isinstance(found, dict):
        what = "an object"
    elif isinstance(found, list):
        what = f"a list of {len(found)}"
    raise InputError(f"{path or 'the document'}: expected {expected}, found {what}", hint=BROKEN)


def _as_it_is(value: Any) -> Any:
    return value


def _atom(expected: str, holds: Callable[[Any], bool], **schema: Any) -> Codec:
    def read(path: str, value: Any) -> Any:
        return value if holds(value) else wrong(path, expected, value)

    return Codec(write=_as_it_is, read=read, schema=node(**schema))


def is_of(value: object, *types: type) -> bool:
    """Whether ``value`` is of ``types``, where true and false are no numbers."""
    return isinstance(value, types) and not (isinstance(value, bool) and bool not in types)  # a bool is an int


def _is_finite(value: Any) -> bool:
    # A whole number beyond 64 bits is none that any column of a report could hold.
    return is_of(value, int, float) and abs(value) <= (parse.MOST if isinstance(value, int) else sys.float_info.max)


TEXT = _atom("a text", lambda v: is_of(v, str), type="string")
INTEGER = _atom("a whole number", lambda v: is_of(v, int) and abs(v) <= parse.MOST, type="integer")
COUNT = named("count", _atom("a count", lambda v: is_of(v, int) and 0 <= v < 2**63, type="integer", minimum=0))
NUMBER = _atom("a finite number", _is_finite, type="number")
FLAG = _atom("true or false", lambda v: is_of(v, bool), type="boolean")
ANY = _atom("anything", lambda _: True)
VALUE = named(
    "value",
    _atom(
        "a finite number, a text or null",
        lambda v: v is None or is_of(v, str) or _is_finite(v),
        type=["number", "string", "null"],
    ),
)


def one_of(literal: Any) -> Codec:
    """One of the words of a ``Literal``."""
    words = get_args(literal)
    return _atom("one of " + ", ".join(words), lambda v: v in words, enum=list(words))


def maybe(item: Codec) -> Codec:
    """An item, or null."""
    return Codec(
        write=_as_it_is if item.write is _as_it_is else lambda value: None if value is None else item.write(value),
        read=lambda path, value: None if value is None else item.read(path, value),
        schema=lambda definitions: _or_null(item.schema(definitions)),
    )


def many(item: Codec, length: int | None = None) -> Codec:
    """A tuple of items, as a list."""

    def read(path: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or length not in (None, len(value)):
            wrong(path, "a list" if length is None else f"a list of {length}", value)
        return tuple(item.read(f"{path}[{i}]", entry) for i, entry in enumerate(value))

    def schema(definitions: Definitions) -> Node:
        limits = {} if length is None else {"minItems": length, "maxItems": length}
        return {"type": "array", "items": item.schema(definitions), **limits}

    def write(values: Any) -> list[Any]:
        # A column of a hundred thousand classes takes no call for each of them.
        return list(values) if item.write is _as_it_is else [item.write(value) for value in values]

    return Codec(write=write, read=read, schema=schema)


def mapping(item: Codec) -> Codec:
    """An object whose values are items, whatever its keys."""

    def read(path: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            wrong(path, "an object", value)
        return {key: item.read(f"{path}.{key}", entry) for key, entry in value.items()}

    return Codec(
        write=lambda values: {key: item.write(value) for key, value in values.items()},
        read=read,
        schema=lambda definitions: {"type": "object", "additionalProperties": item.schema(definitions)},
    )


def _is_usual(value: Any, usual: Any) -> bool:
    """Whether a field has its default; arrays, which compare entry by entry, are absent by default."""
    return value is usual or (usual is not None and bool(value == usual))


def record(
    make: Any,
    fields: Mapping[str, Codec],
    *,
    grows: bool = False,
    later: Collection[str] = (),
    unless_default: Collection[str] = (),
) -> Codec:
    """A dataclass ``make`` as an object with the keys of ``fields``, in that order.

    One that ``grows`` may lack keys that have a default: an older audit was written before there were such fields.
    Elsewhere nothing but what came ``later`` may be missing, since a file that lost its checks must not read as one
    that needed none. Whatever came ``later`` the schema does not require. Of most audits some fields say nothing: those
    are written ``unless_default``, and came later, too.
    """
    later = (*later, *unless_default)
    usual = {key: make.__dataclass_fields__[key] for key in unless_default}
    defaults = {key: f.default_factory() if f.default is MISSING else f.default for key, f in usual.items()}
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

    def write(value: Any) -> dict[str, Any]:
        plain = {key for key, usual in defaults.items() if _is_usual(getattr(value, key), usual)}
        return {key: item.write(getattr(value, key)) for key, item in fields.items() if key not in plain}

    return Codec(write=write, read=read, schema=lambda definitions: keyed(fields, definitions, later))


def keyed(fields: Mapping[str, Codec], definitions: Definitions, later: Collection[str] = ()) -> Node:
    """The schema of an object with the keys of ``fields``, of which all but those that came ``later`` are required."""
    required = [key for key in fields if key not in later]
    properties = {key: item.schema(definitions) for key, item in fields.items()}
    return {"type": "object", "required": required, "properties": properties}


def with_keys(found: Node, further: Mapping[str, Node]) -> Node:
    """The schema ``found`` of an object, which requires ``further`` keys."""
    return {**found, "required": [*found["required"], *further], "properties": {**found["properties"], **further}}


def extended(item: Codec, derived: Mapping[str, tuple[Callable[[Any], Any], Node]]) -> Codec:
    """``item`` with further keys that are written and never read: how each is made, and its schema."""

    def write(value: Any) -> Any:
        return item.write(value) | {key: of(value) for key, (of, _) in derived.items()}

    def schema(definitions: Definitions) -> Node:
        return with_keys(item.schema(definitions), {key: how for key, (_, how) in derived.items()})

    return Codec(write=write, read=item.read, schema=schema)


def _or_null(found: Node) -> Node:
    if isinstance(found.get("type"), str) and found.keys() <= {"description", "type"}:
        return {**found, "type": [found["type"], "null"]}
    if "enum" in found:
        return {**found, "enum": [*found["enum"], None]}
    if "anyOf" in found:
        return {**found, "anyOf": [*found["anyOf"], {"type": "null"}]}
    return {"anyOf": [found, {"type": "null"}]}
