"""A table of several labels a sample: a list of them, one text with separators, or a column of 1 and 0 for each.

Lists are told by content. A text is taken apart where ``--label-separator`` says by what, and columns hold labels where
``--label-columns`` names them. An empty cell or -1 in such a column is a label that nobody knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prune_audit import spelling
from prune_audit.core import Array, DataSource, Expects, Settings, Things
from prune_audit.data import _classes, _rows, _unsupported
from prune_audit.errors import DataError
from prune_audit.files import tables
from prune_audit.files.columns import LABELS, shown
from prune_audit.tasks import multi_label
from prune_audit.tasks.multi_label import SAMPLE, Cells

TASK = multi_label.TASK.name
EVERY = "*"
_KNOWN = {
    "1": 1,
    "1.0": 1,
    "true": 1,
    "0": 0,
    "0.0": 0,
    "false": 0,
    "-1": -1,
    "-1.0": -1,
    "": -1,
    "nan": -1,
    "none": -1,
}


def recognises(source: DataSource) -> bool:
    """Whether the labels of the table are lists, or were said to be several in another way."""
    return tables.form(source) == "sets"


def load(source: DataSource, expects: Expects, settings: Settings) -> Things:  # noqa: ARG001  # every format's signature
    """The labels, a thing each, with the ids of the table or the numbers of its rows, from 0, as ids of the samples.

    Raises:
        DataError: the table cannot be read, a cell is no such label, ids repeat, or there is no label at all.
        UsageError: something was asked for that labels do not have.
    """
    _unsupported.refuse(source, "several labels a sample", has=("id_column", "label_separator", "label_columns"))
    columns = tables.read(source)
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(f"{source.path}: the table has no rows", hint="expected is one row for each sample")
    if source.label_columns:
        names = _named(source, expects, columns)
        texts = {name: tables.texts(columns[name]) for name in names}
        used, found = set(names), tuple(names)
    else:
        label = tables.column(source.path, columns, "label", source.label_column, (*tables.SEVERAL, *LABELS))
        lists = _lists(source, label, columns[label])
        used, found = {label}, tuple(dict.fromkeys(name for each in lists for name in each))
    order = _classes.decided(source, expects, found)
    at = {name: position for position, name in enumerate(order.classes)}
    if stray := [name for name in found if name not in at]:
        raise DataError(
            f"{source.path}: {stray[0]!r} is none of the {len(at):,} classes",
            hint="name all classes, one a line, with --classes FILE",
        )
    size = len(next(iter(columns.values())))
    labels: Array = np.zeros((size, len(order.classes)), np.int8)
    if source.label_columns:
        for name in names:
            labels[:, at[name]] = _cells(source, name, texts[name])
    else:
        for row, each in enumerate(lists):
            labels[row, [at[name] for name in each]] = 1
    return _things(source, expects, columns, used, order, labels)


def _things(
    source: DataSource,
    expects: Expects,
    columns: Mapping[str, Any],
    used: set[str],
    order: _classes.Order,
    labels: Array,
) -> Things:
    named = _rows.id_column(source, expects, columns)
    ids = tuple(tables.texts(columns[named])) if named is not None else tuple(map(str, range(len(labels))))
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise DataError(
            f"{source.path}: the id {twice!r} in column {named!r} is there {ids.count(twice)} times",
            hint="each sample needs an id of its own, and all its labels in one row; --id-column names another column",
        )
    groups: dict[str, Array] = {SAMPLE: np.array(ids, object)}
    for name, values in columns.items():
        if name not in used and name != named and not tables.is_nested(values):
            groups[name] = np.array([cell or _rows.MISSING for cell in tables.texts(values)], object)
    cells = Cells(ids=ids, labels=labels, groups=groups, separator=source.label_separator)
    sample, label = cells.positives
    if not len(sample):
        raise DataError(f"{source.path}: no sample has any label", hint="nothing can be found, and so nothing be lost")
    return Things(
        task=TASK,
        path=str(source.path),
        classes=order.classes,
        ids=tuple(f"{ids[i]} {order.classes[c]}" for i, c in zip(sample.tolist(), label.tolist(), strict=True)),
        labels=label.astype(np.int64),
        groups={name: values[sample] for name, values in groups.items()},
        cluster=SAMPLE,
        notes=order.notes,
        assumptions=order.assumptions,
        detail=cells,
        beside=_beside(cells),
    )


def _beside(cells: Cells) -> str:
    """SHA-256 of every sample's id and what is known of each of its labels: negatives and unknown ones, too."""
    digest = hashlib.sha256("\n".join(cells.ids).encode("utf-8", "surrogateescape"))
    digest.update(cells.labels.astype("<i1").tobytes())
    return digest.hexdigest()


def _named(source: DataSource, expects: Expects, columns: Mapping[str, Any]) -> Sequence[str]:
    """The columns of labels: those that were named, or all of 1, 0 and -1 but the ids."""
    if source.label_columns == (EVERY,):
        ids = _rows.id_column(source, expects, columns)
        found = [
            name
            for name, values in columns.items()
            if name != ids and not tables.is_nested(values) and {*map(_plain, tables.coded(values)[0])} <= _KNOWN.keys()
        ]
        if not found:
            raise DataError(
                f"{source.path}: no column holds 1 and 0 alone, of {shown(columns)}",
                hint="name the columns of labels: --label-columns A,B,C",
            )
        return found
    if lacking := [name for name in source.label_columns if name not in columns]:
        meant = spelling.meant(lacking[0], columns)
        raise DataError(f"{source.path} has no column {lacking[0]!r}", hint=f"{meant}known: {shown(columns)}")
    return source.label_columns


def _plain(cell: str) -> str:
    return cell.strip().lower()


def _cells(source: DataSource, name: str, texts: Sequence[str]) -> Array:
    values = [_KNOWN.get(_plain(cell)) for cell in texts]
    if None in values:
        row = values.index(None)
        raise DataError(
            f"{_rows.place(source, row)}: expected 1, 0, or -1 or nothing where it is unknown, found {name} "
            f"{texts[row]!r}",
            hint="--label-columns names columns that say yes or no of one label each",
        )
    return np.array(values, np.int8)


def _lists(source: DataSource, name: str, column: Any) -> Sequence[Sequence[str]]:
    """The labels of each row."""
    if tables.is_nested(column):
        cells = column.to_pylist()
        listed = [[] if cell is None else [str(each) for each in cell] for cell in cells]
    elif source.label_separator:
        parts = [cell.split(source.label_separator) for cell in tables.texts(column)]
        listed = [[each.strip() for each in cell if each.strip()] for cell in parts]
    else:
        raise DataError(
            f"{source.path}: the column {name!r} holds one text a row",
            hint="say what separates several labels: --label-separator ';'",
        )
    for row, each in enumerate(listed):
        if len(set(each)) < len(each):
            raise DataError(f"{_rows.place(source, row)}: {name} names a label twice", hint="name each once")
    return listed
