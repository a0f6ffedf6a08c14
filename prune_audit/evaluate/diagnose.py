"""Which sample is behind a fault that shows far from it: looked for only once something has gone wrong.

One NaN in the data comes out as a NaN of the model, and one misspelled label as a class too many. Whoever reads only
that looks in the wrong place, so the message names the sample.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Batch, Counts, Dataset
from prune_audit.errors import AuditError, DataError, ModelError
from prune_audit.tasks.classification import broken

NAMED = 3  # classes or samples in a message
ODD_MOST = 1000  # samples that are kept in mind for holding NaN or infinity


def place(dataset: Dataset, row: int) -> str:
    """The sample at ``row`` as people find it: its id, where that is more than the number of the row."""
    return f"row {row}" if dataset.ids[row] == str(row) else dataset.ids[row]


def too_many(dataset: Dataset, columns: int) -> str:
    """Classes for which a model of ``columns`` outputs likely has none, each with a sample; '' where none stands out.

    Where labels are output columns, those beyond the last one; else the rarest, since stray labels are rare.
    """
    support = np.bincount(dataset.labels, minlength=len(dataset.classes))  # (C,)
    found = np.flatnonzero(support)
    if dataset.indexed:
        found = found[found >= columns]
    rarest = found[np.argsort(support[found], kind="stable")][: min(NAMED, len(dataset.classes) - columns)]
    told = []
    for label in rarest.tolist():
        count, first = int(support[label]), place(dataset, int(np.flatnonzero(dataset.labels == label)[0]))
        samples = f"1 sample: {first}" if count == 1 else f"{count:,} samples, first: {first}"
        told.append(f"{dataset.classes[label]!r} ({samples})")
    return f"; {'beyond' if dataset.indexed else 'rarest'}: {', '.join(told)}" if told else ""


def odd(batch: Batch) -> Counts:
    """The rows of ``batch`` with NaN or infinity in an input (K,). Bytes and integers hold none."""
    found = np.zeros(len(batch.labels), bool)  # (B,)
    for values in batch.inputs.values():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            found |= ~_finite(values)
    return batch.rows[found]


def told(dataset: Dataset, rows: Counts) -> tuple[str, ...]:
    """A note on the samples at ``rows`` (K,), which are `odd` though the scores of every model are finite."""
    if not len(rows):
        return ()
    named = _named(dataset, rows)
    count = f"{len(rows):,} or more samples hold" if len(rows) >= ODD_MOST else f"{len(rows):,} samples hold"
    holds = "1 sample holds" if len(rows) == 1 else count
    return (f"{holds} NaN or infinity, from which the models made finite scores all the same: {named}",)


def turned(dataset: Dataset, rows: Counts) -> tuple[str, ...]:
    """A note on the images at ``rows`` (K,), which carry an EXIF orientation that is not upright."""
    if not len(rows):
        return ()
    many = f"{len(rows):,} or more images carry" if len(rows) >= ODD_MOST else f"{len(rows):,} images carry"
    carry = "1 image carries" if len(rows) == 1 else many
    named = _named(dataset, rows)
    return (f"{carry} an EXIF orientation that is not upright, which --exif applies or ignores: {named}",)


def _named(dataset: Dataset, rows: Counts) -> str:
    return ", ".join(place(dataset, row) for row in rows[:NAMED].tolist()) + (", ..." if len(rows) > NAMED else "")


def not_finite(name: str, scores: Array, batch: Batch, dataset: Dataset) -> AuditError:
    """The error for ``scores`` (B, C) of the model called ``name``, some of which are `broken`: the data's or its own.

    Only samples whose own scores are broken are looked at: a model may well know what to do with a NaN.
    """
    rows = np.flatnonzero(broken(scores))
    for array, values in batch.inputs.items():
        if values.dtype.kind == "f":
            bad = rows[~_finite(values[rows])]
            if len(bad):
                return DataError(
                    f"{dataset.path}: {array!r} of {place(dataset, int(batch.rows[bad[0]]))} holds NaN or infinity, "
                    f"and so do the scores of model {name}",
                    hint="repair or remove the sample, or fill in what is missing as it was done for training",
                )
    first = scores[rows[0]]
    if np.isnan(first).any():
        found = "NaN"
        hint = "most likely something divides by 0, as a normalisation does behind a layer that pruning left without "
        hint += "weights, or half precision overflowed before; check the preprocessing too"
    elif (first == np.inf).any():
        found = "infinity"
        hint = "most likely a number is too large for its type: in half precision beyond 65,504, in an exponential "
        hint += "beyond 88; run the model in float32, and check the preprocessing"
    else:
        found = "minus infinity for every class"
        hint = "minus infinity stands for a class that is masked, or for the logarithm of 0; where every class is so, "
        hint += "none can be predicted: check the mask, or export the scores before the logarithm"
    where = place(dataset, int(batch.rows[rows[0]]))
    return ModelError(f"model {name} gave {found} for {where}, whose input is finite", hint=hint)


def _finite(values: Array) -> npt.NDArray[np.bool_]:
    """Which samples of ``values`` (B, ...) hold finite numbers alone (B,)."""
    return np.asarray(np.isfinite(values.reshape(len(values), -1)).all(axis=1))
