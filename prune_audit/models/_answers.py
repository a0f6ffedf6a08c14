"""What a worker says of a model, written as JSON and read back by whoever does not trust it.

A worker runs what strangers wrote and may say anything, so every value is checked for its type, its length and its
range when it is read. What is made of the model's files alone (digest, sizes) is not asked of it at all.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

import numpy as np

from prune_audit import errors
from prune_audit.core import (
    Activation,
    Array,
    Assumption,
    Expects,
    Input,
    Layer,
    Layout,
    ModelCard,
    ModelSource,
    Settings,
    Suspect,
)
from prune_audit.evaluate.model_output import Output

Found = TypeVar("Found")

DTYPES = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
DTYPES += ("bool", "float16", "float32", "float64")
"""Of arrays in answers."""
ALIGNED = 64
"""Bytes: what numpy and torch like arrays to begin at."""
_INPUTS = (*DTYPES, "str")
_TEXT = 100_000  # characters of a message of an error, and of a name
_MANY = 10_000_000
_RANK = 64
_LARGEST = 2**63 - 1
_ERRORS = {
    kind.__name__: kind
    for kind in (
        *(errors.ModelError, errors.UnsafeFile, errors.UsageError, errors.AlignmentError, errors.MissingExtra),
        *(errors.InputError, errors.DataError),
    )
}


class Wrong(Exception):
    """An answer that is none, and in what."""


def request(source: ModelSource, settings: Settings) -> dict[str, Any]:
    """``source`` and ``settings``, for the worker, which trusts them."""
    return {
        "source": {**dataclasses.asdict(source), "path": str(source.path)},
        "settings": dataclasses.asdict(settings),
    }


def requested(values: Mapping[str, Any]) -> tuple[ModelSource, Settings]:
    """What `request` was given."""
    source = {**values["source"], "path": Path(values["source"]["path"])}
    settings: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values["settings"].items()}
    return ModelSource(**source), Settings(**settings)


def plain(value: Any) -> Any:
    """A card, a declaration or another value of the kind, as JSON takes it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def card(value: object, source: ModelSource, digest: tuple[str, int, int]) -> ModelCard:
    """The card of the model at ``source``, whose files have that ``digest``, size and compressed size."""
    found = _object(value)
    return ModelCard(
        name=source.name,
        path=str(source.path),
        format=_text(found.get("format")),
        digest=digest[0],
        size=digest[1],
        compressed=digest[2],
        layers=_many(found.get("layers"), _layer),
        parameters=_maybe(found.get("parameters"), _count),
        uncounted=_many(found.get("uncounted"), _text),
    )


def expects(value: object, source: ModelSource) -> Expects:
    """What the model at ``source`` declares. Files that it names lie in its own folder."""
    found = _object(value)

    def beside(path: object) -> Path:
        named = Path(_text(path))
        if named != source.path / named.name:
            raise Wrong("a file elsewhere")
        return named

    accuracy = _maybe(found.get("accuracy"), lambda pair: _tuple(pair, 2))
    size = _maybe(found.get("size"), lambda pair: _tuple(pair, 2))
    return Expects(
        inputs=_many(found.get("inputs"), _input),
        batch=_maybe(found.get("batch"), _positive),
        layout=_one_of(found.get("layout"), get_args(Layout)),
        channels=_maybe(found.get("channels"), _positive),
        size=None if size is None else (_positive(size[0]), _positive(size[1])),
        outputs=_maybe(found.get("outputs"), _positive),
        classes=_maybe(found.get("classes"), lambda names: _many(names, _text)),
        preprocess=_maybe(found.get("preprocess"), beside),
        tokenizer=_maybe(found.get("tokenizer"), beside),
        sample_rate=_maybe(found.get("sample_rate"), _positive),
        accuracy=None if accuracy is None else (_text(accuracy[0]), _share(accuracy[1])),
    )


def files(value: object, source: ModelSource) -> tuple[Path, ...]:
    """The files that the model at ``source`` is made of: first its own, then others, none outside its folder.

    Links in the folder are its owner's, as those of a cache of downloads are, and may lead anywhere; where the model
    itself is a link, what lies beside the file that it leads to belongs to it, too.
    """
    found = [Path(each) for each in _many(value, _text)]
    first = source.path / found[0].name if source.path.is_dir() and found else source.path
    homes = (first.parent.absolute(), first.resolve().parent)
    for each in found:
        place = Path(os.path.normpath(each.absolute()))
        if not any(place.is_relative_to(home) for home in homes) or not each.is_file():
            raise Wrong("a file elsewhere, or none")
    if not found or found[0] != first:
        raise Wrong("other files")
    return tuple(found)


def outputs(value: object) -> tuple[Output, ...]:
    """The outputs of the model."""

    def output(each: object) -> Output:
        found = _object(each)
        return Output(name=_text(found.get("name")), shape=_shape(found.get("shape")), dtype=_text(found.get("dtype")))

    return _many(value, output)


def assumptions(value: object, name: str) -> tuple[Assumption, ...]:
    """What was taken for granted of the model called ``name``."""

    def assumption(each: object) -> Assumption:
        found = _object(each)
        told = {key: _text(found.get(key)) for key in ("what", "value", "why", "option")}
        return Assumption(subject=name, **told)

    return _many(value, assumption)


