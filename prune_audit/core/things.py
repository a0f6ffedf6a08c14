"""Labelled things of data that no model here runs over, and which of them a recorded model found.

A thing is whatever carries a label: a question, a positive label of a sample, a box in an image. It is found by a model
or it is not, so it has the four outcomes that a sample has. What things were found in together (a document, an image)
is their cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from prune_audit.core.protocols import Batch, ModelCard, Recorded
from prune_audit.core.requests import Assumption, Preprocess
from prune_audit.core.types import Array, Counts, Floats
from prune_audit.errors import AlignmentError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Things:
    """N labelled things, as a reader of data gives them for the ``task`` of that name; a `Dataset` that nobody runs.

    ``labels`` (N,) are positions in ``classes``; ``groups`` maps columns to (N,) arrays. ``cluster`` is the one among
    them of what things lie in together, None where they are independent. ``digests`` (N,) are hashes of what was asked,
    empty where there are none. ``texts`` and ``truths`` (N,) are what a flipped thing is and what would have been
    right, in words; () where there is nothing to show. ``detail`` is whatever else the task's models need to find
    things by (boxes, crowds, which labels are unknown): only readers of that task look at it. ``beside`` is a digest of
    what is known beside the things and decides what is found falsely (negatives, images without boxes), '' where there
    is nothing of that kind. ``draw`` makes small pictures, in base 64, of the things at some positions, without those
    that it cannot; None where nothing is drawn.
    """

    task: str
    path: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: Counts
    groups: Mapping[str, Array] = field(default_factory=dict)
    cluster: str | None = None
    digests: Array = field(default_factory=lambda: np.empty(0, np.uint64))
    texts: Sequence[str] = ()
    truths: Sequence[str] = ()
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    detail: Any = None
    beside: str = ""
    draw: Callable[[Sequence[int]], Mapping[int, str]] | None = None

    @property
    def name(self) -> str:
        """As `Dataset.name`."""
        return self.path

    @property
    def indexed(self) -> bool:
        """As `Dataset.indexed`: no model here knows further classes."""
        return False

    @property
    def preprocess(self) -> Preprocess | None:
        """As `Dataset.preprocess`: nothing is fed to anything."""
        return None

    def read(self, rows: Sequence[int] | Counts) -> Batch:  # noqa: ARG002  # as `Dataset` has it
        """Raises `AlignmentError`: these are for recorded models alone."""
        raise AlignmentError(
            f"{self.path} holds labels for the task {self.task} and no inputs, so that no model can run on it",
            hint="give what the models answered, as files; docs/tasks.md says how they are written",
        )

    def fingerprint(self, verify: bool) -> str:  # noqa: ARG002  # as `Dataset` has it
        """As `Dataset.fingerprint`: nothing is predicted here, so nothing is kept by it."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What one recorded model found: a score for each thing, and what it found where there is nothing.

    ``scores`` (N,) are those of what was matched to each thing, minus infinity where nothing was: a thing is found at a
    threshold t iff its score is at least t. ``answers`` (N,) are the classes that things are taken for, -1 for none;
    None where that is not asked. ``given`` (N,) is what the model answered, in words, or (). Of false findings,
    ``false_labels`` (F,) are the classes, ``false_in`` (F,) what they are in, as positions of whatever the task counts
    by, and ``false_scores`` (F,). ``detail`` is whatever else the task judges by.
    """

    name: str
    scores: Floats
    answers: Counts | None = None
    given: Sequence[str] = ()
    false_labels: Counts = field(default_factory=lambda: np.empty(0, np.int64))
    false_in: Counts = field(default_factory=lambda: np.empty(0, np.int64))
    false_scores: Floats = field(default_factory=lambda: np.empty(0))
    notes: tuple[str, ...] = ()
    detail: Any = None


@runtime_checkable
class Finds(Recorded, Protocol):
    """A recorded model of a task whose unit is a thing. One of no other task raises in ``outputs`` (`refuse`)."""

    def found(self, things: Things) -> Found:
        """What the model found of ``things``, joined by id and never by order.

        Raises `AlignmentError` where it was recorded for other things, `ModelError` where it is damaged.
        """
        ...


@runtime_checkable
class Brings(Protocol):
    """A recorded model whose file says also what was asked of it, so that no other data are needed."""

    def things(self) -> Things:
        """What was asked. Raises `ModelError` where the file is damaged."""
        ...


def refuse(card: ModelCard, holds: str) -> AlignmentError:
    """What `Recorded.outputs` raises of a model that ``holds`` no predictions of one label a sample."""
    return AlignmentError(
        f"{card.path} holds {holds}, and the data have one label a sample",
        hint="give labels of the same kind with --data, or the predicted classes of these samples as a table",
    )
