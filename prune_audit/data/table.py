"""A CSV or Parquet table of numbers: columns feed a model by name, or stacked where it has one input.

Which columns a model was trained on, and in which order, no file says. So the columns that are used are always
told, their number is checked against the model, and ``--features`` names them where the table holds others: a year or
a row number that slips in as a feature is the commonest fault here. A missing value makes a sample unreadable; to fill
it in is part of the model, and must be done to the table as it was done for training.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from prune_audit import spelling
from prune_audit.core import DATA, Array, Assumption, Dataset, DataSource, Expects, Input, Settings
from prune_audit.data import _arrays, _numbers, _rows, _unsupported
from prune_audit.errors import AlignmentError, DataError, UsageError
from prune_audit.files import tables
from prune_audit.files.columns import shown

STACKED = Input(name="features")


def recognises(source: DataSource) -> bool:
    """Whether the file is a table with columns of numbers, and neither of paths nor of texts."""
    return tables.form(source) == "numbers"


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    """The rows of the table, with what feeds the models that ``expects`` speaks of.

    A model of several inputs takes the columns that are called so: numbers as (N,) or (N, 1), by the input's
    dimensions, lists as (N, L). A model of one input takes a column of lists, or the columns of numbers stacked (N, F)
    in the order of ``source.features``, else of the file. A column that the samples are grouped by (``settings.by``,
    ``settings.cluster``) or called by is none of them unless ``source.features`` names it. Whatever else there is are
    groups, and so is a feature of few different values.

    Raises:
        DataError: the table cannot be read, a label is missing or no class, or lists differ in length.
        AlignmentError: the columns are not those that the models take.
        UsageError: something was asked for that a table does not have.
    """
    _unsupported.refuse(source, "a table of numbers", has=("id_column", "features"))
    columns = tables.read(source)
    known = {each.name: each for each in expects.inputs}
    asked = _rows.asked(settings)
    if not expects.runs:  # nothing is fed
        many = {name for name, values in columns.items() if name not in asked and not _numbers.few(values)}
        own = {_rows.label_column(source, columns), _rows.id_column(source, expects, columns)}
        return _arrays.unfed(source, _rows.rows(source, expects, columns, inputs=many - own, must_differ=True))
    assumptions: tuple[Assumption, ...] = ()
    if len(known) > 1:
        chosen = _by_name(source, list(known), columns)
    else:
        chosen, assumptions = _of_one(source, expects, columns, asked)
    used = {name for names in chosen.values() for name in names}
    few = {name for name in used if name in asked or _numbers.few(columns[name])}
    rows = _rows.rows(source, expects, columns, inputs=used, groups=few)
    inputs: dict[str, Array] = {}
    bad: dict[int, str] = {}
    for to, names in chosen.items():
        inputs[to], missing = _filled(source, known.get(to, STACKED), {name: columns[name] for name in names})
        bad = {**missing, **bad}
    return _arrays.ArrayDataset(
        name=source.path.resolve().name,
        path=str(source.path),
        classes=rows.classes,
        labels=rows.labels,
        ids=rows.ids,
        groups=rows.groups,
        inputs=inputs,
        notes=rows.notes,
        bad=bad,
        assumptions=(*rows.assumptions, *assumptions),
    )


def _by_name(source: DataSource, inputs: Sequence[str], columns: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Each input's column, which is called like it."""
    if source.features and not set(inputs) <= set(source.features):
        raise UsageError(
            f"--features lacks inputs of the models, which have {len(inputs)} ({', '.join(inputs)})",
            hint="leave it out: columns go to the inputs that are called like them",
        )
    lacking = [name for name in inputs if name not in columns]
    if lacking:
        raise AlignmentError(
            f"{source.path}: no column {lacking[0]!r} to feed the model's input of that name; "
            f"found {', '.join(columns)}",
            hint=f"{spelling.meant(lacking[0], columns)}call the columns like the inputs: {', '.join(inputs)}",
        )
    return {name: (name,) for name in inputs}


