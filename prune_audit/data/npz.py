"""Arrays in an .npz file: inputs "x" (or one array per model input), labels "y"; any modality, fed as they are.

The way in for whatever is not an image file: sound, text, tables, images that were prepared elsewhere. Nothing is
scaled or cast on the way, and no pickle is ever read. The file is read once into memory, since a member of an
archive cannot be mapped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from prune_audit.core import Array, Counts, Dataset, DataSource, Expects, Settings
from prune_audit.data import _arrays, _class_map, _classes, _unsupported
from prune_audit.errors import AlignmentError, DataError
from prune_audit.files import archive
from prune_audit.files.columns import IDS, usual

NAMES = ("classes", "class_names")
_FED = "biufc"  # kinds of numbers


def recognises(source: DataSource) -> bool:
    """Whether the file is a zip archive of .npy files and nothing else."""
    path = source.path
    return path.is_file() and archive.is_arrays(archive.names(path))


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:  # noqa: ARG001 - every format's signature
    """The arrays of the file, all of the same length N.

    Integer ``y`` are output columns; text ``y`` are class names. Further arrays (N,) are groups, except
    ``id``, or what ``--id-column`` names, which names the samples, and ``classes`` or ``class_names``, which name the
    classes that ``y`` counts.
    Labels without inputs are data for predictions that were recorded elsewhere.

    Raises:
        DataError: an array is missing, of the wrong length or type, or a label is no class.
        AlignmentError: the models' inputs are not in the file.
        UsageError: preprocessing or columns were asked for.
    """
    path = source.path
    _unsupported.refuse(source, "arrays, fed as they are", has=("id_column",), but=("label_column",))
    arrays = _read(path)
    fed = any(values.ndim > 1 for values in arrays.values()) or "x" in arrays
    inputs = _inputs(path, arrays, expects) if fed or expects.inputs else {}
    y = arrays.get("y")
    if y is None:
        raise DataError(f"{path}: no array 'y' of labels; found {', '.join(arrays)}", hint="save the labels as y")
    if y.ndim != 1 or not len(y):
        raise DataError(f"{path}: y must be one label per sample, found shape {y.shape}", hint="save y with shape (N,)")
    n = len(y)
    for name, values in inputs.items():
        if values.dtype.kind not in _FED:
            raise DataError(
                f"{path}: {name} holds {values.dtype}, models are fed with numbers", hint="save numbers, of any type"
            )
        if values.shape[:1] != (n,):
            raise DataError(
                f"{path}: {name} has shape {values.shape}, y {n} labels", hint="the first axis must be the samples"
            )
    own = _first(arrays, NAMES)
    order, labels, indexed = _labels(source, expects, y, None if own is None else _names(path, arrays[own]))
    ids = _ids(source, expects, {name: values for name, values in arrays.items() if name not in inputs})
    if ids is not None and arrays[ids].shape != (n,):
        raise DataError(f"{path}: {ids} has shape {arrays[ids].shape}, y {n} labels", hint="save one id per sample")
    further = {name: values for name, values in arrays.items() if name not in (*inputs, "y", own, ids)}
    groups = {
        name: values.astype(np.str_)
        for name, values in further.items()
        if values.shape == (n,) and values.dtype.kind in "biufUMm"
    }
    unused = [name for name in further if name not in groups]
    return _arrays.ArrayDataset(
        name=path.resolve().name,
        path=str(path),
        classes=order.classes,
        indexed=indexed,
        labels=labels,
        ids=tuple(map(str, range(n) if ids is None else arrays[ids].tolist())),
        groups=groups,
        inputs=inputs,
        notes=(*order.notes, *([f"arrays not used: {', '.join(unused)}"] if unused else [])),
        assumptions=order.assumptions,
        lacks=None
        if inputs
        else (
            f"{path} holds labels alone, nothing to feed a model with",
            "save the inputs as x; labels alone fit predictions that were recorded elsewhere",
        ),
    )


def _read(path: Path) -> Mapping[str, Array]:
    try:
        return archive.read(path)
    except ValueError as error:
        raise DataError(
            f"{path}: the arrays cannot be read: {error}",
            hint="save plain arrays with numpy.savez; arrays of Python objects are pickles and are never loaded",
        ) from error


def _inputs(path: Path, arrays: Mapping[str, Array], expects: Expects) -> Mapping[str, Array]:
    """The arrays that the model's inputs are called after; for a model of one input, or of unknown ones, else ``x``."""
    names = [i.name for i in expects.inputs]
    if not names or (len(names) == 1 and names[0] not in arrays):
        names = ["x"]
    missing = [name for name in names if name not in arrays]
    if missing:
        wanted = " or ".join(dict.fromkeys(["x", *(i.name for i in expects.inputs)])) if names == ["x"] else missing[0]
        raise AlignmentError(
            f"{path}: no array {wanted} to feed the model; found {', '.join(arrays)}",
            hint="save the input as x, or one array for each input of the model, under its name",
        )
    return {name: np.ascontiguousarray(arrays[name]) for name in names}


