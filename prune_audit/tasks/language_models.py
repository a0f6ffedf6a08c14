"""Questions to language models: one is found where the recorded metric of the answer is 1.

Which answer is right the harness that asked has decided; letters of choices are no classes, so the class of a question
is the task or subject that it is of. What several choices score says which one was answered, for people to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from prune_audit.core import Answers, Found, Outputs, Predictions, Settings, Task, Things
from prune_audit.errors import AlignmentError
from prune_audit.tasks import Judged
from prune_audit.tasks._pairs import flips, pair, right_of, samples

TASK = Task(
    name="language-models",
    thing=("question", "questions"),
    stratum=("task", "tasks"),
    source=("question", "questions"),
    rates=("accuracy", "accuracy", "overall accuracy"),
    lacks={
        "answers": "answers to questions are no classes",
        "calls": "answers to questions are no classes",
        "scores": "of an answer to a question no confidence is kept",
        "guessing": "what guessing gets depends on the choices of each question",
    },
)
READS = ("metric", "class_by")
FEW = 0.05
"""The share of right answers below which a dense model is likely to have been asked, or judged, in a wrong way."""

__all__ = ["TASK", "Asked", "answered", "flips", "judge", "pair", "right_of", "samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known of N questions beside `Things`: hashes of document, target and prompt, None each where unknown.

    ``stratum`` are the words for one and for many of their classes.
    """

    hashes: Sequence[tuple[str | None, str | None, str | None]]
    stratum: tuple[str, str] = TASK.stratum


def answered(scores: Sequence[float], choices: Sequence[str], *, by_length: bool) -> int:
    """Which of ``choices`` a model answers that gives them ``scores`` (C,), the first of equal ones.

    ``by_length`` divides each score by the length of its choice, as ``acc_norm`` of lm-eval does.
    """
    lengths = np.array([max(1, len(choice)) if by_length else 1 for choice in choices])
    return int((np.asarray(scores, float) / lengths).argmax())


def judge(things: Things, found: Sequence[Found], settings: Settings) -> Judged:  # noqa: ARG001  # as the room has it
    """Which questions count as answered: those whose metric is 1.

    ``things.detail`` is `Asked`.

    Raises:
        AlignmentError: the dense model answers none.
    """
    asked: Asked = things.detail
    right = {each.name: each.scores >= 1 for each in found}
    dense = found[0]
    share = float(right[dense.name].mean()) if len(dense.scores) else 0.0
    if not share:
        raise AlignmentError(
            f"the dense model {dense.name} is right on none of {len(dense.scores):,} questions, so that nothing could "
            "be lost",
            hint="another --metric or filter may be meant, or the answers could not be read out of what it said",
        )
    notes = []
    if share < FEW:
        notes.append(
            f"{dense.name} is right on {share:.1%} of the questions: hardly anything can be lost; is another --metric "
            "or filter meant?"
        )
    return Judged(
        predictions=Predictions(
            classes=things.classes,
            ids=things.ids,
            labels=things.labels,
            models=tuple(Outputs(name=each.name, predicted=np.full(len(things.ids), -1)) for each in found),
            groups=things.groups,
            digests=things.digests,
            task=replace(TASK, stratum=asked.stratum),
            right=right,
            answers=Answers(
                asked=things.texts, right=things.truths, gave={each.name: each.given for each in found if each.given}
            ),
        ),
        notes=tuple(notes),
    )
