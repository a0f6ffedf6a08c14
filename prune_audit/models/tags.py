"""Tags that a model gave to words, in CoNLL's columns or as JSON lines, of the sentences of the labelled data.

Sentences are joined in the order of the file, which holds only where all their words are those of the data: the first
that differs stops the run. The tag is the last column, so that a file of words, labels and predictions will do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from prune_audit.choices import Scheme
from prune_audit.core import Expects, Found, ModelCard, ModelSource, Settings, Things
from prune_audit.errors import AlignmentError, ModelError
from prune_audit.files import tags
from prune_audit.models._elsewhere import OfThings, no_factory
from prune_audit.tasks import spans
from prune_audit.tasks.spans import Tagged

TASK = spans.TASK.name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedTags(OfThings):
    """A `prune_audit.core.Finds` model; entities are read out of ``sentences`` when they are asked for."""

    HOLDS: ClassVar[str] = "tags of words"

    card: ModelCard
    sentences: tags.Sentences
    scheme: Scheme
    expects: Expects = field(default_factory=lambda: Expects(runs=False))
    assumptions: tuple[()] = ()

    def found(self, things: Things) -> Found:
        """Which entities of ``things`` the tags find.

        Raises:
            AlignmentError: the sentences are not those of the labels, or these are no tags.
            ModelError: a tag is not of the scheme.
        """
        tagged, read = things.detail, self.sentences
        if not isinstance(tagged, Tagged):
            raise AlignmentError(
                f"{self.card.path} holds tags of words, and {things.path} labels for the task {things.task}",
                hint="give tagged sentences with --data",
            )
        for where, own, theirs in zip(read.where, read.words, tagged.words, strict=False):
            if own != theirs:
                at = next((i for i, (a, b) in enumerate(zip(own, theirs, strict=False)) if a != b), None)
                differs = (
                    f"word {at + 1} is {own[at][:40]!r}, not {theirs[at][:40]!r}"
                    if at is not None
                    else (f"it has {len(own)} words, not {len(theirs)}")
                )
                raise AlignmentError(
                    f"{where}: the sentence is another one than that of {things.path}: {differs}",
                    hint="tag the sentences of the data in their order, a tag for each of their words",
                )
        if len(read.words) != len(tagged.words):
            raise AlignmentError(
                f"{self.card.path} holds {len(read.words):,} sentences, and {things.path} {len(tagged.words):,}, which "
                "begin alike",
                hint="tag all sentences of the data, cut as they are there",
            )
        found = spans.read(zip(read.where, read.tags, strict=True), self.scheme, ModelError)
        hit, taken, labels, within, stray = spans.matched(things, found)
        return Found(
            name=self.card.name,
            scores=hit.astype(np.float64),
            answers=taken,
            false_labels=labels,
            false_in=within,
            false_scores=np.ones(len(labels)),
            detail=stray,
        )


def recognises(path: Path) -> bool:
    """Whether the file begins with tagged words."""
    return tags.told(path)


def load(source: ModelSource, settings: Settings) -> RecordedTags:
    """The tags at ``source``.

    Raises:
        ModelError: the file is damaged, or holds what is no tag.
        UsageError: there is a factory.
    """
    no_factory(source, RecordedTags.HOLDS)
    read = tags.read(source.path, ModelError)
    return RecordedTags(
        card=ModelCard(
            name=source.name, path=str(source.path), format="predictions", digest=read.digest, size=read.size
        ),
        sentences=read,
        scheme=settings.scheme,
    )
