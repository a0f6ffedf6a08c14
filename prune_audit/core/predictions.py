"""What an evaluation leaves: every model's predictions, never its logits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from prune_audit.core.task import CLASSIFICATION, Task
from prune_audit.core.types import Array, Counts, Floats, Scores
from prune_audit.errors import UsageError


def data_digest(
    classes: Sequence[str], ids: Sequence[str], labels: Counts, digests: npt.NDArray[np.uint64], beside: str = ""
) -> str:
    """SHA-256 over every sample's id, label (N,), as a position in ``classes``, and the hash of its content (N,), and
    over what is known ``beside`` them (`Things.beside`)."""
    digest = hashlib.sha256("\n".join(classes).encode())
    digest.update("\n".join(ids).encode())
    digest.update(labels.astype("<i8").tobytes())
    digest.update(digests.astype("<u8").tobytes())
    digest.update(beside.encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs:
    """What is kept of one model's run: never the logits.

    ``predicted (N,)`` classes; where there were scores, ``confidence (N,)`` of the predicted class and
    ``true_score (N,)`` of the labelled one, as probabilities; where there were scores of several classes, ``rank
    (N,)`` of the labelled one, 0 for the highest score. Equal scores rank in class order, as argmax has them.
    ``tied (N,)`` is how many classes share the highest score exactly, 1 where none does. ``scores`` is what was taken
    of the model's outputs, None where that is unknown.
    """

    name: str
    predicted: Counts
    confidence: Floats | None = None
    true_score: Floats | None = None
    rank: npt.NDArray[np.int32] | None = None
    tied: Counts | None = None
    scores: Scores | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What is shown of a flipped thing, in words: what was asked, what is right, and what each model ``gave``.

    (N,) each, or () where there is nothing to show.
    """

    asked: Sequence[str] = ()
    right: Sequence[str] = ()
    gave: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FalseFindings:
    """What one model found, at its own threshold, where there is nothing: ``labels`` (F,), and what each is ``within``.

    ``within`` (F,) are values of the column of clusters (images, samples). ``average_precision`` (C,) is that of each
    class over all thresholds, NaN for one without things; None where there is no such number.
    """

    labels: Counts
    within: Array
    average_precision: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anew:
    """Thresholds of scores as they would have been chosen of other clusters, drawn B times with replacement.

    By model, ``thresholds`` (B,) and the ``scores`` (N,) of things that are held against them; ``weights`` (B, G) is
    how often each cluster was drawn, and ``within`` (N,) the cluster of each thing.
    """

    thresholds: Mapping[str, Floats]
    scores: Mapping[str, Floats]
    weights: Counts
    within: Counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """The labels and every model's predictions on N samples: the only thing that leaves a forward pass.

    ``labels`` and ``Outputs.predicted`` are positions in ``classes``. ``groups`` maps metadata columns to (N,)
    arrays. ``digests`` are 64-bit hashes of the raw samples, empty where they are unknown.

    Where ``task`` is another than one label a sample, a sample is a thing of that task. ``right`` then says by model
    which things it found (N,), whatever it predicted; a predicted class of -1 is none. ``answers`` are what is shown of
    flipped things, ``false`` by model what it found where there is nothing, and ``negatives`` the same question of what
    has no label, None where nobody can list that. ``anew`` is how else thresholds might have been chosen, None where
    they were not chosen of the data.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: Counts
    models: tuple[Outputs, ...]
    groups: Mapping[str, Array] = field(default_factory=dict)
    digests: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    task: Task = CLASSIFICATION
    right: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    false: Mapping[str, FalseFindings] = field(default_factory=dict)
    negatives: Predictions | None = None
    anew: Anew | None = None

    def __post_init__(self) -> None:
        n, c = len(self.labels), len(self.classes)
        columns = {"ids": self.ids, **{f"predictions of {m.name}": m.predicted for m in self.models}}
        columns |= {f"group {name}": values for name, values in self.groups.items()}
        for m in self.models:
            scores = {"confidence": m.confidence, "true scores": m.true_score, "ranks": m.rank, "ties": m.tied}
            columns |= {f"{what} of {m.name}": values for what, values in scores.items() if values is not None}
        columns |= {f"right of {name}": values for name, values in self.right.items()}
        for what, values in columns.items():
            if len(values) != n:
                raise UsageError(
                    f"{what}: expected one entry for each of {n} labels, found {len(values)}",
                    hint="labels, ids and predictions must list the same samples in the same order",
                )
        for what, values in {"labels": self.labels, **{m.name: m.predicted for m in self.models}}.items():
            if n and (values.min() < -(what in self.right) or values.max() >= c):
                raise UsageError(
                    f"{what}: expected classes 0 to {c - 1}, found {values.min()} to {values.max()}",
                    hint="give all class names, in the order of the model's outputs",
                )

    def model(self, name: str) -> Outputs:
        """The outputs of the model called ``name``."""
        for outputs in self.models:
            if outputs.name == name:
                return outputs
        known = ", ".join(m.name for m in self.models)
        raise UsageError(f"no predictions of a model {name!r}", hint=f"known: {known}")

    def strata(self, by: str, called: Counts | None = None) -> tuple[tuple[str, ...], Counts]:
        """The names of the strata (S,), and the position of each sample's stratum among them (N,).

        ``called`` (N,) are classes to go by in place of the labels.
        """
        return strata(by, self.classes, self.labels if called is None else called, self.groups)


def strata(
    by: str, classes: tuple[str, ...], labels: Counts, columns: Mapping[str, Array]
) -> tuple[tuple[str, ...], Counts]:
    """The names of the strata (S,), and the position of each sample's stratum among them (N,).

    ``by`` are ``class`` or names of ``columns``, each (N,), or several of them with commas between, of which all
    combinations are strata; ``labels`` (N,) are positions in ``classes``.

    Raises:
        UsageError: there is no such column.
    """
    names: tuple[tuple[str, ...], ...] = ((),)
    stratum = np.zeros(len(labels), np.int64)
    for column in by.split(","):
        if column == "class":
            values, position = classes, labels
        elif column in columns:
            found, inverse = np.unique(columns[column].astype(str), return_inverse=True)
            values, position = tuple(found.tolist()), inverse.astype(np.int64)
        else:
            raise UsageError(f"no group column {column!r}", hint=f"known: {', '.join(['class', *columns])}")
        names = tuple((*before, value) for before in names for value in values)
        stratum = stratum * len(values) + position
    return tuple(", ".join(parts) for parts in names), stratum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Which samples each model got right: what it takes to compare a model with one of an earlier audit, paired.

    ``strata`` maps every stratification to the stratum of each sample (N,), as positions; ``right`` maps models to
    (N,) booleans; ``cluster`` is what each sample belongs to (N,), None where samples are independent. The samples
    are in the order that the data digest covers, so that equal digests mean equal samples, row by row. ``seen`` (N,)
    are hashes of the ids where further samples may be added to the audit, else None.
    """

    strata: Mapping[str, Counts]
    right: Mapping[str, npt.NDArray[np.bool_]]
    cluster: Counts | None = None
    seen: Counts | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Samples):
            return NotImplemented
        more = [
            {name: values for name in ("cluster", "seen") if (values := getattr(each, name)) is not None}
            for each in (self, other)
        ]
        return _equal(self.strata, other.strata) and _equal(self.right, other.right) and _equal(*more)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


def _equal(some: Mapping[str, Array], others: Mapping[str, Array]) -> bool:
    return some.keys() == others.keys() and all(np.array_equal(some[key], others[key]) for key in some)
