"""What the rows of every table have: a label, an id, groups; read alike, whatever a format feeds the models with.

Labels are class names; a number is not taken for a position in a list that knows other names, because that guess is
right until the list's order is not. Whatever is no input, label or id is a group, since a column that nobody thought
of is often the one along which a model fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_audit.core import Array, Assumption, Counts, DataSource, Expects, Settings
from prune_audit.data import _classes
from prune_audit.errors import DataError
from prune_audit.files import tables
from prune_audit.files.columns import IDS, LABELS, usual

MISSING = "(missing)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """N rows of a table, without their inputs. ``ids`` are row numbers, from 0, where the table has none."""

    classes: tuple[str, ...]
    labels: Counts  # (N,)
    ids: tuple[str, ...]
    groups: Mapping[str, Array]  # each (N,), of text
    notes: tuple[str, ...]
    assumptions: tuple[Assumption, ...]  # on the order of the classes


def place(source: DataSource, row: int) -> str:
    """Where row ``row``, counted from 0, is found."""
    return f"{source.path}, row {row + 1}"


def label_column(source: DataSource, columns: Mapping[str, Any]) -> str:
    """The name of the column of labels. Raises `DataError` where there is none."""
    return tables.column(source.path, columns, "label", source.label_column, LABELS)


def id_column(source: DataSource, expects: Expects, columns: Mapping[str, Any]) -> str | None:
    """The name of the column of ids, None where there is none.

    Raises:
        DataError: one was asked for that neither the data nor recorded predictions have.
    """
    if source.id_column is None or _is_elsewhere(source, expects, columns):
        return usual(columns, IDS)
    return tables.column(source.path, columns, "id", source.id_column, ())


def _is_elsewhere(source: DataSource, expects: Expects, columns: Mapping[str, Any]) -> bool:
    """Whether the column of ids that was asked for is one of recorded predictions alone."""
    return expects.id_column == source.id_column and source.id_column not in columns


def asked(settings: Settings) -> frozenset[str]:
    """The columns by which samples are grouped or belong together: never a feature by itself, and always a group."""
    return frozenset(name for by in (*settings.by, settings.cluster or "") for name in by.split(","))


def rows(
    source: DataSource,
    expects: Expects,
    columns: Mapping[str, Any],
    *,
    inputs: Collection[str] = (),
    groups: Collection[str] = (),
    ids: Sequence[str] | None = None,
    must_differ: bool = False,
    own: tuple[str, ...] | None = None,
) -> Rows:
    """The rows of ``columns`` (N,), of which those called ``inputs`` are no groups, ``groups`` excepted.

    ``ids`` (N,) stand in where no column of ids was asked for. Ids that were asked for must differ; those of a column
    that is only called so are else taken for a group, unless they ``must_differ``. ``own`` are the classes in the order
    that the data themselves name them in.

    Raises:
        DataError: there is no column of labels, there are no rows, a label is missing or is no class, or ids repeat.
    """
    label = label_column(source, columns)
    if label in inputs:
        raise DataError(f"{source.path}: the column {label!r} is both input and label", hint="name two columns")
    if tables.is_nested(columns[label]):
        raise DataError(
            f"{source.path}: the column {label!r} holds {columns[label].type}, expected a label in each cell",
            hint="name the column of labels with --label-column",
        )
    if not len(columns[label]):
        raise DataError(f"{source.path}: the table has no rows", hint="expected is one row for each sample")
    asked_for = source.id_column is not None and not _is_elsewhere(source, expects, columns)
    named = id_column(source, expects, columns) if ids is None or asked_for else None
    if named is not None:
        ids = tables.texts(columns[named])
        if len(set(ids)) < len(ids):
            if must_differ or asked_for:
                [(twice, times)] = Counter(ids).most_common(1)
                raise DataError(
                    f"{source.path}: the id {twice!r} in column {named!r} is there {times} times",
                    hint="each sample needs an id of its own; --id-column names another column",
                )
            named, ids = None, None
    if ids is None:
        ids = [str(row) for row in range(len(columns[label]))]
    names, codes = tables.coded(columns[label])  # (U,), (N,)
    first = np.unique(codes, return_index=True)[1] if names else codes  # (U,) row where each is first found

    def found(at: int) -> str:
        row = int(first[at])
        return place(source, row) + (f" ({ids[row]})" if ids[row] != str(row) else "")

    if "" in names:
        raise DataError(
            f"{place(source, int(first[names.index('')]))}: {label} is empty", hint="fill it in, or remove the row"
        )
    order = _classes.decided(source, expects, names, own)
    notes = order.notes
    grouped, unused = {}, []
    for name, values in columns.items():
        if name in (label, named) or (name in inputs and name not in groups):
            continue
        if tables.is_nested(values):
            unused.append(name)
        else:
            cells, at = tables.coded(values)
            # Of objects, so that a long text that is there a million times is there once.
            grouped[name] = np.array([cell or MISSING for cell in cells], object)[at]
    if unused:
        notes = (*notes, f"columns not used: {', '.join(unused)}")
    return Rows(
        classes=order.classes,
        labels=_classes.positions(names, order.classes, found, source.class_map)[codes],
        ids=tuple(ids),
        groups=grouped,
        notes=notes,
        assumptions=order.assumptions,
    )
