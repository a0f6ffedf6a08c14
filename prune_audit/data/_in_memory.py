"""Arrays of a program as a data set: inputs and labels that are already there, fed as they are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from prune_audit.core import Array, Assumption, Counts, Dataset
from prune_audit.data import _arrays, _classes
from prune_audit.errors import DataError, UsageError


def arrays(
    x: object,
    y: object,
    *,
    classes: Sequence[str] | str | Path | None = None,
    ids: Sequence[object] | None = None,
    groups: Mapping[str, object] | None = None,
    name: str = "arrays",
) -> Dataset:
    """N samples as a data set: ``x`` (N, ...) of one input, or a mapping input -> such, and labels ``y`` (N,).

    Arrays are whatever numpy makes one of: tensors, columns of a data frame. Integer ``y`` are output columns. Text
    ``y`` are class names and need ``classes``, since the order of outputs is never guessed: names in that order, or a
    file of them. ``groups`` maps metadata columns, for ``by`` and ``cluster``, to (N,) values.

    Raises:
        DataError: something is no array, has another length, or a label is no class.
        UsageError: text labels without ``classes``.
    """
    labels = _array("y", y)
    if labels.ndim != 1 or not len(labels):
        raise DataError(f"y must be one label per sample, found shape {labels.shape}", hint="give y with shape (N,)")
    inputs = {str(key): _array(str(key), value) for key, value in (x if isinstance(x, Mapping) else {"x": x}).items()}
    columns = {str(key): _array(str(key), value) for key, value in (groups or {}).items()}
    rows = {**inputs, **columns, **({} if ids is None else {"ids": np.array([str(i) for i in ids])})}
    for each, values in rows.items():
        if not values.ndim or len(values) != len(labels) or (each in columns and values.ndim > 1):
            raise DataError(
                f"{each} has shape {values.shape}, y {len(labels)} labels", hint="the first axis must be the samples"
            )
    named, positions = _labels(labels, None if classes is None else class_names(classes))
    return _arrays.ArrayDataset(
        name=name,
        path=name,
        classes=named,
        indexed=labels.dtype.kind != "U",
        labels=positions,
        ids=tuple(map(str, range(len(labels)) if ids is None else ids)),
        groups={key: values.astype(np.str_) for key, values in columns.items()},
        inputs={key: np.ascontiguousarray(values) for key, values in inputs.items()},
        notes=(),
        assumptions=(_order(labels, given=classes is not None),),
    )


def class_names(classes: Sequence[str] | str | Path) -> tuple[str, ...]:
    """The names of the classes in the order of the outputs, as they are given or from the file of that path.

    Raises:
        DataError: the file cannot be read, or a class is named twice.
    """
    if isinstance(classes, str | os.PathLike):
        return _classes.read(Path(classes))
    names = tuple(map(str, classes))
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"the class {twice[0]!r} is named more than once", hint="each output column needs a name")
    return names


def _order(labels: Array, *, given: bool) -> Assumption:
    """Where the order of classes comes from; here a program says it, in another way than a command line does."""
    value, why = ("as classes= names them", "asked for")
    if not given:
        value, why = ("labels are positions of outputs", f"they are {labels.dtype}, and nothing names them")
    return replace(_classes.assumed(value, why), option="classes=[...]")


def _labels(y: Array, classes: tuple[str, ...] | None) -> tuple[tuple[str, ...], Counts]:
    """(classes, labels (N,) as positions in them)."""
    if y.dtype.kind == "U":
        if classes is None:
            raise UsageError(
                "labels are text, and the order of the outputs is not known",
                hint="name the classes in the order of the model's outputs: classes=[...]",
            )
        return classes, _classes.positions(y.tolist(), classes, lambda at: f"y[{at}]")
    if y.dtype.kind not in "biu":
        raise DataError(f"labels must be integers or text, found {y.dtype}", hint="give y as integers, or as names")
    y = y.astype(np.int64)
    limit = len(classes) if classes is not None else min(int(y.max()) + 1, _classes.MOST)
    wrong = np.flatnonzero((y < 0) | (y >= limit))
    if len(wrong):
        raise DataError(
            f"y[{wrong[0]}]: {y[wrong[0]]} is no class, expected 0 to {limit - 1}",
            hint="labels are positions of output columns, from 0; name every class",
        )
    return classes if classes is not None else tuple(map(str, range(limit))), y


def _array(name: str, values: object) -> Array:
    """``values`` as numbers or text."""
    try:
        array = np.asarray(values)
        if array.dtype.kind in "OT" and all(isinstance(value, str) for value in array.ravel()):
            array = array.astype(np.str_)
    except (TypeError, ValueError, RuntimeError) as fault:
        raise DataError(
            f"{name} cannot be made an array: {fault}", hint="give numpy arrays; tensors must be on the CPU"
        ) from fault
    if array.dtype.kind not in "biufU":
        raise DataError(
            f"{name} must hold numbers or text, found {array.dtype}", hint="give arrays of one type, without None"
        )
    return array
