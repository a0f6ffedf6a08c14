"""The JSON document of an `Audit`, written and read back equal.

Each noun is listed here once, key by key, and that list serves both directions: nothing can be written that is not
read, and renaming a field of a dataclass cannot change a format that other programs read. The same list makes the JSON
Schema of the format: `python -m prune_audit.document` writes ``audit-1.schema.json`` anew. Columns are arrays with one
entry per stratum, which keeps 1,000 classes small. Keys may be added within a version, so a reader skips those that it
does not know; ``outcome`` and ``density`` are written for other readers and computed anew when read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
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
    Counted,
    Counts,
    Drawing,
    Drawn,
    Field,
    Flip,
    Interpolation,
    Layer,
    Level,
    Look,
    Measure,
    ModelCard,
    OperatingPoint,
    Outcome,
    Overlap,
    Pair,
    Policy,
    Preprocess,
    Provenance,
    Reference,
    RuleSetting,
    Runtime,
    Samples,
    Scheme,
    Settings,
    Table,
    Task,
    Unit,
    View,
    Waiver,
)
from prune_audit.core.requests import UNLESS_DEFAULT
from prune_audit.core.scores import Bins, Calibration, FalseCounts, Ties, TopK
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
    Definitions,
    Node,
    extended,
    is_of,
    keyed,
    many,
    mapping,
    maybe,
    named,
    node,
    one_of,
    record,
    said,
    with_keys,
    wrong,
)
from prune_audit.errors import InputError, UsageError
from prune_audit.files import elsewhere, packed, parse, regular

SCHEMA = "prune-audit/1"
SCHEMA_FILE = Path(__file__).parents[1] / "audit-1.schema.json"

_SAMPLES = 2**53  # far more than anybody has, and few enough that no sum of counts runs over


def to_document(audit: Audit) -> dict[str, Any]:
    """``audit`` as a dict of JSON types alone."""
    return {"schema": SCHEMA, "outcome": audit.outcome, **_AUDIT.write(audit)}


def schema() -> dict[str, Any]:
    """The JSON Schema of what `to_document` gives, which ``audit-1.schema.json`` holds."""
    definitions: Definitions = {}
    found = keyed(_FIELDS, definitions, _LATER)
    found["properties"]["comparisons"]["minItems"] = 1
    outcome = said(
        "The verdict of the gate; skipped where no gate was asked for or the data were a sample.", one_of(Outcome)
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An audit by prune-audit",
        "description": "Dense against pruned, paired per class. Shares are shares, not percent; change is pruned minus "
        "dense; null is absent, with a reason beside it. Keys may be added within a version; none is removed, renamed "
        "or given another meaning.",
        "type": "object",
        "required": ["schema", "outcome", *found["required"]],
        "properties": {"schema": {"const": SCHEMA}, "outcome": outcome.schema(definitions), **found["properties"]},
        "$defs": definitions,
    }


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
    _check_views(audit)
    _check_samples(audit)
    return audit


def read_audit(path: str | Path) -> Audit:
    """The audit in the JSON file at ``path``.

    Raises:
        InputError: the file is missing, is not JSON, is of another version, or is broken, and where.
    """
    path = Path(path)
    try:
        document = parse.json(regular.text(path, pipe=True))
    except OSError as error:
        hint = f"{elsewhere.meant(path)}give an audit that `prune-audit compare ... -o audit.json` wrote"
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
    apart = {"apart": _APART.write(view.apart)} if view.apart else {}
    return {**_PAIR.write(view.pair), "measures": _MEASURES.write(view.measures), **apart}


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
    if pair.drawn_from is not None and len(pair.drawn_from) != s:
        wrong(f"{path}.drawn_from", f"a list of {s}", pair.drawn_from.tolist())
    if pair.drawn_from is not None and (pair.drawn_from < pair.support).any():
        wrong(f"{path}.drawn_from", "no fewer samples than were run", pair.drawn_from.tolist())
    if len(pair.moves) and pair.moves[:, :3].max() >= len(pair.answers):
        wrong(f"{path}.moves", f"classes 0 to {len(pair.answers) - 1}", int(pair.moves[:, :3].max()))
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
    try:
        return View(pair=pair, measures=measures, apart=_APART.read(f"{path}.apart", value.get("apart", [])))
    except UsageError as error:
        raise InputError(f"{path}.apart: {error.message}", hint=BROKEN) from error


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
    for key in ("own", "cross", "number", "within", "flipped") if clusters is not None else ():
        found = getattr(clusters, key)
        if found is not None and len(found) != strata:
            wrong(f"{path}.clusters.{key}", f"a list of {strata}", found.tolist())


def _check_scores(path: str, pair: Pair) -> None:
    s = len(pair.strata)
    if (top := pair.top) is not None:
        for key in ("both", "lost", "gained", "neither"):
            if len(getattr(top, key)) != s:
                wrong(f"{path}.top.{key}", f"a list of {s}", getattr(top, key).tolist())
        _check_clusters(f"{path}.top", top.clusters, s)
    if (negatives := pair.negatives) is not None:
        for key in ("both", "lost", "gained", "neither"):
            if len(getattr(negatives, key)) != s:
                wrong(f"{path}.negatives.{key}", f"a list of {s}", getattr(negatives, key).tolist())
        _check_clusters(f"{path}.negatives", negatives.clusters, s)
    if (false := pair.false) is not None:
        for key, length in {"sums": s + 1, "products": s + 1, "number": s + 1, "average_precision": s}.items():
            if (found := getattr(false, key)) is not None and len(found) != length:
                wrong(f"{path}.false.{key}", f"a list of {length}", found.tolist())
    if pair.chosen is not None and (len(pair.chosen) != s + 1 or (pair.chosen < 0).any()):
        wrong(f"{path}.chosen", f"a list of {s + 1} numbers of 0 or more", pair.chosen.tolist())
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


def _check_views(audit: Audit) -> None:
    """That every comparison is by class first, and by the same strata as the others."""
    first = audit.comparisons[0].views
    if not first or first[0].by != "class":
        wrong("comparisons[0].views", "the view by class first", [view.by for view in first])
    if len({view.by for view in first}) < len(first):
        wrong("comparisons[0].views", "one view of each kind", [view.by for view in first])
    for at, comparison in enumerate(audit.comparisons[1:], 1):
        if [(view.by, view.strata) for view in comparison.views] != [(view.by, view.strata) for view in first]:
            wrong(f"comparisons[{at}].views", "the strata of the first comparison", [v.by for v in comparison.views])


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


def _schema_of_view(definitions: Definitions) -> Node:
    view = with_keys(_PAIR.schema(definitions), {"measures": _MEASURES.schema(definitions)})
    return {**view, "properties": {**view["properties"], "apart": _APART.schema(definitions)}}


def _schema_of_samples(definitions: Definitions) -> Node:
    of_strata = "By -> the position of each sample's stratum: unsigned, little-endian, of 1, 2, 4 or 8 bytes."
    of_clusters = "What each sample belongs to, likewise; null where samples are independent."
    fields = {
        "number": COUNT,
        "strata": said(of_strata, mapping(TEXT)),
        "cluster": said(of_clusters, maybe(TEXT)),
        "right": said("Model -> a bit for each sample, the first one the highest of its byte.", mapping(TEXT)),
        "seen": said(
            "63 bits of a BLAKE2b hash of each sample's id, of 8 bytes, where further samples may be added; else null.",
            maybe(TEXT),
        ),
    }
    what = "Columns over all samples, in the order that the data digest covers, as base64 of zlib."
    return {"description": what, **keyed(fields, definitions, ("seen",))}


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
        "seen": None if samples.seen is None else packed.positions(samples.seen),
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

        return Codec(write=lambda values: values, read=column, schema=TEXT.schema)

    return Samples(
        strata=mapping(unpacked(packed.read_positions)).read(f"{path}.strata", found.get("strata")),
        right=mapping(unpacked(packed.read_flags)).read(f"{path}.right", found.get("right")),
        cluster=maybe(unpacked(packed.read_positions)).read(f"{path}.cluster", found.get("cluster")),
        seen=maybe(unpacked(packed.read_positions)).read(f"{path}.seen", found.get("seen")),
    )


_COUNTS = named(
    "counts",
    Codec(write=lambda counts: counts.tolist(), read=_read_counts, schema=many(COUNT).schema),
)
_FLOATS = Codec(
    write=lambda values: values.tolist(),
    read=lambda path, value: np.array(many(NUMBER).read(path, value), float),
    schema=many(NUMBER).schema,
)
_SQUARE = named("square", many(many(COUNT, 3), 3))
_WHOLE = Codec(
    write=lambda sums: sums.tolist(),
    read=lambda path, value: np.array(_SQUARE.read(path, value), np.int64),
    schema=_SQUARE.schema,
)
_SQUARES = Codec(
    write=lambda sums: sums.tolist(),
    read=lambda path, value: np.array(many(_SQUARE).read(path, value), np.int64).reshape(-1, 3, 3),
    schema=many(_SQUARE).schema,
)
_HEIGHT_WIDTH = said("height, width", many(INTEGER, 2))
_RESIZE = Codec(
    write=lambda v: list(v) if isinstance(v, tuple) else v,
    read=_read_resize,
    schema=lambda definitions: {"anyOf": [_HEIGHT_WIDTH.schema(definitions), INTEGER.schema(definitions)]},
)
_SKIPPED = Codec(write=list, read=lambda path, value: many(TEXT, 2).read(path, value), schema=many(TEXT, 2).schema)
_MOVES = Codec(
    write=_write_moves,
    read=_read_moves,
    schema=lambda definitions: keyed(dict.fromkeys(_MOVE, _COUNTS), definitions),
)
_DATE = Codec(write=lambda day: day.isoformat(), read=_read_date, schema=node(type="string", format="date"))
_WEIGHT = replace(NUMBER, schema=node(type="number", minimum=0))

_CLUSTERS = named(
    "clusters",
    record(
        Clusters,
        {
            "column": TEXT,
            "own": said("Sum of v v', per stratum.", _SQUARES),
            "cross": said("Sum of v V', per stratum.", _SQUARES),
            "whole": said("Sum of V V'.", _WHOLE),
            "number": said("Clusters with samples in the stratum.", _COUNTS),
            "within": said("Of these, clusters without samples elsewhere.", _COUNTS),
            "total": COUNT,
            "flipped": said(
                "Clusters in which a sample of the stratum flipped; null or missing where that was not counted.",
                maybe(_COUNTS),
            ),
        },
        later=("flipped",),
    ),
)
_BINS = named(
    "bins",
    said(
        "Equal-mass bins of confidence, row after row; sums in ten-thousandths.",
        record(
            Bins,
            {
                "number": said("Bins of each row.", _COUNTS),
                "samples": _COUNTS,
                "right": _COUNTS,
                "confidence": said("Sum of p.", _COUNTS),
                "brier": said("Sum of (right - p) squared.", _COUNTS),
                "variance": said("Sum of p (1 - p).", _COUNTS),
            },
        ),
    ),
)
_CALIBRATION = named(
    "calibration",
    said(
        "Confidence against being right, by what the model called the sample: a row per stratum and a last one for all "
        "samples.",
        record(
            Calibration,
            {
                "dense": _BINS,
                "pruned": _BINS,
                "covariance": said("Of the two models' debiased squared errors, per row.", _FLOATS),
            },
        ),
    ),
)
_TOP = named(
    "top",
    said(
        "The four counts where right means that the label is among the k highest scores.",
        record(
            TopK,
            {
                "k": COUNT,
                "both": _COUNTS,
                "lost": _COUNTS,
                "gained": _COUNTS,
                "neither": _COUNTS,
                "clusters": maybe(_CLUSTERS),
            },
        ),
    ),
)
_TIES = named(
    "ties",
    said(
        "Per stratum: samples of either model whose highest score several classes share, and the four counts as they "
        "would be on average if each tie were drawn.",
        record(
            Ties,
            {
                "dense": _COUNTS,
                "pruned": _COUNTS,
                "both": _FLOATS,
                "lost": _FLOATS,
                "gained": _FLOATS,
                "neither": _FLOATS,
            },
        ),
    ),
)
_COUNTED = named(
    "counted",
    record(
        Counted,
        {
            "both": _COUNTS,
            "lost": _COUNTS,
            "gained": _COUNTS,
            "neither": _COUNTS,
            "clusters": maybe(_CLUSTERS),
        },
    ),
)
_FIVES = many(many(many(COUNT, 5), 5))
_FALSE = named(
    "false",
    said(
        "Let v count a cluster's things of a class, those that the dense model finds and what it finds where there is "
        "nothing, and likewise of the pruned model. One row for each class, and one for all.",
        record(
            FalseCounts,
            {
                "sums": said(
                    "Sum of v.",
                    Codec(
                        write=lambda sums: sums.tolist(),
                        read=lambda path, value: np.array(many(many(COUNT, 5)).read(path, value), np.int64).reshape(
                            -1, 5
                        ),
                        schema=many(many(COUNT, 5)).schema,
                    ),
                ),
                "products": said(
                    "Sum of v v'.",
                    Codec(
                        write=lambda sums: sums.tolist(),
                        read=lambda path, value: np.array(_FIVES.read(path, value), np.int64).reshape(-1, 5, 5),
                        schema=_FIVES.schema,
                    ),
                ),
                "number": said("Clusters with any of these.", _COUNTS),
                "average_precision": said(
                    "Of the dense and the pruned model, per class, over all thresholds; -1 without things, null where "
                    "there is none.",
                    maybe(
                        Codec(
                            write=lambda values: values.tolist(),
                            read=lambda path, value: np.array(many(many(NUMBER, 2)).read(path, value), float).reshape(
                                -1, 2
                            ),
                            schema=many(many(NUMBER, 2)).schema,
                        )
                    ),
                ),
            },
        ),
    ),
)
_WORDS = said("For one, for many.", many(TEXT, 2))
_TASK = named(
    "task",
    record(
        Task,
        {
            "name": TEXT,
            "thing": _WORDS,
            "stratum": _WORDS,
            "source": said("What holds things, for one, for many.", _WORDS),
            "rates": said(
                "What the share of things that a model gets right is called: of a class, of another group, of all.",
                many(TEXT, 3),
            ),
            "lacks": said("What statistics may need and there is none of -> why.", mapping(TEXT)),
            "missed": said(
                "The answer that is no class, which moves call by the position behind the last class; null where every "
                "answer is one.",
                maybe(TEXT),
            ),
        },
    ),
)
_PAIR = record(
    Pair,
    {
        "by": said("class, or the group column.", TEXT),
        "same_model": FLAG,
        "strata": said(
            "The classes, or the values of the group column; every column below has one entry for each.", many(TEXT)
        ),
        "both": _COUNTS,
        "lost": said("Dense right, pruned wrong.", _COUNTS),
        "gained": _COUNTS,
        "neither": _COUNTS,
        "classes": many(TEXT),
        "labelled": said("Per class: how often it is the label.", _COUNTS),
        "dense_predicted": _COUNTS,
        "pruned_predicted": _COUNTS,
        "moves": said(
            "The samples whose prediction changed: positions in classes, and how many samples moved so.", _MOVES
        ),
        "clusters": said(
            "Null where samples are independent, else sums over clusters: v counts a cluster's samples in a stratum, "
            "those the dense and those the pruned model gets right; V the same over all strata.",
            maybe(_CLUSTERS),
        ),
        "calibration": said("Null where a model had no scores.", maybe(_CALIBRATION)),
        "top": said("Null where a model had no scores, or no more classes than k.", maybe(_TOP)),
        "ties": said("Null where no two classes were seen to share a highest score exactly.", maybe(_TIES)),
        "drawn_from": said(
            "Samples of each stratum that there were to draw from, where drawing stopped once it was settled; null "
            "where all were run.",
            maybe(_COUNTS),
        ),
        "task": said("What is counted as a sample; absent where it is one label a sample.", _TASK),
        "negatives": said(
            "The four counts of what has no label, where right means not found; absent where nobody lists that.",
            maybe(_COUNTED),
        ),
        "false": said("What was found where there is nothing; absent where every sample has an answer.", maybe(_FALSE)),
        "chosen": said(
            "The variance that the choice of thresholds adds to the change of each stratum, and of all; absent where "
            "there was no choice.",
            maybe(_FLOATS),
        ),
    },
    grows=True,
    later=("ties", "drawn_from"),
    unless_default=("task", "negatives", "false", "chosen"),
)
_MEASURES = many(
    named(
        "measure",
        record(
            Measure,
            {
                "name": TEXT,
                "title": TEXT,
                "unit": one_of(Unit),
                "overall": said("The value for the model, where there is one.", VALUE),
                "overall_low": maybe(NUMBER),
                "overall_high": said(
                    "Null beside a lower limit: there is none, and reports say at least.", maybe(NUMBER)
                ),
                "overall_absent": maybe(TEXT),
                "by_stratum": said("Empty for a measure of the model alone.", many(VALUE)),
                "low": many(maybe(NUMBER)),
                "high": many(maybe(NUMBER)),
                "absent": said(
                    "Reason -> positions of the strata without a value.",
                    Codec(_write_absent, _read_absent, mapping(_COUNTS).schema),
                ),
            },
        ),
    )
)
_APART = said(
    "Names of the measures that do not come from the counts, so that judging again keeps them; absent where all do.",
    many(TEXT),
)
_VIEW = named("view", Codec(_write_view, _read_view, _schema_of_view))
_LAYER = record(
    Layer,
    {
        "name": TEXT,
        "kind": TEXT,
        "shape": Codec(many(COUNT).write, many(COUNT).read, _COUNTS.schema),
        "nonzero": COUNT,
        "total": COUNT,
        "rounded": said("Zeros of a quantised weight that rounding explains: nobody cut them.", COUNT),
    },
    later=("rounded",),
)
_CARD = named(
    "model",
    extended(
        record(
            ModelCard,
            {
                "name": TEXT,
                "path": TEXT,
                "format": TEXT,
                "digest": said("SHA-256 of the file and its external data.", TEXT),
                "size": said("Bytes on disk.", COUNT),
                "factory": said(
                    "What named the architecture of a file of weights; null where the file carries its own.",
                    maybe(TEXT),
                ),
                "parameters": maybe(COUNT),
                "compressed": said("Bytes of the same files compressed by zstd.", maybe(COUNT)),
                "macs": said("Multiply-accumulates of one sample, zeros counted.", maybe(COUNT)),
                "layers": said(
                    "Weights of convolution, linear, attention, recurrent and embedding layers.", many(_LAYER)
                ),
                "uncounted": said(
                    "What may be weights, too, and could not be counted: names with shapes, or operators.", many(TEXT)
                ),
            },
            later=("uncounted",),
        ),
        {
            "density": (
                lambda card: card.density,
                {
                    "description": "Share of the weights of the layers that were not cut, (nonzero + rounded) / total; "
                    "null where none can be seen.",
                    "type": ["number", "null"],
                    "minimum": 0,
                    "maximum": 1,
                },
            )
        },
    ),
)
_CHECK = named(
    "check",
    record(
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
    ),
)
_FLIP = named(
    "flip",
    record(
        Flip,
        {
            "id": TEXT,
            "label": TEXT,
            "dense": TEXT,
            "pruned": TEXT,
            "thumbnail": said(
                "A small PNG or JPEG of what the models saw, in base 64; null where none was asked for.", maybe(TEXT)
            ),
            "asked": said("What was asked, in words; absent where there is nothing to show.", maybe(TEXT)),
            "right": said(
                "Which of the two is right; absent where that is the one whose answer is the label.",
                maybe(one_of(Literal["dense", "pruned"])),
            ),
        },
        grows=True,
        later=("thumbnail",),
        unless_default=("asked", "right"),
    ),
)
_DRAWN = record(
    Drawn,
    {
        "kind": one_of(Drawing),
        **dict.fromkeys(("title", "shows", "reading"), TEXT),
        "x": said("A field, as are all below; empty where there is none.", TEXT),
        **dict.fromkeys(("y", "value", "low", "high", "group"), TEXT),
        "worse": said("On which side of 0 a number of a grid is loss.", one_of(Literal["below", "above"])),
    },
    later=("worse",),
)
_LOOK = named(
    "look",
    record(
        Look,
        {
            "lens": TEXT,
            "title": said("The question that it answers.", TEXT),
            "sentences": said("The finding first.", many(TEXT)),
            "absent": said("Why the lens saw nothing; null where it did.", maybe(TEXT)),
            "tables": many(
                record(
                    Table,
                    {
                        "name": TEXT,
                        "title": TEXT,
                        "fields": many(
                            record(Field, {"name": TEXT, "title": TEXT, "unit": one_of(Unit), "meaning": TEXT})
                        ),
                        "rows": said("One value for each field each; null where there is none.", many(many(VALUE))),
                        "notes": many(TEXT),
                        "drawn": said("How the table is drawn, by its fields.", many(_DRAWN)),
                        "detail": said("Whether it is left out where there is little room.", FLAG),
                    },
                    unless_default=("detail",),
                )
            ),
        },
    ),
)
_COMPARISON = named(
    "comparison",
    record(
        Comparison,
        {
            "dense": _CARD,
            "pruned": _CARD,
            "checks": many(_CHECK),
            "views": said("One per stratification: by class first, then by group column.", many(_VIEW)),
            "flipped": said("Samples on which exactly one of the two models is right.", COUNT),
            "flips": said("Some of the flipped samples.", many(_FLIP)),
            "doubts": said("What speaks against the dense model having been run as it was trained.", many(TEXT)),
            "looks": said("What lenses saw, where any looked.", many(_LOOK)),
            "explained": said("What of it explains who lost, and what to try; where any lens looked.", many(TEXT)),
            "remedy": said("Options with which prune-audit mitigate suits what lenses saw.", many(TEXT)),
        },
        later=("doubts",),
        unless_default=("looks", "explained", "remedy"),
    ),
)
_PREPROCESS = named(
    "preprocess",
    record(
        Preprocess,
        {
            "name": maybe(TEXT),
            "size": maybe(_HEIGHT_WIDTH),
            "resize": said("The length of the shorter side, or height and width.", maybe(_RESIZE)),
            "crop": maybe(_HEIGHT_WIDTH),
            "mean": maybe(many(NUMBER)),
            "std": maybe(many(NUMBER)),
            "channels": maybe(one_of(Channels)),
            "interpolation": maybe(one_of(Interpolation)),
        },
    ),
)
_SETTINGS = named(
    "settings",
    record(
        Settings,
        {
            "confidence": NUMBER,
            "correction": one_of(Correction),
            "margin": said("The drop that fails, as a share.", NUMBER),
            "assure": said("The drop that 'fine' rules out, as a share.", NUMBER),
            "retention_margin": said("The share of what the rest kept below which a class is harmed.", NUMBER),
            "top_k": said("Highest scores among which the label is looked for.", INTEGER),
            "by": said(
                "Stratifications beside that by class: a group column each, or several crossed, with commas.",
                many(TEXT),
            ),
            "cluster": said(
                "The column of what samples belong to; null where they are taken for independent.", maybe(TEXT)
            ),
            "weights": said(
                "Class -> share in use, not normalised; null where the sample's own shares are meant.",
                maybe(mapping(_WEIGHT)),
            ),
            "reference": said("What a class is compared with.", one_of(Reference)),
            "seed": INTEGER,
            "limit": maybe(INTEGER),
            "until_settled": said("Whether drawing stopped when every class was settled.", FLAG),
            "batch_size": maybe(INTEGER),
            "workers": maybe(INTEGER),
            "threads": maybe(INTEGER),
            "device": TEXT,
            "skip_bad": INTEGER,
            "allow_pickle": FLAG,
            "drop_class": said("Outputs left out, by name or position.", many(TEXT)),
            "runtime": said("What ran torch models.", one_of(Runtime)),
            "scores": said("What outputs hold, as KIND or NAME=KIND.", many(TEXT)),
            "model_output": said("Which output is read, as OUTPUT or NAME=OUTPUT.", many(TEXT)),
            "state_key": said("Which weights of a checkpoint are used, as KEY or NAME=KEY.", many(TEXT)),
            "expect_accuracy": said("What the dense model was to have, as a share.", maybe(NUMBER)),
            "expect_tolerance": said("How far beyond the interval that may lie, as a share.", NUMBER),
            "plausibility": said("Whether other usual preprocessings were tried.", FLAG),
            "task": said("What was to be counted; absent where data or models were to tell.", maybe(TEXT)),
            "metric": said("The metric by which recorded answers are right; absent where none was named.", maybe(TEXT)),
            "class_by": said("The key that is the class of a question; absent where none was named.", maybe(TEXT)),
            "operating_point": said(
                "How the thresholds of models that find things were chosen; absent where as many false detections of "
                "every model were asked for.",
                one_of(OperatingPoint),
            ),
            "score": said("The dense model's threshold; absent where one was chosen for all alike.", maybe(NUMBER)),
            "iou": said("The overlap at which a detection finds a box; absent where it is 0.5.", NUMBER),
            "overlap": said("Whether boxes overlap or masks; absent where boxes do.", one_of(Overlap)),
            "max_detections": said("Detections that count in an image and class; absent where these are 100.", COUNT),
            "scheme": said("How tags are read as entities; absent where in any of the usual schemes.", one_of(Scheme)),
        },
        grows=True,
        unless_default=[f.name for f in fields(Settings) if f.metadata == UNLESS_DEFAULT],
        later=(
            *("scores", "model_output", "state_key", "expect_accuracy", "expect_tolerance", "plausibility"),
            "until_settled",
        ),
    ),
)
_PROVENANCE = named(
    "provenance",
    record(
        Provenance,
        {
            "data": TEXT,
            "data_digest": said("Of every sample's id, label and content.", TEXT),
            "samples": said("Samples audited.", COUNT),
            "available": said("Samples in the data set.", COUNT),
            "limited": said("Whether a sample of the data was drawn; such an audit never gates.", FLAG),
            "skipped": said("Unreadable samples: id, reason.", many(_SKIPPED)),
            "preprocess": said("Null where inputs were fed as they are.", maybe(_PREPROCESS)),
            "settings": _SETTINGS,
            "versions": mapping(TEXT),
            "notes": many(TEXT),
            "assumptions": said(
                'What the run took for granted of the data (subject "") and of each model, why, and the option that '
                "sets it otherwise.",
                many(record(Assumption, dict.fromkeys(("subject", "what", "value", "why", "option"), TEXT))),
            ),
            "trained_on": said("The data that the networks were said to be trained on, as typed.", maybe(TEXT)),
            "run": said("What may differ between two equal runs: timings, threads, batch size.", mapping(VALUE)),
        },
        later=("assumptions",),
        unless_default=("trained_on",),
    ),
)
_WAIVER = record(
    Waiver,
    {
        "rule": TEXT,
        "stratum": said("A class, column=value or model; may be a pattern.", TEXT),
        "variant": said("A pruned model; may be a pattern.", TEXT),
        "reason": TEXT,
        "expires": said("The last day on which it holds.", _DATE),
        "origin": said("Where it was written, as FILE:LINE.", TEXT),
    },
)
_POLICY = named(
    "policy",
    record(
        Policy,
        {
            "name": TEXT,
            "path": said("The file it was read from; null for a preset.", maybe(TEXT)),
            "inconclusive": one_of(Literal["allow", "forbid"]),
            "settings": said("Settings that the audit was measured with because the policy says so.", mapping(VALUE)),
            "rules": mapping(record(RuleSetting, {"level": one_of(Level), "limit": maybe(NUMBER)})),
            "waivers": many(_WAIVER),
            "origins": said("Key -> where its value came from.", mapping(TEXT)),
        },
        later=("path", "settings", "waivers", "origins"),
    ),
)
_SAMPLES_KEPT = named("samples", Codec(_write_samples, _read_samples, _schema_of_samples))
_FIELDS = {
    "provenance": _PROVENANCE,
    "policy": said("What the gate asked; null where no gate was asked for.", maybe(_POLICY)),
    "baseline": said(
        "The earlier audit that this one was judged against beside the dense model; null where there is none.",
        maybe(TEXT),
    ),
    "comparisons": said("One pruned variant against the dense model each.", many(_COMPARISON)),
    "samples": said(
        "Which samples each model got right, to compare it with models of later audits; null where they were not kept.",
        maybe(_SAMPLES_KEPT),
    ),
}
_LATER = ("baseline", "samples")
_AUDIT = record(Audit, _FIELDS, later=_LATER)
