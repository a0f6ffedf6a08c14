"""Class names that a model file carries beside its weights.

Exporters agree on no key and no form, so those in use are tried, and what is not plainly one name per output is left
alone: a wrong order of classes would ruin an audit without anybody noticing. Text is read as JSON or as a Python
literal and never evaluated.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence

_DIGITS = 10  # of no position of a class
_KEYS = ("classes", "class_names", "labels", "names", "id2label", "class_to_idx", "label2id")


def names(metadata: Mapping[str, object], outputs: int | None = None) -> tuple[str, ...] | None:
    """The class names in ``metadata``, in the order of the model's outputs; None where there are none.

    Understood are lists of names, dicts from positions to names (``id2label``, ultralytics' ``names``) and from
    names to positions (``class_to_idx``), each also as JSON or as a Python literal. Names of another number than
    ``outputs`` name something else, and are passed over.
    """
    for key in _KEYS:
        found = _in_order(_read(metadata.get(key)))
        if found and (outputs is None or len(found) == outputs):
            return found
    return None


def _read(value: object) -> object:
    if not isinstance(value, str):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _in_order(value: object) -> tuple[str, ...] | None:
    if isinstance(value, Mapping):
        # Names may be digits themselves, so the values tell which way round the dict is.
        inverse = not any(isinstance(name, str) for name in value.values())
        pairs = [(key, item) if inverse else (item, key) for key, item in value.items()]
        by_position = {_position(position): name for name, position in pairs}
        if set(by_position) != set(range(len(pairs))):
            return None
        value = [by_position[position] for position in range(len(pairs))]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and all(isinstance(v, str) for v in value):
        found = tuple(value)
        return found if len(set(found)) == len(found) else None
    return None


def _position(key: object) -> int | None:
    if isinstance(key, int) and not isinstance(key, bool):
        return key
    return int(key) if isinstance(key, str) and key.isdecimal() and len(key) < _DIGITS else None
