"""The JSON document of an `Audit`, written and read back equal.

Each noun is listed here once, key by key, and that list serves both directions: nothing can be written that is not
read, and renaming a field of a dataclass cannot change a format that other programs read. The format is described by
``audit-1.schema.json`` beside this file. Columns are arrays with one entry per stratum, which keeps 1,000 classes
small. Keys may be added within a version, so a reader skips those that it does not know; ``outcome`` and ``density``
are written for other readers and computed anew when read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np

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
from prune_audit.core.scores import Bins, Calibration, Ties, TopK
from prune_audit.document.codec import (
    ANY,
    BROKEN,
    COUNT,
    FLAG,
    INTEGER,
    NUMBER,
    TEXT,
    VALUE,
    Codec,
    extended,
    is_of,
    many,
    mapping,
    maybe,
    one_of,
    record,
    wrong,
)
from prune_audit.errors import InputError
from prune_audit.files import packed, parse

SCHEMA = "prune-audit/1"
SCHEMA_FILE = Path(__file__).parents[1] / "audit-1.schema.json"

_SAMPLES = 2**53  # far more than anybody has, and few enough that no sum of counts runs over


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
        wrong("comparisons", "one at least", [])
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
        raise InputError(f"{path}: expected a JSON document, found {error}", hint=BROKEN) from error
    try:
        return from_document(document)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", hint=error.hint) from error


def _read_counts(path: str, value: Any) -> Counts:
    return np.array(many(COUNT).read(path, value), np.int64)


_MOVE = ("label", "dense", "pruned", "count")  # the columns of Pair.moves


def _write_moves(moves: Counts) -> dict[str, list[int]]:
    return dict(zip(_MOVE, moves.T.tolist(), strict=True))


def _read_moves(path: str, value: Any) -> Counts:
    columns = mapping(_COUNTS).read(path, value)
    if not columns.keys() >= set(_MOVE) or len({len(columns[name]) for name in _MOVE}) != 1:
        wrong(path, f"lists {', '.join(_MOVE)} of one length", value)
    return np.stack([columns[name] for name in _MOVE], axis=1)  # (K, 4)


def _write_absent(absent: Mapping[int, str]) -> dict[str, list[int]]:
    """Reason -> positions, since a thousand classes share a few reasons."""
    positions: dict[str, list[int]] = {}
    for position, reason in sorted(absent.items()):
        positions.setdefault(reason, []).append(position)
    return positions


def _read_absent(path: str, value: Any) -> dict[int, str]:
    positions = mapping(many(COUNT)).read(path, value)
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
            wrong(f"{path}.{key}", f"a list of {length}", value[key])
        if float(getattr(pair, key).sum(dtype=float)) > _SAMPLES:
            wrong(f"{path}.{key}", f"counts of {_SAMPLES:,} samples at most", max(value[key]))
    if len(pair.moves) and pair.moves[:, :3].max() >= c:
        wrong(f"{path}.moves", f"classes 0 to {c - 1}", int(pair.moves[:, :3].max()))
    _check_clusters(path, pair.clusters, s)
    _check_scores(path, pair)
    measures: tuple[Measure, ...] = _MEASURES.read(f"{path}.measures", value.get("measures"))
    for i, measure in enumerate(measures):
        _check_unit(f"{path}.measures[{i}]", measure)
        for key in ("by_stratum", "low", "high"):
            if len(getattr(measure, key)) not in (0, s):
                wrong(f"{path}.measures[{i}].{key}", f"a list of {s}", list(getattr(measure, key)))
        if max(measure.absent, default=-1) >= s:
            wrong(f"{path}.measures[{i}].absent", f"positions below {s}", max(measure.absent))
    return View(pair=pair, measures=measures)


def _check_unit(path: str, measure: Measure) -> None:
    """That a measure of labels holds text, one of counts whole numbers, and any other numbers."""
    expected, types = {"label": ("text", (str,)), "count": ("whole numbers", (int,))}.get(
        measure.unit, ("numbers", (int, float))
    )
    for key in ("overall", "by_stratum"):
        found = getattr(measure, key)
        for value in found if key == "by_stratum" else [found]:
            if value is not None and not is_of(value, *types):
                wrong(f"{path}.{key}", f"{expected}, as {measure.name} is of the unit {measure.unit}", value)


def _check_clusters(path: str, clusters: Clusters | None, strata: int) -> None:
    for key in ("own", "cross", "number", "within") if clusters is not None else ():
        if len(getattr(clusters, key)) != strata:
            wrong(f"{path}.clusters.{key}", f"a list of {strata}", getattr(clusters, key).tolist())


def _check_scores(path: str, pair: Pair) -> None:
    s = len(pair.strata)
    if (top := pair.top) is not None:
        for key in ("both", "lost", "gained", "neither"):
            if len(getattr(top, key)) != s:
                wrong(f"{path}.top.{key}", f"a list of {s}", getattr(top, key).tolist())
        _check_clusters(f"{path}.top", top.clusters, s)
    if (ties := pair.ties) is not None:
        for key in ("dense", "pruned", "both", "lost", "gained", "neither"):
            if len(getattr(ties, key)) != s:
                wrong(f"{path}.ties.{key}", f"a list of {s}", getattr(ties, key).tolist())
    if (calibration := pair.calibration) is not None:
        if len(calibration.covariance) != s + 1:
            wrong(f"{path}.calibration.covariance", f"a list of {s + 1}", calibration.covariance.tolist())
        for name, bins in (("dense", calibration.dense), ("pruned", calibration.pruned)):
            lengths = dict.fromkeys(("samples", "right", "confidence", "brier", "variance"), int(bins.number.sum()))
            for key, length in {"number": s + 1, **lengths}.items():
                if len(getattr(bins, key)) != length:
                    wrong(f"{path}.calibration.{name}.{key}", f"a list of {length}", getattr(bins, key).tolist())
            if not bins.samples.all():
                wrong(f"{path}.calibration.{name}.samples", "counts above 0", 0)


def _check_samples(audit: Audit) -> None:
    """That every sample kept is of a stratum that there is, and that all of them are there."""
    if (samples := audit.samples) is None:
        return
    for name, right in samples.right.items():
        if len(right) != audit.provenance.samples:
            wrong(f"samples.right.{name}", f"{audit.provenance.samples} flags", right.tolist())
    for card in (card for comparison in audit.comparisons for card in (comparison.dense, comparison.pruned)):
        if card.name not in samples.right:
            wrong(f"samples.right.{card.name}", "the flags of a model that was compared", None)
    for view in (view for comparison in audit.comparisons for view in comparison.views):
        at = samples.strata.get(view.by)
        if at is None or int(at.max(initial=-1)) >= len(view.strata):
            wrong(f"samples.strata.{view.by}", f"positions below {len(view.strata)}", None if at is None else at.max())


def _read_resize(path: str, value: Any) -> Any:
    return (_HEIGHT_WIDTH if isinstance(value, list) else INTEGER).read(path, value)


def _read_date(path: str, value: Any) -> date:
    try:
        return date.fromisoformat(TEXT.read(path, value))
    except ValueError:
        wrong(path, "a date, YYYY-MM-DD", value)


def _write_samples(samples: Samples) -> dict[str, Any]:
    return {
        "number": len(next(iter(samples.right.values()), ())),
        "strata": {by: packed.positions(values) for by, values in samples.strata.items()},
        "cluster": None if samples.cluster is None else packed.positions(samples.cluster),
        "right": {name: packed.flags(values) for name, values in samples.right.items()},
    }


def _read_samples(path: str, value: Any) -> Samples:
    found = mapping(ANY).read(path, value)
    number = COUNT.read(f"{path}.number", found.get("number"))

    def unpacked(read: Callable[[str, int], Any]) -> Codec:
        def column(path: str, text: Any) -> Any:
            try:
                return read(TEXT.read(path, text), number)
            except ValueError as error:
                wrong(path, str(error).partition(",")[0], text)

        return Codec(write=lambda values: values, read=column)

    return Samples(
        strata=mapping(unpacked(packed.read_positions)).read(f"{path}.strata", found.get("strata")),
        right=mapping(unpacked(packed.read_flags)).read(f"{path}.right", found.get("right")),
        cluster=maybe(unpacked(packed.read_positions)).read(f"{path}.cluster", found.get("cluster")),
    )


_COUNTS = Codec(write=lambda counts: counts.tolist(), read=_read_counts)
_FLOATS = Codec(
    write=lambda values: values.tolist(), read=lambda path, value: np.array(many(NUMBER).read(path, value), float)
)
_SQUARE = many(many(COUNT, 3), 3)
_SQUARES = Codec(
    write=lambda sums: sums.tolist(),
    read=lambda path, value: np.array(many(_SQUARE).read(path, value), np.int64).reshape(-1, 3, 3),
)
_HEIGHT_WIDTH = many(INTEGER, 2)
_RESIZE = Codec(write=lambda v: list(v) if isinstance(v, tuple) else v, read=_read_resize)
_SKIPPED = Codec(write=list, read=lambda path, value: many(TEXT, 2).read(path, value))

_CLUSTERS = record(
    Clusters,
    {
        "column": TEXT,
        "own": _SQUARES,
        "cross": _SQUARES,
        "whole": Codec(
            write=lambda sums: sums.tolist(), read=lambda path, value: np.array(_SQUARE.read(path, value), np.int64)
        ),
        "number": _COUNTS,
        "within": _COUNTS,
        "total": COUNT,
    },
)
_BINS = record(
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
_CALIBRATION = record(Calibration, {"dense": _BINS, "pruned": _BINS, "covariance": _FLOATS})
_TOP = record(
    TopK,
    {
        "k": COUNT,
        "both": _COUNTS,
        "lost": _COUNTS,
        "gained": _COUNTS,
        "neither": _COUNTS,
        "clusters": maybe(_CLUSTERS),
    },
)
_TIES = record(
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
_PAIR = record(
    Pair,
    {
        "by": TEXT,
        "same_model": FLAG,
        "strata": many(TEXT),
        "both": _COUNTS,
        "lost": _COUNTS,
        "gained": _COUNTS,
        "neither": _COUNTS,
        "classes": many(TEXT),
        "labelled": _COUNTS,
        "dense_predicted": _COUNTS,
        "pruned_predicted": _COUNTS,
        "moves": Codec(_write_moves, _read_moves),
        "clusters": maybe(_CLUSTERS),
        "calibration": maybe(_CALIBRATION),
        "top": maybe(_TOP),
        "ties": maybe(_TIES),
    },
    grows=True,
)
_MEASURES = many(
    record(
        Measure,
        {
            "name": TEXT,
            "title": TEXT,
            "unit": one_of(Unit),
            "overall": VALUE,
            "overall_low": maybe(NUMBER),
            "overall_high": maybe(NUMBER),
            "overall_absent": maybe(TEXT),
            "by_stratum": many(VALUE),
            "low": many(maybe(NUMBER)),
            "high": many(maybe(NUMBER)),
            "absent": Codec(_write_absent, _read_absent),
        },
    )
)
_LAYER = record(
    Layer,
    {
        "name": TEXT,
        "kind": TEXT,
        "shape": many(COUNT),
        "nonzero": COUNT,
        "total": COUNT,
        "rounded": COUNT,
    },
    later=("rounded",),
)
_CARD = extended(
    record(
        ModelCard,
        {
            "name": TEXT,
            "path": TEXT,
            "format": TEXT,
            "digest": TEXT,
            "size": COUNT,
            "factory": maybe(TEXT),
            "parameters": maybe(COUNT),
            "compressed": maybe(COUNT),
            "macs": maybe(COUNT),
            "layers": many(_LAYER),
            "uncounted": many(TEXT),
        },
        later=("uncounted",),
    ),
    {"density": lambda card: card.density},
)
_CHECK = record(
    Check,
    {
        "rule": TEXT,
        "subject": TEXT,
        "outcome": one_of(Outcome),
        "level": one_of(Level),
        "observed": VALUE,
        "limit": VALUE,
        "message": TEXT,
    },
)
_FLIP = record(
    Flip,
    {"id": TEXT, "label": TEXT, "dense": TEXT, "pruned": TEXT, "thumbnail": maybe(TEXT)},
    grows=True,
)
_COMPARISON = record(
    Comparison,
    {
        "dense": _CARD,
        "pruned": _CARD,
        "checks": many(_CHECK),
        "views": many(Codec(_write_view, _read_view)),
        "flipped": COUNT,
        "flips": many(_FLIP),
        "doubts": many(TEXT),
    },
    later=("doubts",),
)
_PREPROCESS = record(
    Preprocess,
    {
        "name": maybe(TEXT),
        "size": maybe(_HEIGHT_WIDTH),
        "resize": maybe(_RESIZE),
        "crop": maybe(_HEIGHT_WIDTH),
        "mean": maybe(many(NUMBER)),
        "std": maybe(many(NUMBER)),
        "channels": maybe(one_of(Channels)),
        "interpolation": maybe(one_of(Interpolation)),
    },
)
_SETTINGS = record(
    Settings,
    {
        "confidence": NUMBER,
        "correction": one_of(Correction),
        "margin": NUMBER,
        "assure": NUMBER,
        "retention_margin": NUMBER,
        "top_k": INTEGER,
        "by": many(TEXT),
        "cluster": maybe(TEXT),
        "weights": maybe(mapping(NUMBER)),
        "reference": one_of(Reference),
        "seed": INTEGER,
        "limit": maybe(INTEGER),
        "batch_size": maybe(INTEGER),
        "workers": maybe(INTEGER),
        "threads": maybe(INTEGER),
        "device": TEXT,
        "skip_bad": INTEGER,
        "allow_pickle": FLAG,
        "drop_class": many(TEXT),
        "runtime": one_of(Runtime),
        "scores": many(TEXT),
        "model_output": many(TEXT),
        "state_key": many(TEXT),
        "expect_accuracy": maybe(NUMBER),
        "expect_tolerance": NUMBER,
        "plausibility": FLAG,
    },
    grows=True,
)
_PROVENANCE = record(
    Provenance,
    {
        "data": TEXT,
        "data_digest": TEXT,
        "samples": COUNT,
        "available": COUNT,
        "limited": FLAG,
        "skipped": many(_SKIPPED),
        "preprocess": maybe(_PREPROCESS),
        "settings": _SETTINGS,
        "versions": mapping(TEXT),
        "notes": many(TEXT),
        "assumptions": many(record(Assumption, dict.fromkeys(("subject", "what", "value", "why", "option"), TEXT))),
        "run": mapping(VALUE),
    },
    later=("assumptions",),
)
_DATE = Codec(write=lambda day: day.isoformat(), read=_read_date)
_POLICY = record(
    Policy,
    {
        "name": TEXT,
        "path": maybe(TEXT),
        "inconclusive": one_of(Literal["allow", "forbid"]),
        "settings": mapping(VALUE),
        "rules": mapping(record(RuleSetting, {"level": one_of(Level), "limit": maybe(NUMBER)})),
        "waivers": many(
            record(
                Waiver,
                {
                    "rule": TEXT,
                    "stratum": TEXT,
                    "variant": TEXT,
                    "reason": TEXT,
                    "expires": _DATE,
                    "origin": TEXT,
                },
            )
        ),
        "origins": mapping(TEXT),
    },
    later=("path", "settings", "waivers", "origins"),
)
_AUDIT = record(
    Audit,
    {
        "provenance": _PROVENANCE,
        "policy": maybe(_POLICY),
        "baseline": maybe(TEXT),
        "comparisons": many(_COMPARISON),
        "samples": maybe(Codec(_write_samples, _read_samples)),
    },
    later=("baseline", "samples"),
)
