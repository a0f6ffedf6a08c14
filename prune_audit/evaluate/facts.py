"""What a run learns of a model while it predicts, kept beside the rows: what it may be, and that of several runs.

The rows of one model may be predicted by many runs, on many machines, each of which learns what its own samples tell.
What they noted is put together whatever their order. It is looked at before it is believed, since it may have been
written elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

import numpy as np

from prune_audit.core import Activation, Array, Kept, Scores

ASSUMED = ("what", "value", "why", "option")
"""Of an assumption, all but the name of the model, which may be another in the next run."""


def _text(value: object) -> bool:
    return isinstance(value, str)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _listed(of: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(of, value))


def _or_none(of: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or of(value)


def _assumed(value: object) -> bool:
    return isinstance(value, dict) and set(value) == set(ASSUMED) and all(map(_text, value.values()))


LEARNT: Mapping[str, Callable[[object], bool]] = {
    "columns": _whole,
    "macs": _or_none(_whole),
    "activation": _or_none(lambda value: value in get_args(Activation)),
    "integers": lambda value: isinstance(value, bool),
    "scores": lambda value: value in get_args(Scores),
    "ms": _number,
    "batch_size": _whole,
    "fitted": lambda value: _whole(value) and value != 0,
    "notes": _listed(_text),
    "assumptions": _listed(_assumed),
    "odd": _listed(_whole),
    "turned": _listed(_whole),
    "doubts": _listed(_text),
}
"""What is learnt of a model, and whether a value can be that."""
_ALL = {**LEARNT, "model": _text, "path": _text, "data": _text, "samples": _whole}


def checked(facts: object) -> Mapping[str, Any]:
    """``facts`` as a run may have noted them. Raises `ValueError` where none does."""
    if not isinstance(facts, dict):
        raise ValueError("what was noted is no object of JSON")
    for name, value in facts.items():
        if name not in _ALL or not _ALL[name](value):
            raise ValueError(f"{name!r} is nothing that a run notes, or not {value!r}")
    return facts


def together(facts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What several runs noted of the same model on the same data: lists in full, of the rest what the last one said.

    Notes name the model as the last one did.
    """
    found: dict[str, Any] = {}
    name = facts[-1].get("model") if facts else None
    for each in facts:
        for what, value in each.items():
            if not isinstance(value, list):
                found[what] = value
                continue
            if what == "notes":
                value = renamed(value, each.get("model"), name)
            before = found.setdefault(what, [])
            before.extend(item for item in value if item not in before)
    return found


def renamed(notes: Sequence[str], old: str | None, name: str | None) -> list[str]:
    """``notes`` that begin with the ``old`` name of a model, with ``name`` in its place."""
    return [f"{name}{note.removeprefix(str(old))}" if note.startswith(f"{old} ") else note for note in notes]


def alike(facts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all are of as many samples and output columns, as far as they say."""
    return all(len({each[what] for each in facts if what in each}) < 2 for what in ("samples", "columns"))


_WITH = {"rows", "digests"}
_SCORED = {field.name for field in fields(Kept)} - {"column"}
_TYPES = {"rows": "int64", "digests": "uint64", "predicted": "int32", "rank": "int32", "tied": "int32", "close": "bool"}
REAL = "double"  # as Arrow calls it, the type of other columns


def rows(table: Any, facts: Mapping[str, Any]) -> Kept:
    """A ``table`` of Arrow as `Kept`, of a model and data of which ``facts`` tell.

    Raises:
        ValueError: no pass over data keeps such.
    """
    wide, names = facts.get("columns"), set(table.column_names)
    kind = {None: _WITH, 0: _WITH | {"predicted"}, 1: _WITH | {"column"}}.get(wide, _SCORED)
    if names not in (kind, _WITH) or len(names) < table.num_columns or (names == _WITH and table.num_rows):
        raise ValueError(f"its columns are {', '.join(table.column_names)}")
    values: dict[str, Array] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count or str(column.type) != _TYPES.get(name, REAL):
            raise ValueError(f"{name} is of the type {column.type}, or has gaps")
        values[name] = column.to_numpy()
    bounds = {"rows": (0, facts.get("samples", 0))}
    if wide is not None and "first" in values:
        bounds |= {"predicted": (0, wide), "rank": (0, wide), "tied": (1, wide + 1)}
    for name, (least, end) in bounds.items():
        if len(values[name]) and not least <= values[name].min() <= values[name].max() < end:
            raise ValueError(f"{name} is not from {least} to {end - 1}")
    for name in values.keys() - _TYPES.keys():
        finite = name in ("first", "spread", "column")  # others may be minus infinity
        if (~np.isfinite(values[name]) if finite else np.isnan(values[name])).any():
            raise ValueError(f"{name} is no number")
    return Kept(**values)