def notes(value: object) -> tuple[str, ...]:
    """What must be said of the model."""
    return _many(value, _text)


def suspects(value: object) -> tuple[Suspect, ...]:
    """Places by which a prediction may be of more than its sample."""
    kinds = ("dropout", "random", "batch", "dynamic", "axis")

    def suspect(each: object) -> Suspect:
        found = _object(each)
        return Suspect(kind=_one_of(found.get("kind"), kinds), where=_text(found.get("where")))

    return _many(value, suspect)


def activation(value: object) -> Activation | None:
    """What the scores come out of."""
    found: Activation | None = _maybe(value, lambda each: _one_of(each, get_args(Activation)))
    return found


def macs(value: object) -> int | None:
    """A count, or None."""
    return _maybe(value, _count)


def error(value: object) -> errors.AuditError:
    """An error that was raised there, to be raised here."""
    kind, message, hint = _tuple(value, 3)
    return _ERRORS[_one_of(kind, tuple(_ERRORS))](_text(message), hint=_text(hint))


def kind_of(fault: errors.AuditError) -> str:
    """What `error` tells ``fault`` by: the nearest of its kinds that may be told."""
    return next(kind.__name__ for kind in type(fault).__mro__ if kind.__name__ in _ERRORS)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """An array in memory that both sides see: its type, its shape, and where it begins, in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        size = np.dtype(self.dtype).itemsize
        for length in self.shape:
            size *= length
        return size

    def array(self, memory: Any) -> Array:
        """The array itself, which the other side may change."""
        count = self.nbytes // max(1, np.dtype(self.dtype).itemsize)
        return np.frombuffer(memory, self.dtype, count, self.offset).reshape(self.shape)


Kinds: TypeAlias = tuple[tuple[np.dtype[Any], tuple[int, ...]], ...]
"""Of each array its type and its shape."""


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """Where arrays lie, one behind the other, their bytes together, and the places as `place` reads them."""

    places: tuple[Place, ...]
    size: int
    told: tuple[Mapping[str, Any], ...]


@lru_cache(maxsize=64)  # calls of one size follow one another
def placed(kinds: Kinds) -> Placed:
    """Where arrays of such ``kinds`` lie in memory that both sides see."""
    places, end = list[Place](), 0
    for dtype, shape in kinds:
        places.append(Place(dtype.str if dtype.kind == "U" else dtype.name, shape, end))
        end += -(-places[-1].nbytes // ALIGNED) * ALIGNED
    return Placed(tuple(places), end, tuple(plain(each) for each in places))


def kinds(arrays: Iterable[Array]) -> Kinds:
    """What `placed` needs of ``arrays``."""
    return tuple((each.dtype, each.shape) for each in arrays)


def place(value: object, size: int) -> Place:
    """Where an array of an answer lies, within memory of a ``size``."""
    found = _object(value)
    shape = tuple(_count(length) for length in _tuple(found.get("shape")))
    if len(shape) > _RANK:
        raise Wrong("an array of too many axes")
    where = Place(_one_of(found.get("dtype"), DTYPES), shape, _count(found.get("offset")))
    if where.offset + where.nbytes > size:
        raise Wrong("an array that is not there")
    return where


def count(value: object) -> int:
    """A whole number that is not negative."""
    return _count(value)


def _layer(value: object) -> Layer:
    found = _object(value)
    numbers = {key: _count(found.get(key)) for key in ("nonzero", "total", "rounded")}
    if numbers["nonzero"] + numbers["rounded"] > numbers["total"]:
        raise Wrong("more weights than there are")
    shape = tuple(_count(each) for each in _tuple(found.get("shape")))
    return Layer(name=_text(found.get("name")), kind=_text(found.get("kind")), shape=shape, **numbers)


def _input(value: object) -> Input:
    found = _object(value)
    dtype = _maybe(found.get("dtype"), lambda each: _one_of(each, _INPUTS))
    return Input(name=_text(found.get("name")), dtype=dtype, shape=_shape(found.get("shape")))


def _shape(value: object) -> tuple[int | None, ...] | None:
    if value is None:
        return None
    return tuple(_maybe(each, _count) for each in _tuple(value))


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong(f"{type(value).__name__} for an object")
    return value


def _tuple(value: object, length: int | None = None) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > _MANY or length not in (None, len(value)):
        raise Wrong("no list, or one of another length")
    return tuple(value)


def _many(value: object, read: Callable[[Any], Found]) -> tuple[Found, ...]:
    return tuple(read(each) for each in _tuple(value))


def _maybe(value: Any, read: Callable[[Any], Found]) -> Found | None:
    return None if value is None else read(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _TEXT:
        raise Wrong("no text, or one that is too long")
    return value


def _one_of(value: Any, known: tuple[Any, ...]) -> Any:
    if not isinstance(value, str) or value not in known:
        raise Wrong("another word")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise Wrong("no count")
    return value


def _positive(value: object) -> int:
    if _count(value) == 0:
        raise Wrong("a length of 0")
    return _count(value)


def _share(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:  # type: ignore[operator]  # they are numbers
        raise Wrong("no share")
    return float(value)  # type: ignore[arg-type]  # likewise
