"""Which training samples quotas keep: the data they are of, and the table that is written of those which stay.

What is written is read as training data again: the rows of a table as they were, or id, path and label of the files of
a folder, with paths relative to where the list lies.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np

from prune_audit import data, reports
from prune_audit.core import Audit, Counts, Dataset, DataSource, Expects, Settings, Things, data_digest, lookup
from prune_audit.errors import AlignmentError, AuditError, DataError, UsageError
from prune_audit.files import tables
from prune_audit.files.columns import IDS, usual
from prune_audit.planning import quotas
from prune_audit.planning.quotas import Quotas
from prune_audit.render import rounded
from prune_audit.reports.csv import text as csv

_PART = 256  # samples read at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """Training samples: the ``labels`` (N,) are positions among the classes of the audit that they were read for.

    ``notes`` say what could not be checked.
    """

    source: DataSource
    dataset: Dataset
    labels: Counts
    sizes: Counts  # (C,)
    notes: tuple[str, ...]


def read(source: DataSource, audit: Audit) -> Training:
    """The training samples at ``source``, which the classes of ``audit`` must be those of.

    Raises:
        DataError: they cannot be read.
        AlignmentError: they are of other classes.
        UsageError: the audit was made on them, or they have several labels each.
    """
    dataset = data.load(source, Expects(runs=False), Settings())
    if isinstance(dataset, Things):
        raise UsageError(
            f"{source.path} holds labels for the task {dataset.task}, and quotas are of samples of one class each",
            hint="give the training data of a classifier",
        )
    view = lookup.by_class(audit.comparisons[0])
    classes = () if view is None else view.pair.classes
    more = [name for name in dataset.classes if name not in classes]
    less = [name for name in classes if name not in dataset.classes]
    if more or less:
        said = [
            f"{rounded.listed(names)} only in {where}" for names, where in ((more, source.path), (less, "the audit"))
        ]
        both = "; ".join(each for each, names in zip(said, (more, less), strict=True) if names)
        raise AlignmentError(
            f"{source.path}: expected the classes of the audit, found others: {both}",
            hint="--class-map FILE says which class is which, where names differ; --classes FILE names all",
        )
    place = np.array([classes.index(name) for name in dataset.classes], np.int64)
    labels = place[dataset.labels]
    notes = _apart(source, dataset, labels, audit, classes)
    sizes = np.bincount(labels, minlength=len(classes))
    return Training(source=source, dataset=dataset, labels=labels, sizes=sizes, notes=notes)


def chosen(training: Training, found: Quotas, seed: int) -> Counts:
    """The rows that ``found`` keeps, ascending; ``seed`` draws them."""
    return quotas.drawn(np.array([each.kept for each in found.shares]), training.labels, seed)


def written(training: Training, rows: Counts, path: Path) -> str:
    """The list of the samples at ``rows``, as it is to lie at ``path``.

    Raises:
        DataError: the data are in a form of which no list can be made.
    """
    source, dataset = training.source, training.dataset
    if source.path.is_file() and tables.form(source) is not None:
        columns = tables.read(source)
        if nested := [name for name, values in columns.items() if tables.is_nested(values)]:
            raise DataError(
                f"{source.path}: the column {nested[0]!r} holds what no cell of a CSV can", hint="give a CSV table"
            )
        cells = {name: tables.texts(values) for name, values in columns.items()}
        if tables.form(source) == "paths":
            name = tables.path_column(source, columns)
            cells[name] = [_moved(source.path.parent, each, path) for each in cells[name]]
        if usual(cells, (*([source.id_column] if source.id_column else []), *IDS)) is None:
            cells = {"id": list(dataset.ids), **cells}
    else:
        cells = {
            "id": list(dataset.ids),
            "path": [_moved(source.path, each, path) for each in dataset.ids],
            "label": [dataset.classes[at] for at in dataset.labels.tolist()],
        }
        if not source.path.is_dir() or not all(tables.is_file(path.parent / cells["path"][at]) for at in rows.tolist()):
            raise DataError(
                f"{source.path}: no list can be made of data in this form",
                hint="give a table (CSV, Parquet), or a folder of images or sounds by class",
            )
    return csv(list(cells), [_row(cells, at) for at in rows.tolist()])


def write(text: str, path: Path) -> None:
    """Write a list, whole or not at all. Raises `OutputError` where it cannot be."""
    reports.put(path, text)


def check(path: Path) -> None:
    """Check that a list can be written to ``path``. Raises `AuditError` where it cannot."""
    if path.suffix.lower() != ".csv":
        raise UsageError(f"{path}: a list of samples is written as CSV", hint="give it a name that ends in .csv")
    reports.check_writable(path)


def _row(cells: Mapping[str, list[str]], at: int) -> dict[str, str]:
    return {name: values[at] for name, values in cells.items()}


def _moved(folder: Path, path: str, to: Path) -> str:
    """A ``path`` relative to ``folder``, relative to the folder of the file ``to``; one that is absolute stays."""
    if PurePath(path).is_absolute() or folder.resolve() == to.parent.resolve():
        return path
    return Path(os.path.relpath(folder / path, to.parent)).as_posix()


def _apart(
    source: DataSource, dataset: Dataset, labels: Counts, audit: Audit, classes: tuple[str, ...]
) -> tuple[str, ...]:
    """What could not be told of whether the audit was made on these samples. Raises `UsageError` where it was."""
    made = audit.provenance
    same = (
        f"the audit was made on {source.path} itself: what a model learnt by heart says nothing of what it gets wrong"
    )
    hint = "audit other samples than it was trained on"
    if made.data and (path := Path(made.data)).exists() and path.samefile(source.path):
        raise UsageError(same, hint=hint)
    partly = (
        "whether some of these samples were audited is not known, since an audit does not keep which; recalls "
        "of samples that were trained on are too high"
    )
    if made.samples + len(made.skipped) != len(labels):
        return (partly,)
    if data_digest(classes, dataset.ids, labels, np.empty(0, np.uint64)) == made.data_digest:
        raise UsageError(same, hint=hint)
    try:
        like = source if made.preprocess is None else replace(source, preprocess=made.preprocess)
        whole = data.load(like, Expects(), Settings())
        parts = [whole.read(part) for part in np.array_split(np.arange(len(labels)), -(-len(labels) // _PART))]
    except AuditError as fault:
        return (f"whether the audit was made on these samples could not be told ({fault.message})",)
    rows = np.concatenate([each.rows for each in parts])
    digests = np.concatenate([each.digests for each in parts])
    if data_digest(classes, [dataset.ids[at] for at in rows.tolist()], labels[rows], digests) == made.data_digest:
        raise UsageError(same, hint=hint)
    return (partly,)