def _of_one(
    source: DataSource, expects: Expects, columns: Mapping[str, Any], asked: Collection[str]
) -> tuple[dict[str, tuple[str, ...]], tuple[Assumption, ...]]:
    """The columns that feed models of one input, or of unknown ones, and what is taken for granted of their order.

    Those ``asked`` for as groups are none of them by themselves.
    """
    wanted = expects.inputs[0] if expects.inputs else STACKED
    own = {_rows.label_column(source, columns), _rows.id_column(source, expects, columns), *asked}
    text = not tables.is_parquet(source.path)
    numbers = [name for name, values in columns.items() if name not in own and _numbers.numeric(values, text)]
    lists = [name for name, values in columns.items() if name not in own and tables.kind(values.type) == "list"]
    if source.features:
        chosen = _asked_for(source, columns)
    elif wanted.name in lists or (wanted.name in numbers and _width(wanted) == 1):
        chosen = (wanted.name,)
    elif numbers:
        chosen = tuple(numbers)
    elif len(lists) == 1:
        chosen = tuple(lists)
    elif lists and wanted is STACKED:
        return {name: (name,) for name in lists}, ()
    else:
        raise AlignmentError(
            f"{source.path}: no column of numbers to feed the model; found {', '.join(columns)}{_nearly(columns)}",
            hint="--features names the columns, in the order in which the model takes them",
        )
    if set(chosen) & set(lists):
        return {wanted.name: chosen}, ()
    left = [name for name in columns if name in asked and _numbers.numeric(columns[name], text)]
    _check_width(source, wanted, chosen, columns, left)
    if source.features or wanted.name in chosen:
        why = "as --features names them" if source.features else "called like the model's input"
    else:
        without = f" but those grouped by ({shown(left)})" if left else ""
        why = f"all columns of numbers{without}, in the order of the file"
    told = Assumption(subject=DATA, what="features", value=shown(chosen), why=why, option="--features A,B,...")
    return {wanted.name: chosen}, (told,)


def _asked_for(source: DataSource, columns: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that ``--features`` names."""
    features = source.features
    unknown = [name for name in features if name not in columns]
    if unknown:
        raise DataError(
            f"{source.path}: no column {unknown[0]!r} of those in --features; found {', '.join(columns)}",
            hint=f"{spelling.meant(unknown[0], columns)}--features takes names of columns, with commas between",
        )
    twice = [name for at, name in enumerate(features) if name in features[:at]]
    if twice:
        raise UsageError(f"--features names {twice[0]!r} more than once", hint="name each column once")
    lists = [name for name in features if tables.kind(columns[name].type) == "list"]
    if lists and len(features) > 1:
        raise UsageError(
            f"{source.path}: the column {lists[0]!r} holds lists, which are not stacked with others",
            hint="name it alone in --features",
        )
    return features


def _width(wanted: Input) -> int | None:
    """How many features an input takes, None where that is unknown or not for the number of columns to say."""
    if wanted.shape is None or len(wanted.shape) > 2:
        return None
    return wanted.shape[1] if len(wanted.shape) == 2 else 1


def _check_width(
    source: DataSource, wanted: Input, chosen: Sequence[str], columns: Mapping[str, Any], left: Sequence[str]
) -> None:
    width = _width(wanted)
    if width in (None, len(chosen)):
        return
    rows = [name for name in chosen if _numbers.counts(_numbers.of_cells(source.path, name, columns[name])[0])]
    like_ids = f"; {rows[0]!r} is different in every row, as an id is" if rows else ""
    raise AlignmentError(
        f"{source.path}: the models take {width} features, and there are {len(chosen)} columns of numbers "
        f"({shown(chosen)}){like_ids}{_nearly(columns)}",
        hint="--features names those that the models were trained on, in that order"
        + (f" ({shown(left)} too, where it is one: what samples are grouped by is left out)" if left else "")
        + "; what is text must be made numbers as it was for training",
    )


def _nearly(columns: Mapping[str, Any]) -> str:
    """What is worth saying of columns in which only some cells are numbers."""
    told = [(name, _numbers.not_numeric(values)) for name, values in columns.items()]
    return "".join(f"; {name!r} is none, for it holds {cell!r}" for name, cell in told[:3] if cell is not None)


def _filled(source: DataSource, wanted: Input, columns: Mapping[str, Any]) -> tuple[Array, dict[int, str]]:
    """The array (N, ...) that ``columns`` make, and the rows that cannot be read, with reasons."""
    parts, bad = [], dict[int, str]()
    for name, values in columns.items():
        of = _numbers.of_lists if tables.kind(values.type) == "list" else _numbers.of_cells
        cells, good = of(source.path, name, values)
        parts.append(cells)
        for row in np.flatnonzero(~good).tolist():
            bad.setdefault(row, _numbers.fault(values, row, name))
    if len(parts) > 1:
        whole = np.stack(parts, axis=1)  # (N, F)
    elif parts[0].ndim > 1:
        [whole] = parts  # (N, L)
    else:
        # A lone feature of unknown rank is a row of one; a column that has an input of its own is a number.
        rank = len(wanted.shape) if wanted.shape is not None else 1 if wanted.name in columns else 2
        whole = _numbers.shape_of(wanted.name, parts[0], rank)
    return _numbers.typed(whole, wanted.dtype), bad
