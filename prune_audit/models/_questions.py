"""Recorded answers to questions, whatever harness wrote them: joined by their keys, compared by hashes, never by order.

A reader makes rows of its files (`Answer`); what they are joined and refused by is here, once for all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from prune_audit import spelling
from prune_audit.core import (
    Assumption,
    Expects,
    Found,
    ModelCard,
    ModelSource,
    Settings,
    Things,
)
from prune_audit.errors import AlignmentError, ModelError, UsageError
from prune_audit.models._elsewhere import OfThings, no_factory
from prune_audit.tasks import language_models

SHOWN = 500
"""Characters of a question or an answer that are kept to be shown."""
CLASSES = ("subject", "category")
"""Keys of a document that are taken for its class where all questions are of one task, the first that there is."""
MOST_VALUES = 200
"""Values of a key of documents that is still a group; more are a text of each question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer to one question: ``task`` and ``key`` say which, ``repeat`` which of several to the same one.

    ``value`` is what the metric says. ``hashes`` are of the document, what was to be answered and the prompt, None
    where unknown. ``columns`` are further keys of the document.
    """

    task: str
    key: str
    value: Any
    where: str
    repeat: str = ""
    asked: str = ""
    right: str = ""
    gave: str = ""
    hashes: tuple[str | None, str | None, str | None] = (None, None, None)
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What tells the question, and which answer to it."""
        return f"{self.task}/{self.key}" + (f"#{self.repeat}" if self.repeat else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The answers of one model, what was taken for granted of them, and what must be said."""

    answers: Sequence[Answer]
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedAnswers(OfThings):
    """A `prune_audit.core.Finds` and `Brings` model; its files are read when they are asked for."""

    HOLDS: ClassVar[str] = "answers to questions"

    card: ModelCard
    read: Callable[[], Read]
    class_by: str | None = None
    expects: Expects = field(default_factory=lambda: Expects(runs=False))
    known: dict[str, Read] = field(default_factory=dict)

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was taken for granted of the answers, once they were read."""
        return self.known["read"].assumptions if self.known else ()

    def things(self) -> Things:
        """The questions that were asked."""
        answers = self._answers()
        tasks, keys = sorted({each.task for each in answers}), set[str]()
        first = answers[0]
        for name in first.columns:
            values = {each.columns.get(name) for each in answers}
            if None not in values and len(values) <= min(MOST_VALUES, max(2, len(answers) // 2)):
                keys.add(name)
        by, why = self._class_by(tasks, keys, answers)
        named = [each.task if by == "task" else each.columns[by] for each in answers]
        classes, labels = np.unique(np.array(named), return_inverse=True)
        groups = {name: np.array([each.columns[name] for each in answers]) for name in sorted(keys)}
        groups["task"] = np.array([each.task for each in answers])
        repeated = any(each.repeat for each in answers)
        if repeated:
            groups["question"] = np.array([f"{each.task}/{each.key}" for each in answers])
        hashed = all(each.hashes[0] for each in answers)
        return Things(
            task=language_models.TASK.name,
            path=self.card.path,
            classes=tuple(classes.tolist()),
            ids=tuple(each.id for each in answers),
            labels=labels.astype(np.int64),
            groups=groups,
            cluster="question" if repeated else None,
            digests=np.array([_digest(f"{each.task} {each.hashes[0]}") for each in answers], np.uint64)
            if hashed and not repeated
            else np.empty(0, np.uint64),
            texts=tuple(each.asked for each in answers),
            truths=tuple(each.right for each in answers),
            detail=language_models.Asked(
                hashes=tuple(each.hashes for each in answers),
                stratum=(by, f"{by[:-1]}ies" if by.endswith("y") else f"{by}s"),
            ),
            assumptions=(
                Assumption(subject="", what="class of a question", value=f"its {by}", why=why, option="--class-by KEY"),
            ),
        )

    def found(self, things: Things) -> Found:
        """Which of the questions ``things`` were answered rightly, joined by task and key.

        Raises:
            AlignmentError: a question is missing, or another one was asked under the same key, or in another way.
            ModelError: a metric is no 0 or 1.
        """
        answers = {each.id: each for each in self._answers()}
        missing = [each for each in things.ids if each not in answers]
        if missing:
            raise AlignmentError(
                f"{self.card.path} has no answer to {len(missing):,} of {len(things.ids):,} questions, such as "
                f"{missing[0]}",
                hint="record both models on the same tasks, without --limit for one of them",
            )
        mine = [answers[each] for each in things.ids]
        self._same(mine, things)
        notes = self.known["read"].notes
        if extra := len(answers) - len(mine):
            notes = (
                *notes,
                f"{extra:,} answers of {self.card.name} are to questions that the first model was not asked",
            )
        return Found(
            name=self.card.name,
            scores=np.array([_one(each) for each in mine], float),
            given=tuple(each.gave for each in mine) if any(each.gave for each in mine) else (),
            notes=notes,
        )

    def _answers(self) -> Sequence[Answer]:
        if not self.known:
            read = self.read()
            if not read.answers:
                raise ModelError(f"{self.card.path} holds no answers", hint="record them again")
            seen: dict[str, Answer] = {}
            for each in read.answers:
                if each.id in seen:
                    raise ModelError(
                        f"{each.where}: a second answer to the question {each.id}, beside {seen[each.id].where}",
                        hint="keep one run in a file; of repeats say which is which",
                    )
                seen[each.id] = each
            self.known["read"] = read
        return self.known["read"].answers

    def _class_by(self, tasks: Sequence[str], keys: set[str], answers: Sequence[Answer]) -> tuple[str, str]:
        asked = self.class_by
        if asked is not None:
            if asked != "task" and any(asked not in each.columns for each in answers):
                known = spelling.hint(asked, ["task", *sorted(keys)])
                raise UsageError(f"--class-by {asked}: not all documents have such a key", hint=known)
            return asked, "as told"
        if len(tasks) == 1:
            for name in CLASSES:
                if name in keys and len({each.columns[name] for each in answers}) > 1:
                    return name, "all questions are of one task, whose documents have it"
        return "task", "as the harness names its tasks"

    def _same(self, mine: Sequence[Answer], things: Things) -> None:
        """That what was asked under each key is what the first model was asked, in the same way."""
        asked: language_models.Asked = things.detail
        for each, theirs in zip(mine, asked.hashes, strict=True):
            for what, own, other in zip(("document", "right answer", "prompt"), each.hashes, theirs, strict=True):
                if own is None or other is None or own == other:
                    continue
                if what == "prompt":
                    raise AlignmentError(
                        f"{each.where}: the question {each.id} was put in another prompt than to the first model: "
                        "another number of examples, another template or another instruction",
                        hint="record both models with the same --num_fewshot, --apply_chat_template and instruction",
                    )
                raise AlignmentError(
                    f"{each.where}: the {what} of the question {each.id} is another one than the first model was asked",
                    hint="record both models on the same version of the task",
                )


def source_of(
    source: ModelSource, files: Sequence[Path], settings: Settings, read: Callable[[], Read]
) -> RecordedAnswers:
    """The answers at ``source``, which are in ``files`` and read by ``read`` once they are asked for.

    Raises:
        UsageError: a factory or a column was given.
    """
    no_factory(source, "recorded answers")
    digest, size = hashlib.sha256(), 0
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
                size += len(piece)
    return RecordedAnswers(
        card=ModelCard(
            name=source.name, path=str(source.path), format="predictions", digest=digest.hexdigest(), size=size
        ),
        read=read,
        class_by=settings.class_by,
    )


def shortened(text: object) -> str:
    """``text`` as it is shown, on one line: the end of one that is too long, where a question is asked."""
    line = " ".join(str(text).split())
    return line if len(line) <= SHOWN else f"... {line[4 - SHOWN :]}"


def scalars(document: Mapping[str, Any]) -> dict[str, str]:
    """The keys of a ``document`` that may be groups: those of short texts, whole numbers and truth values."""
    short = {name: value for name, value in document.items() if isinstance(value, str | int | bool)}
    return {name: str(value) for name, value in short.items() if len(str(value)) <= 80}


def _one(answer: Answer) -> bool:
    """Whether the metric of ``answer`` is 1, and not 0."""
    value = answer.value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    shown = "a pair" if isinstance(value, list | tuple) else repr(value)[:40]
    raise ModelError(
        f"{answer.where}: expected a metric that is 0 or 1, found {shown} for the question {answer.id}",
        hint="name a metric that says of each question whether it is answered rightly: --metric acc or exact_match",
    )


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
