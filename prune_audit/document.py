"""The JSON document of an `Audit`, written and read back equal.

Each noun is listed here once, key by key, and that list serves both directions: nothing can be written that is not
read, and renaming a field of a dataclass cannot change a format that other programs read. The format is described by
``audit-1.schema.json`` beside this file. Columns are arrays with one entry per stratum, which keeps 1,000 classes
small. Keys may be added within a version, so a reader skips those that it does not know; ``outcome`` and ``density``
are written for other readers and computed anew when read here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import numpy as np

from prune_audit import packed, parse
from prune_audit.core import (
    Assumption,
    Audit,
    Channels,
    Check,
    Clusters,
    Comparison,
    Correction,
    Counts,
    Flip,
    Interpolation,
    Layer,
    Level,
    Measure,
    ModelCard,
    Outcome,
    Pair,
    Policy,
    Preprocess,
    Provenance,
    Reference,
    RuleSetting,
    Runtime,
    Samples,
    Settings,
    Unit,
    View,
    Waiver,
)
from prune_audit.errors import InputError, UsageError
from prune_audit.scores import Bins, Calibration, Ties, TopK

SCHEMA = "prune-audit/1"
SCHEMA_FILE = Path(__file__).parent / "audit-1.schema.json"

_SAMPLES = 2**53  # far more than anybody has, and few enough that no sum of counts runs over
_BROKEN = (
    "the file was edited, cut short, or written by another version of prune-audit; write it again with "
    "`prune-audit compare ... -o audit.json`"
)


def to_document(audit: Audit) -> dict[str, Any]:
    """``audit`` as a dict of JSON types alone."""
    return {"schema": SCHEMA, "outcome": audit.outcome, **_AUDIT.write(audit)}


def from_document(document: object) -> Audit:
    """The audit that ``document`` was made of.

    Raises:
        InputError: the document is of another version or broken; the message names the place within it.
    """
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise InputError(
            f"schema: expected {SCHEMA!r}, found {found!r}",
            hint="it was written by another version of prune-audit, or it is no audit; give what -o audit.json wrote",
        )
    audit: Audit = _AUDIT.read("", document)
    if not audit.comparisons:
        _wrong("comparisons", "one at least", [])
    _check_samples(audit)
    return audit


def read_audit(path: str | Path) -> Audit:
    """The audit in the JSON file at ``path``.

    Raises:
        InputError: the file is missing, is not JSON, is of another version, or is broken, and where.
    """
    path = Path(path)
    try:
        document = parse.json(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "give an audit that `prune-audit compare ... -o audit.json` wrote"
        raise InputError(f"{path}: {error.strerror or error}", hint=hint) from error
    except UnicodeDecodeError as error:
        hint = "give an audit that `prune-audit compare ... -o audit.json` wrote; models go to `compare`"
        raise InputError(f"{path}: expected a JSON document, an audit, found no text", hint=hint) from error
    except ValueError as error:  # not JSON, or NaN
        raise InputError(f"{path}: expected a JSON document, found {error}", hint=_BROKEN) from error
    try:
        return from_document(document)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", hint=error.hint) from error


# ---------------------------------------------------------------------------------- how a value is written and read


@dataclass(frozen=True, slots=True)
class _Codec:
    """``write(value)`` gives JSON types; ``read(path, json)`` gives the value back or says what is wrong at path."""

    write: Callable[[Any], Any]
    read: Callable[[str, Any], Any]


def _wrong(path: str, expected: str, found: object) -> NoReturn:
    what = repr(found)[:60]
    if isinstance(found, dict):
        what = "an object"
    elif isinstance(found, list):
        what = f"a list of {len(found)}"
    raise InputError(f"{path or 'the document'}: expected {expected}, found {what}", hint=_BROKEN)


def _atom(expected: str, holds: Callable[[Any], bool]) -> _Codec:
    def read(path: str, value: Any) -> Any:
        return value if holds(value) else _wrong(path, expected, value)

    return _Codec(write=lambda value: value, read=read)


def _is(value: object, *types: type) -> bool:
    return isinstance(value, types) and not (isinstance(value, bool) and bool not in types)  # a bool is an int


def _is_finite(value: Any) -> bool:
    # A whole number beyond 64 bits is none that any column of a report could hold.
    return _is(value, int, float) and abs(value) <= (parse.MOST if isinstance(value, int) else sys.float_info.max)


_TEXT = _atom("a text", lambda v: _is(v, str))
_INTEGER = _atom("a whole number", lambda v: _is(v, int) and abs(v) <= parse.MOST)
_COUNT = _atom("a count", lambda v: _is(v, int) and 0 <= v < 2**63)
_NUMBER = _atom("a finite number", _is_finite)
_FLAG = _atom("true or false", lambda v: _is(v, bool))
_ANY = _atom("anything", lambda _: True)
_VALUE = _atom("a finite number, a text or null", lambda v: v is None or _is(v, str) or _is_finite(v))


def _one_of(literal: Any) -> _Codec:
    return _atom("one of " + ", ".join(get_args(literal)), lambda v: v in get_args(literal))


def _maybe(item: _Codec) -> _Codec:
    return _Codec(
        write=lambda value: None if value is None else item.write(value),
        read=lambda path, value: None if value is None else item.read(path, value),
    )


def _many(item: _Codec, length: int | None = None) -> _Codec:
    """A tuple of items, as a list."""

    def read(path: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or length not in (None, len(value)):
            _wrong(path, "a list" if length is None else f"a list of {length}", value)
        return tuple(item.read(f"{path}[{i}]", entry) for i, entry in enumerate(value))

    return _Codec(write=lambda values: [item.write(value) for value in values], read=read)


def _mapping(item: _Codec) -> _Codec:
    def read(path: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            _wrong(path, "an object", value)
        return {key: item.read(f"{path}.{key}", entry) for key, entry in value.items()}

    return _Codec(write=lambda values: {key: item.write(value) for key, value in values.items()}, read=read)


def _record(make: Any, fields: Mapping[str, _Codec], *, grows: bool = False, later: Collection[str] = ()) -> _Codec:
    """A dataclass ``make`` as an object with the keys of ``fields``, in that order.

    One that ``grows`` may lack keys that have a default: an older audit was written before there were such fields.
    Elsewhere nothing but what came ``later`` may be missing, since a file that lost its checks must not read as one
    that needed none.
    """
    plain = [make.__dataclass_fields__[key] for key in fields if key not in later]
    needed = [f.name for f in plain if not grows or f.default is f.default_factory is MISSING]

    def read(path: str, value: Any) -> Any:
        if not isinstance(value, dict):
            _wrong(path, "an object", value)
        for key in needed:
            if key not in value:
                raise InputError(f"{path or 'the document'}: {key!r} is missing", hint=_BROKEN)
        found = {key: item for key, item in fields.items() if key in value}
        try:
            return make(**{key: item.read(f"{path}.{key}".lstrip("."), value[key]) for key, item in found.items()})
        except UsageError as error:  # values that a dataclass itself refuses
            raise InputError(f"{path}: {error.message}", hint=_BROKEN) from error

    return _Codec(write=lambda value: {key: item.write(getattr(value, key)) for key, item in fields.items()}, read=read)


def _with(item: _Codec, derived: Mapping[str, Callable[[Any], Any]]) -> _Codec:
    """``item`` with further keys that are written and never read."""
    return _Codec(
        write=lambda value: item.write(value) | {key: of(value) for key, of in derived.items()}, read=item.read
    )


# ------------------------------------------------------------------------------------- the columns that are not plain


def _read_counts(path: str, value: Any) -> Counts:
    return np.array(_many(_COUNT).read(path, value), np.int64)


_MOVE = ("label", "dense", "pruned", "count")  # the columns of Pair.moves


def _write_moves(moves: Counts) -> dict[str, list[int]]:
    return dict(zip(_MOVE, moves.T.tolist(), strict=True))


def _read_moves(path: str, value: Any) -> Counts:
    columns = _mapping(_COUNTS).read(path, value)
    if not columns.keys() >= set(_MOVE) or len({len(columns[name]) for name in _MOVE}) != 1:
        _wrong(path, f"lists {', '.join(_MOVE)} of one length", value)
    return np.stack([columns[name] for name in _MOVE], axis=1)  # (K, 4)


def _write_absent(absent: Mapping[int, str]) -> dict[str, list[int]]:
    """Reason -> positions, since a thousand classes share a few reasons."""
    positions: dict[str, list[int]] = {}
    for position, reason in sorted(absent.items()):
        positions.setdefault(reason, []).append(position)
    return positions


def _read_absent(path: str, value: Any) -> dict[int, str]:
    positions = _mapping(_many(_COUNT)).read(path, value)
    return dict(sorted((position, reason) for reason, many in positions.items() for position in many))


def _write_view(view: View) -> dict[str, Any]:
    return {**_PAIR.write(view.pair), "measures": _MEASURES.write(view.measures)}


def _read_view(path: str, value: Any) -> View:
    pair: Pair = _PAIR.read(path, value)
    s, c = len(pair.strata), len(pair.classes)
    lengths = dict.fromkeys(("both", "lost", "gained", "neither"), s)
    lengths |= dict.fromkeys(("labelled", "dense_predicted", "pruned_predicted"), c)
    for key, length in lengths.items():
        if len(getattr(pair, key)) != length:
            _wrong(f"{path}.{key}", f"a list of {length}", value[key])
        if float(getattr(pair, key).sum(dtype=float)) > _SAMPLES:
            _wrong(f"{path}.{key}", f"counts of {_SAMPLES:,} samples at most", max(value[key]))
    if len(pair.moves) and pair.moves[:, :3].max() >= c:
        _wrong(f"{path}.moves", f"classes 0 to {c - 1}", int(pair.moves[:, :3].max()))
    _check_clusters(path, pair.clusters, s)
    _check_scores(path, pair)
    measures: tuple[Measure, ...] = _MEASURES.read(f"{path}.measures", value.get("measures"))
    for i, measure in enumerate(measures):
        _check_unit(f"{path}.measures[{i}]", measure)
        for key in ("by_stratum", "low", "high"):
            if len(getattr(measure, key)) not in (0, s):
                _wrong(f"{path}.measures[{i}].{key}", f"a list of {s}", list(getattr(measure, key)))
        if max(measure.absent, default=-1) >= s:
            _wrong(f"{path}.measures[{i}].absent", f"positions below {s}", max(measure.absent))
    return View(pair=pair, measures=measures)


def _check_unit(path: str, measure: Measure) -> None:
    """That a measure of labels holds text, one of counts whole numbers, and any other numbers."""
    expected, types = {"label": ("text", (str,)), "count": ("whole numbers", (int,))}.get(
        measure.unit, ("numbers", (int, float))
    )
    for key in ("overall", "by_stratum"):
        found = getattr(measure, key)
        for value in found if key == "by_stratum" else [found]:
            if value is not None and not _is(value, *types):
                _wrong(f"{path}.{key}", f"{expected}, as {measure.name} is of the unit {measure.unit}", value)


def _check_clusters(path: str, clusters: Clusters | None, strata: int) -> None:
    for key in ("own", "cross", "number", "within") if clusters is not None else ():
        if len(getattr(clusters, key)) != strata:
            _wrong(f"{path}.clusters.{key}", f"a list of {strata}", getattr(clusters, key).tolist())


def _check_scores(path: str, pair: Pair) -> None:
    s = len(pair.strata)
    if (top := pair.top) is not None:
        for key in ("both", "lost", "gained", "neither"):
            if len(getattr(top, key)) != s:
                _wrong(f"{path}.top.{key}", f"a list of {s}", getattr(top, key).tolist())
        _check_clusters(f"{path}.top", top.clusters, s)
    if (ties := pair.ties) is not None:
        for key in ("dense", "pruned", "both", "lost", "gained", "neither"):
            if len(getattr(ties, key)) != s:
                _wrong(f"{path}.ties.{key}", f"a list of {s}", getattr(ties, key).tolist())
    if (calibration := pair.calibration) is not None:
        if len(calibration.covariance) != s + 1:
            _wrong(f"{path}.calibration.covariance", f"a list of {s + 1}", calibration.covariance.tolist())
        for name, bins in (("dense", calibration.dense), ("pruned", calibration.pruned)):
            lengths = dict.fromkeys(("samples", "right", "confidence", "brier", "variance"), int(bins.number.sum()))
            for key, length in {"number": s + 1, **lengths}.items():
                if len(getattr(bins, key)) != length:
                    _wrong(f"{path}.calibration.{name}.{key}", f"a list of {length}", getattr(bins, key).tolist())
            if not bins.samples.all():
                _wrong(f"{path}.calibration.{name}.samples", "counts above 0", 0)


def _check_samples(audit: Audit) -> None:
    """That every sample kept is of a stratum that there is, and that all of them are there."""
    if (samples := audit.samples) is None:
        return
    for name, right in samples.right.items():
        if len(right) != audit.provenance.samples:
            _wrong(f"samples.right.{name}", f"{audit.provenance.samples} flags", right.tolist())
    for card in (card for comparison in audit.comparisons for card in (comparison.dense, comparison.pruned)):
        if card.name not in samples.right:
            _wrong(f"samples.right.{card.name}", "the flags of a model that was compared", None)
    for view in (view for comparison in audit.comparisons for view in comparison.views):
        at = samples.strata.get(view.by)
        if at is None or int(at.max(initial=-1)) >= len(view.strata):
            _wrong(f"samples.strata.{view.by}", f"positions below {len(view.strata)}", None if at is None else at.max())


def _read_resize(path: str, value: Any) -> Any:
    return (_HEIGHT_WIDTH if isinstance(value, list) else _INTEGER).read(path, value)


def _read_date(path: str, value: Any) -> date:
    try:
        return date.fromisoformat(_TEXT.read(path, value))
    except ValueError:
        _wrong(path, "a date, YYYY-MM-DD", value)


def _write_samples(samples: Samples) -> dict[str, Any]:
    return {
        "number": len(next(iter(samples.right.values()), ())),
        "strata": {by: packed.positions(values) for by, values in samples.strata.items()},
        "cluster": None if samples.cluster is None else packed.positions(samples.cluster),
        "right": {name: packed.flags(values) for name, values in samples.right.items()},
    }


def _read_samples(path: str, value: Any) -> Samples:
    found = _mapping(_ANY).read(path, value)
    number = _COUNT.read(f"{path}.number", found.get("number"))

    def unpacked(read: Callable[[str, int], Any]) -> _Codec:
        def column(path: str, text: Any) -> Any:
            try:
                return read(_TEXT.read(path, text), number)
            except ValueError as error:
                _wrong(path, str(error).partition(",")[0], text)

        return _Codec(write=lambda values: values, read=column)

    return Samples(
        strata=_mapping(unpacked(packed.read_positions)).read(f"{path}.strata", found.get("strata")),
        right=_mapping(unpacked(packed.read_flags)).read(f"{path}.right", found.get("right")),
        cluster=_maybe(unpacked(packed.read_positions)).read(f"{path}.cluster", found.get("cluster")),
    )


_COUNTS = _Codec(write=lambda counts: counts.tolist(), read=_read_counts)
_FLOATS = _Codec(
    write=lambda values: values.tolist(), read=lambda path, value: np.array(_many(_NUMBER).read(path, value), float)
)
_SQUARE = _many(_many(_COUNT, 3), 3)
_SQUARES = _Codec(
    write=lambda sums: sums.tolist(),
    read=lambda path, value: np.array(_many(_SQUARE).read(path, value), np.int64).reshape(-1, 3, 3),
)
_HEIGHT_WIDTH = _many(_INTEGER, 2)
_RESIZE = _Codec(write=lambda v: list(v) if isinstance(v, tuple) else v, read=_read_resize)
_SKIPPED = _Codec(write=list, read=lambda path, value: _many(_TEXT, 2).read(path, value))

# ------------------------------------------------------------------------------------------- the nouns, key by key

_CLUSTERS = _record(
    Clusters,
    {
        "column": _TEXT,
        "own": _SQUARES,
        "cross": _SQUARES,
        "whole": _Codec(
            write=lambda sums: sums.tolist(), read=lambda path, value: np.array(_SQUARE.read(path, value), np.int64)
        ),
        "number": _COUNTS,
        "within": _COUNTS,
        "total": _COUNT,
    },
)
_BINS = _record(
    Bins,
    {
        "number": _COUNTS,
        "samples": _COUNTS,
        "right": _COUNTS,
        "confidence": _COUNTS,
        "brier": _COUNTS,
        "variance": _COUNTS,
    },
)
_CALIBRATION = _record(Calibration, {"dense": _BINS, "pruned": _BINS, "covariance": _FLOATS})
_TOP = _record(
    TopK,
    {
        "k": _COUNT,
        "both": _COUNTS,
        "lost": _COUNTS,
        "gained": _COUNTS,
        "neither": _COUNTS,
        "clusters": _maybe(_CLUSTERS),
    },
)
_TIES = _record(
    Ties,
    {
        "dense": _COUNTS,
        "pruned": _COUNTS,
        "both": _FLOATS,
        "lost": _FLOATS,
        "gained": _FLOATS,
        "neither": _FLOATS,
    },
)
_PAIR = _record(
    Pair,
    {
        "by": _TEXT,
        "same_model": _FLAG,
        "strata": _many(_TEXT),
        "both": _COUNTS,
        "lost": _COUNTS,
        "gained": _COUNTS,
        "neither": _COUNTS,
        "classes": _many(_TEXT),
        "labelled": _COUNTS,
        "dense_predicted": _COUNTS,
        "pruned_predicted": _COUNTS,
        "moves": _Codec(_write_moves, _read_moves),
        "clusters": _maybe(_CLUSTERS),
        "calibration": _maybe(_CALIBRATION),
        "top": _maybe(_TOP),
        "ties": _maybe(_TIES),
    },
    grows=True,
)
_MEASURES = _many(
    _record(
        Measure,
        {
            "name": _TEXT,
            "title": _TEXT,
            "unit": _one_of(Unit),
            "overall": _VALUE,
            "overall_low": _maybe(_NUMBER),
            "overall_high": _maybe(_NUMBER),
            "overall_absent": _maybe(_TEXT),
            "by_stratum": _many(_VALUE),
            "low": _many(_maybe(_NUMBER)),
            "high": _many(_maybe(_NUMBER)),
            "absent": _Codec(_write_absent, _read_absent),
        },
    )
)
_LAYER = _record(
    Layer,
    {
        "name": _TEXT,
        "kind": _TEXT,
        "shape": _many(_COUNT),
        "nonzero": _COUNT,
        "total": _COUNT,
        "rounded": _COUNT,
    },
    later=("rounded",),
)
_CARD = _with(
    _record(
        ModelCard,
        {
            "name": _TEXT,
            "path": _TEXT,
            "format": _TEXT,
            "digest": _TEXT,
            "size": _COUNT,
            "factory": _maybe(_TEXT),
            "parameters": _maybe(_COUNT),
            "compressed": _maybe(_COUNT),
            "macs": _maybe(_COUNT),
            "layers": _many(_LAYER),
            "uncounted": _many(_TEXT),
        },
        later=("uncounted",),
    ),
    {"density": lambda card: card.density},
)
_CHECK = _record(
    Check,
    {
        "rule": _TEXT,
        "subject": _TEXT,
        "outcome": _one_of(Outcome),
        "level": _one_of(Level),
        "observed": _VALUE,
        "limit": _VALUE,
        "message": _TEXT,
    },
)
_FLIP = _record(
    Flip,
    {"id": _TEXT, "label": _TEXT, "dense": _TEXT, "pruned": _TEXT, "thumbnail": _maybe(_TEXT)},
    grows=True,
)
_COMPARISON = _record(
    Comparison,
    {
        "dense": _CARD,
        "pruned": _CARD,
        "checks": _many(_CHECK),
        "views": _many(_Codec(_write_view, _read_view)),
        "flipped": _COUNT,
        "flips": _many(_FLIP),
        "doubts": _many(_TEXT),
    },
    later=("doubts",),
)
_PREPROCESS = _record(
    Preprocess,
    {
        "name": _maybe(_TEXT),
        "size": _maybe(_HEIGHT_WIDTH),
        "resize": _maybe(_RESIZE),
        "crop": _maybe(_HEIGHT_WIDTH),
        "mean": _maybe(_many(_NUMBER)),
        "std": _maybe(_many(_NUMBER)),
        "channels": _maybe(_one_of(Channels)),
        "interpolation": _maybe(_one_of(Interpolation)),
    },
)
_SETTINGS = _record(
    Settings,
    {
        "confidence": _NUMBER,
        "correction": _one_of(Correction),
        "margin": _NUMBER,
        "assure": _NUMBER,
        "retention_margin": _NUMBER,
        "top_k": _INTEGER,
        "by": _many(_TEXT),
        "cluster": _maybe(_TEXT),
        "weights": _maybe(_mapping(_NUMBER)),
        "reference": _one_of(Reference),
        "seed": _INTEGER,
        "limit": _maybe(_INTEGER),
        "batch_size": _maybe(_INTEGER),
        "workers": _maybe(_INTEGER),
        "threads": _maybe(_INTEGER),
        "device": _TEXT,
        "skip_bad": _INTEGER,
        "allow_pickle": _FLAG,
        "drop_class": _many(_TEXT),
        "runtime": _one_of(Runtime),
        "scores": _many(_TEXT),
        "model_output": _many(_TEXT),
        "state_key": _many(_TEXT),
        "expect_accuracy": _maybe(_NUMBER),
        "expect_tolerance": _NUMBER,
        "plausibility": _FLAG,
    },
    grows=True,
)
_PROVENANCE = _record(
    Provenance,
    {
        "data": _TEXT,
        "data_digest": _TEXT,
        "samples": _COUNT,
        "available": _COUNT,
        "limited": _FLAG,
        "skipped": _many(_SKIPPED),
        "preprocess": _maybe(_PREPROCESS),
        "settings": _SETTINGS,
        "versions": _mapping(_TEXT),
        "notes": _many(_TEXT),
        "assumptions": _many(_record(Assumption, dict.fromkeys(("subject", "what", "value", "why", "option"), _TEXT))),
        "run": _mapping(_VALUE),
    },
    later=("assumptions",),
)
_DATE = _Codec(write=lambda day: day.isoformat(), read=_read_date)
_POLICY = _record(
    Policy,
    {
        "name": _TEXT,
        "path": _maybe(_TEXT),
        "inconclusive": _one_of(Literal["allow", "forbid"]),
        "settings": _mapping(_VALUE),
        "rules": _mapping(_record(RuleSetting, {"level": _one_of(Level), "limit": _maybe(_NUMBER)})),
        "waivers": _many(
            _record(
                Waiver,
                {
                    "rule": _TEXT,
                    "stratum": _TEXT,
                    "variant": _TEXT,
                    "reason": _TEXT,
                    "expires": _DATE,
                    "origin": _TEXT,
                },
            )
        ),
        "origins": _mapping(_TEXT),
    },
    later=("path", "settings", "waivers", "origins"),
)
_AUDIT = _record(
    Audit,
    {
        "provenance": _PROVENANCE,
        "policy": _maybe(_POLICY),
        "baseline": _maybe(_TEXT),
        "comparisons": _many(_COMPARISON),
        "samples": _maybe(_Codec(_write_samples, _read_samples)),
    },
    later=("baseline", "samples"),
)