def _labels(
    source: DataSource, expects: Expects, y: Array, own: tuple[str, ...] | None
) -> tuple[_classes.Order, Counts, bool]:
    """(classes, labels (N,), whether labels are output columns themselves).

    ``own`` are the names that the file gives to the integers in ``y``: where another list decides the order, labels
    go there by name. Floats that are whole numbers are integers.
    """

    def place(at: int) -> str:
        return f"{source.path}, y[{at}]"

    if y.dtype.kind == "U":
        names = y.tolist()
        if "" in names:
            raise DataError(f"{place(names.index(''))} is an empty text", hint="save a label for every sample")
        order = _classes.decided(source, expects, names, own)
        return order, _classes.positions(names, order.classes, place, source.class_map), False
    if y.dtype.kind == "f" and np.array_equal(y, np.floor(y)) and abs(y).max() < np.iinfo(np.int32).max:
        y = y.astype(np.int64)
    if y.dtype.kind not in "iu":
        raise DataError(
            f"{source.path}: labels must be integers or text, found {y.dtype}",
            hint="save y as int64, or as class names",
        )
    given, told = _classes.given(source, expects, own) or (
        None,
        _classes.assumed("labels are positions of outputs", "they are whole numbers, and nothing names them"),
    )
    known = own if own is not None else given
    limit = len(known) if known is not None else min(int(y.max()) + 1, _classes.MOST)
    wrong = np.flatnonzero((y < 0) | (y >= limit))
    if len(wrong):
        raise DataError(
            f"{place(int(wrong[0]))}: {y[wrong[0]]} is no class, expected 0 to {limit - 1}",
            hint="labels are positions of output columns, from 0; name every class with --classes",
        )
    names = list(known if known is not None else map(str, range(limit)))  # what the data call class 0, 1, ...
    outputs = given if given is not None else tuple(names)
    if source.class_map is None and list(outputs) == names:
        return _classes.Order(classes=outputs, notes=(), assumptions=(told,)), y.astype(np.int64), True
    if source.class_map is not None:
        keys = _class_map.read(source.class_map)
        names = [str(label) if str(label) in keys else name for label, name in enumerate(names)]
        if known is None:
            outputs = _numbered(limit, expects, keys)
    classes, notes = _classes.mapped(source, outputs)
    called = [names[label] for label in y.tolist()]
    order = _classes.Order(classes=classes, notes=notes, assumptions=(told,))
    return order, _classes.positions(called, classes, place, source.class_map), known is None


def _numbered(limit: int, expects: Expects, keys: Mapping[str, str | int]) -> tuple[str, ...]:
    """Outputs of which there are no names: as many as the models have, else as labels and the class map speak of."""
    spoken = [int(each) for pair in keys.items() for each in map(str, pair) if each.isascii() and each.isdigit()]
    columns = 2 if expects.outputs == 1 else expects.outputs
    return _classes.numbered(columns or max(limit - 1, *spoken, 0) + 1, keys)


def _names(path: Path, values: Array) -> tuple[str, ...]:
    if values.ndim != 1 or values.dtype.kind != "U" or len(set(values.tolist())) != len(values):
        raise DataError(
            f"{path}: class names must be one text per class, each once; found {values.dtype} {values.shape}",
            hint="save classes as a numpy array of text",
        )
    return tuple(values.tolist())


def _ids(source: DataSource, expects: Expects, arrays: Mapping[str, Array]) -> str | None:
    """The array of ids: the one asked for, or the first that is called as usual; None where there is none."""
    asked = source.id_column
    if asked is None or (asked not in arrays and asked == expects.id_column):
        return usual(arrays, IDS)
    if asked not in arrays:
        raise DataError(
            f"{source.path}: no array {asked!r} of ids; found {', '.join(arrays)}",
            hint="--id-column takes the name of an array",
        )
    return asked


def _first(arrays: Mapping[str, Array], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in arrays), None)
